"""A clock that is stepped, and a Cloudflare of a few lines behind httpx."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tunnelpool.cloudflare.account import CloudAccount, CloudAccounts
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.transport import Transport
from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Monitor, Pool, RemoteValue, Tunnel
from tunnelpool.engine.ports import Account
from tunnelpool.plan.steps import Create

sys.path.insert(0, str(Path(__file__).parent))

ACCOUNT = "a" * 32
ZONE = "b" * 32
TOKEN = "canary-7f3a-token"


@dataclass
class SteppedClock:
    """Time that goes on only when someone sleeps or a test steps it."""

    at: float = 1000.0

    def monotonic(self) -> float:
        """Tell the time."""
        return self.at

    def now(self) -> float:
        """Tell the time."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Let everyone else go to sleep too, then go on."""
        until = self.at + seconds
        await asyncio.sleep(0)
        self.at = max(self.at, until)


Handler = Callable[[httpx.Request], httpx.Response]


def envelope(result: Any = None, **info: int) -> httpx.Response:
    body: dict[str, Any] = {"success": True, "errors": [], "messages": [], "result": result}
    return httpx.Response(200, json=body | ({"result_info": info} if info else {}))


def refusal(status: int, code: int = 0, message: str = "", **headers: str) -> httpx.Response:
    body = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
    return httpx.Response(status, json=body, headers={n.replace("_", "-"): v for n, v in headers.items()})


@dataclass
class FakeCloudflare:
    """Stores what is posted, lists it, merges what is patched."""

    collections: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    faults: list[tuple[str, str, Callable[[httpx.Request], httpx.Response | None]]] = field(
        default_factory=list
    )
    """Method, end of path, and what happens: an answer, an exception, or None to go on as usual."""
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def fail(self, method: str, path: str, *outcomes: httpx.Response | Exception) -> None:
        """Fail the next calls of a route before they do anything."""
        for outcome in outcomes:
            self.faults.append((method, path, _raising(outcome)))

    def lose_answer(self, method: str, path: str, error: Exception) -> None:
        """Do what the next call of a route asks, and lose the answer."""

        def handle(request: httpx.Request) -> httpx.Response:
            self._answer(request)
            raise error

        self.faults.append((method, path, handle))

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        path = request.url.path.removeprefix("/client/v4")
        self.calls.append((request.method, path))
        self.bodies.append(json.loads(request.content) if request.content else None)
        for index, (method, suffix, handle) in enumerate(self.faults):
            if request.method == method and path.endswith(suffix):
                del self.faults[index]
                answer = handle(request)
                if answer is not None:
                    return answer
        return self._answer(request)

    def count(self, method: str) -> int:
        """Count the calls of a method."""
        return sum(1 for called, _ in self.calls if called == method)

    def put(self, path: str, /, **fields: Any) -> dict[str, Any]:
        """Store an object in a collection, as someone else would."""
        id_ = f"{next(self._ids):032x}"
        stored = self.collections.setdefault(path, {})[id_] = {"id": id_, **fields}
        return stored

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/client/v4")
        body = json.loads(request.content) if request.content else {}
        head, _, tail = path.rpartition("/")
        if request.method == "POST":
            return envelope(self.put(path, **body))
        if request.method == "GET" and head in self.collections:
            found = self.collections[head].get(tail)
            return envelope(found) if found is not None else refusal(404, 1001, "not found")
        if request.method == "GET":
            return envelope(list(self.collections.get(path, {}).values()))
        collection = self.collections.get(head, {})
        if tail not in collection:
            return refusal(404, 1001, "not found")
        if request.method == "PATCH":
            collection[tail].update(body)
            return envelope(collection[tail])
        assert request.method == "DELETE"
        del collection[tail]
        return envelope({"id": tail})


def _raising(outcome: httpx.Response | Exception) -> Callable[[httpx.Request], httpx.Response]:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(outcome, Exception):
            if isinstance(outcome, httpx.RequestError):
                outcome.request = request
            raise outcome
        return outcome

    return handle


@dataclass
class Tools:
    """What a test needs of this file, since test modules cannot import one another."""

    clock: SteppedClock
    cloudflare: FakeCloudflare
    accounts: CloudAccounts
    cloud: CloudAccount
    observed: list[tuple[str, str, int]]
    waits: list[float]
    account_id: str = ACCOUNT
    zone_id: str = ZONE
    token: str = TOKEN
    pools: str = f"/accounts/{ACCOUNT}/load_balancers/pools"
    monitors: str = f"/accounts/{ACCOUNT}/load_balancers/monitors"
    tunnels: str = f"/accounts/{ACCOUNT}/cfd_tunnel"
    records: str = f"/zones/{ZONE}/dns_records"
    balancers: str = f"/zones/{ZONE}/load_balancers"

    envelope = staticmethod(envelope)
    refusal = staticmethod(refusal)

    def create(self, value: RemoteValue) -> Create:
        """Make the step that creates a value, in the zone if that is its place."""
        return Create(value, ZONE if isinstance(value, LoadBalancer | DnsRecord) else "")

    async def listed(self, value: RemoteValue) -> list[Any]:
        """List the objects of a value's kind."""
        match value:
            case Tunnel():
                return list(await self.cloud.tunnels())
            case Monitor():
                return list(await self.cloud.monitors())
            case Pool():
                return list(await self.cloud.pools())
            case LoadBalancer():
                return list(await self.cloud.load_balancers(ZONE))
            case DnsRecord():
                return list(await self.cloud.dns_records(ZONE))


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def tools(clock: SteppedClock) -> AsyncIterator[Tools]:
    cloudflare = FakeCloudflare()
    observed: list[tuple[str, str, int]] = []
    waits: list[float] = []
    transport = Transport(
        CloudflareSettings(),
        clock,
        http=httpx.MockTransport(cloudflare),
        on_call=lambda route, method, status, _: observed.append((route, method, status)),
        on_wait=waits.append,
        sleep=clock.sleep,
    )
    accounts = CloudAccounts(transport)
    cloud = accounts.account(Account(ACCOUNT, TOKEN))
    yield Tools(clock, cloudflare, accounts, cloud, observed, waits)
    await accounts.aclose()
