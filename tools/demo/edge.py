"""The local edge as a child process, and the ways to it: control API, REST API, the visitors' door."""

from __future__ import annotations

import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
from yarl import URL

from demo.children import running

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 10.0
Json = dict[str, Any]


class EdgeError(RuntimeError):
    """The edge refused what the demo asked of it."""


@dataclass(frozen=True, slots=True)
class EdgeFacts:
    """What `localedge serve --json` says when it is ready."""

    api_url: str
    control_url: str
    http_url: str
    https_url: str
    edge: str
    """`host:port` for connectors."""
    ca_file: Path
    account_id: str
    api_token: str
    zones: dict[str, str]

    @classmethod
    def read(cls, said: Json) -> Self:
        """Take what is needed of the ready line."""
        return cls(
            api_url=said["api_url"],
            control_url=said["control_url"],
            http_url=said["http_url"],
            https_url=said["https_url"],
            edge=said["edge"],
            ca_file=Path(said["ca_file"]),
            account_id=said["account_id"],
            api_token=said["api_token"],
            zones=dict(said["zones"]),
        )

    @property
    def door(self) -> tuple[str, int]:
        """Address and port at which visitors are served over TLS."""
        url = URL(self.https_url)
        return str(url.host), int(url.port or 0)

    def visitor_tls(self) -> ssl.SSLContext:
        """Make the TLS settings of a visitor who trusts this edge and nobody else."""
        return ssl.create_default_context(cafile=str(self.ca_file))


class LocalEdge:
    """A running edge. `rest` is Cloudflare's API with the full token, `control` the stand-in's own."""

    def __init__(self, facts: EdgeFacts) -> None:
        self.facts = facts
        self._control = httpx.AsyncClient(base_url=facts.control_url, trust_env=False)
        self._rest = httpx.AsyncClient(
            base_url=facts.api_url, trust_env=False, headers={"Authorization": f"Bearer {facts.api_token}"}
        )

    async def close(self) -> None:
        """Close the connections to it."""
        await self._control.aclose()
        await self._rest.aclose()

    async def control(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Ask the control API.

        Raises:
            EdgeError: it refused; the message is its own.

        """
        answer = await self._control.request(method, path, json=body, params=query)
        if answer.is_error:
            raise EdgeError(f"{method} {path}: {answer.text}")
        return answer.json()

    async def rest(self, method: str, path: str, body: Any = None) -> Any:
        """Ask Cloudflare's API; returns `result`.

        Raises:
            EdgeError: it refused; the message is its own.

        """
        answer = await self._rest.request(method, path, json=body)
        if answer.is_error:
            raise EdgeError(f"{method} {path}: {answer.text}")
        return answer.json()["result"]

    async def state(self) -> Json:
        """Read every object of the account, bit by bit."""
        found: Json = await self.control("GET", "/state")
        return found

    async def calls(self, since: int = 0) -> list[Json]:
        """List the API calls after a number, oldest first."""
        return list((await self.control("GET", "/calls", since=since))["entries"])

    async def last_call(self) -> int:
        """Return the number of the newest API call: the place to read on from."""
        return int((await self.control("GET", "/calls", since=sys.maxsize))["last"])

    async def last_request(self) -> int:
        """Return the number of the newest visitor's request: the place to read on from."""
        return int((await self.control("GET", "/requests", since=sys.maxsize))["last"])

    async def requests(self, since: int = 0) -> list[Json]:
        """List the visitors' requests after a number, oldest first."""
        return list((await self.control("GET", "/requests", since=since))["entries"])

    async def config_lag_s(self) -> float:
        """Tell the real seconds from an accepted write to the data plane."""
        return float((await self.control("GET", "/lags"))["config"])

    async def set_lags(self, **seconds: float) -> None:
        """Set any of the lags `config`, `state`, `death`."""
        await self.control("PUT", "/lags", seconds)

    async def set_speed(self, speed: float) -> None:
        """Let the monitors' time go by faster; the lags stay."""
        await self.control("PUT", "/clock", {"speed": speed})

    async def add_fault(self, route: str, **fault: Any) -> None:
        """Make the calls of a route fail; `fault` as in the edge's control API."""
        await self.control("POST", "/faults", {"route": route, **fault})

    async def clear_faults(self) -> None:
        """End all faults."""
        await self.control("DELETE", "/faults")


@asynccontextmanager
async def local_edge(folder: Path, options: Sequence[str] = ()) -> AsyncIterator[LocalEdge]:
    """Run `localedge serve` with its files in `folder`; `options` are further flags of it."""
    program = Path(sys.executable).with_name("localedge")  # the console script of this environment
    argv = [str(program), "serve", "--json", "--dir", str(folder), *options]
    async with running(
        "the local edge",
        argv,
        folder / "edge.log",
        ready_within_s=READY_WITHIN_S,
        stop_within_s=STOP_WITHIN_S,
    ) as said:
        edge = LocalEdge(EdgeFacts.read(said))
        try:
            yield edge
        finally:
            await edge.close()
