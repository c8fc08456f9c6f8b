"""The local edge as a process of its own, and clients of it."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tunnelpool.cloudflare.account import CloudAccount, CloudAccounts
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.transport import Transport
from tunnelpool.engine.clock import SystemClock
from tunnelpool.engine.ports import Account

_TLS = ssl.create_default_context()
"""Shared, since making one for each client takes longer than the tests; the edge's API speaks plain HTTP."""


@dataclass(frozen=True, slots=True)
class RunningEdge:
    """A local edge: what its ready line says, and its control API."""

    ready: dict[str, Any]

    @property
    def zone_id(self) -> str:
        """The zone `example.com`."""
        zone_id: str = self.ready["zones"]["example.com"]
        return zone_id

    def control(self, method: str, path: str, **body: Any) -> Any:
        """Call the control API."""
        response = httpx.request(method, f"{self.ready['control_url']}/{path}", json=body or None)
        response.raise_for_status()
        return response.json()

    def fault(self, route: str, **what: Any) -> None:
        """Make the next call of a route fail."""
        self.control("POST", "faults", route=route, times=1, **what)

    def token(self, *permissions: str, **more: str) -> str:
        """Make a token that may do this and nothing else."""
        token: str = self.control("POST", "tokens", permissions=list(permissions), **more)["token"]
        return token

    @asynccontextmanager
    async def open(self, token: str = "") -> AsyncIterator[CloudAccount]:
        """Open the account as our client does, with a budget that does not get in the way."""
        settings = CloudflareSettings(
            api_url=self.ready["api_url"], requests_per_s=10_000, burst=10_000, doubt_interval_s=0
        )
        http = httpx.AsyncHTTPTransport(verify=_TLS)
        accounts = CloudAccounts(Transport(settings, SystemClock(), http=http))
        try:
            yield accounts.account(Account(self.ready["account_id"], token or self.ready["api_token"]))
        finally:
            await accounts.aclose()


@contextmanager
def running(directory: Path, *options: str) -> Iterator[RunningEdge]:
    """Run an edge until the end."""
    program = Path(sys.executable).with_name("localedge")
    # Thousands of generated objects are not what Cloudflare's limit of 1200 calls is there for.
    unlimited = ("--rate-limit", "0")
    command = [str(program), "serve", "--json", "--dir", str(directory), *unlimited, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        try:
            assert process.stdout is not None
            yield RunningEdge(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """Run an edge in the plan `pro`."""
    with running(tmp_path_factory.mktemp("edge")) as started:
        yield started


@pytest.fixture(scope="session")
def enterprise_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """Run an edge in the plan `enterprise`, which takes everything that the edge emulates."""
    with running(tmp_path_factory.mktemp("edge"), "--plan", "enterprise") as started:
        yield started


@pytest.fixture(scope="session")
def edge_without_load_balancing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """Run an edge whose account has not bought load balancing."""
    with running(tmp_path_factory.mktemp("edge"), "--no-load-balancing") as started:
        yield started
