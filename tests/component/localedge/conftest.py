"""An edge without lags and with fake tunnels, and a client with the full token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from localedge.clock import Clock
from localedge.options import EdgeOptions
from localedge.state.store import Lags
from localedge.testing import FakeEdge, edge_with_fake_tunnels


@pytest.fixture(scope="session", autouse=True)
def no_loop_by_accident() -> None:
    # pytest-asyncio asks for the current loop before it sets its own; on Python 3.11 that would make one.
    asyncio.set_event_loop(None)


@dataclass(frozen=True)
class Client:
    """Calls the API of one edge and unpacks its envelope."""

    fake: FakeEdge
    http: httpx.AsyncClient

    async def raw(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Call the API."""
        return await self.http.request(method, self.fake.api + path, json=body, **options)

    async def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Call the API; the answer is a success."""
        response = await self.raw(method, path, body, **options)
        assert response.status_code == 200, response.text
        assert response.json()["success"] is True
        return response.json()["result"]

    async def refused(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, int, str]:
        """Call the API; the answer is an error: status, code, message."""
        response = await self.raw(method, path, body, **options)
        envelope = response.json()
        assert (envelope["success"], envelope["result"]) == (False, None), response.text
        return response.status_code, envelope["errors"][0]["code"], envelope["errors"][0]["message"]

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API."""
        url = f"http://127.0.0.1:{self.fake.ports.api}/_edge{path}"
        response = await self.http.request(method, url, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    async def visit(self, host: str, path: str = "/", **options: Any) -> httpx.Response:
        """Send a request to a public name."""
        url = f"http://127.0.0.1:{self.fake.ports.http}{path}"
        headers = {"Host": host, **options.pop("headers", {})}
        return await self.http.request(options.pop("method", "GET"), url, headers=headers, **options)

    async def tunnel(self, name: str, **fields: Any) -> str:
        """Create a remotely managed tunnel; returns its id."""
        body = {"name": name, "config_src": "cloudflare", **fields}
        return str((await self.ok("POST", f"{self.fake.account_path}/cfd_tunnel", body))["id"])

    async def pool(self, name: str, origins: list[Mapping[str, Any]], **fields: Any) -> Any:
        """Create a pool."""
        body = {"name": name, "origins": origins, "check_regions": ["WNAM"], **fields}
        return await self.ok("POST", f"{self.fake.account_path}/load_balancers/pools", body)

    async def monitor(self, **fields: Any) -> Any:
        """Create a monitor."""
        body = {"type": "http", "expected_codes": "200", **fields}
        return await self.ok("POST", f"{self.fake.account_path}/load_balancers/monitors", body)

    async def balancer(self, pools: list[str], fallback: str | None = None, **fields: Any) -> Any:
        """Create a load balancer for my.example.com."""
        body = {
            "name": "my.example.com",
            "proxied": True,
            "default_pools": pools,
            "fallback_pool": fallback or pools[-1],
            **fields,
        }
        return await self.ok("POST", f"{self.fake.zone_path}/load_balancers", body)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait for something that has no event of its own."""
        async with asyncio.timeout(10):
            while not await condition():  # noqa: ASYNC110 - the condition is in another part's memory
                await asyncio.sleep(0.005)


def tunnel_origin(name: str, tunnel_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "address": f"{tunnel_id}.cfargotunnel.com",
        "header": {"Host": ["my.example.com"]},
        **fields,
    }


@pytest.fixture
def origin_of() -> Callable[..., dict[str, Any]]:
    """Make a tunnel origin's body from a name and a tunnel id."""
    return tunnel_origin


@pytest.fixture
def options() -> EdgeOptions:
    """Override to set the edge up otherwise."""
    return EdgeOptions(Path(), lags=Lags(0, 0, 0), seed=1)


@pytest.fixture
def clock() -> Clock:
    """Override to stop it."""
    return Clock()


@pytest.fixture
async def client(options: EdgeOptions, clock: Clock) -> AsyncIterator[Client]:
    """Run an edge and give a client of it."""
    async with (
        edge_with_fake_tunnels(options, clock=clock) as fake,
        httpx.AsyncClient(headers=dict(fake.headers)) as http,
    ):
        yield Client(fake, http)
