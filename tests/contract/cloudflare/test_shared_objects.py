"""Two operators and one edge, over HTTP: many races of two writes to one pool, and no entry is lost.

Whole engines, each with a cluster in memory. The edge holds a PATCH of the pool until the other one's waits
as well, so that both have read the same before either has written.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from localedge.api.barrier import Barrier
from localedge.api.faults import Fault
from localedge.options import EdgeOptions
from localedge.testing import FakeEdge, edge_with_fake_tunnels
from tunnelpool.cloudflare.account import CloudAccounts
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.transport import Transport
from tunnelpool.domain.ownership import Owner, read_marks
from tunnelpool.engine import shared_writes
from tunnelpool.engine.clock import SystemClock

sys.path.insert(0, str(Path(__file__).parents[2] / "component" / "engine"))

from remote_account import ACCOUNT_ID, RemoteAccount
from running_world import DEFAULT_SECRET, LoopClock, Operator
from small_cluster import SmallCluster

HELD_S = 0.06
"""How long the edge holds a write for which no other comes."""
LOOKS_S = (0.05, 0.25)
"""In place of the seconds after which an operator looks again, for the sake of the test's length."""
SWEEP_S = 1.0
HOST = "my.example.com"


class Cluster:
    """A cluster with one operator, which runs until the end of the block."""

    def __init__(self, name: str, edge: FakeEdge) -> None:
        self.name = name
        self.objects = SmallCluster(LoopClock())
        account = {
            "apiToken": edge.edge.full_token.value.encode(),
            "accountId": edge.edge.account.id.encode(),
        }
        self.objects.secrets[DEFAULT_SECRET.namespace, DEFAULT_SECRET.name] = account
        self._api = edge.api

    def apply(self, pool: str, numbers: set[int]) -> None:
        """Apply an LBPool of one address for each number."""
        origins = [
            {"name": f"{self.name}-{n}", "address": f"{self.name}-{n}.example.net"} for n in sorted(numbers)
        ]
        self.objects.apply("LBPool", pool, {"origins": origins, "sharing": "Shared"})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the operator."""
        settings = CloudflareSettings(
            api_url=self._api,
            requests_per_s=10_000,
            burst=10_000,
            fast_max_age_s=SWEEP_S,
            slow_max_age_s=SWEEP_S,
        )
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        http = httpx.AsyncHTTPTransport(verify=verify)
        clouds = CloudAccounts(Transport(settings, SystemClock(), http=http))
        unused = {ACCOUNT_ID: RemoteAccount(LoopClock())}
        operator = Operator(
            self.objects, unused, owner=Owner(self.name, f"0000000{self.name}"), clouds=clouds
        )
        task = asyncio.create_task(operator.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, BaseExceptionGroup):
                await task
            await clouds.aclose()


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait in real time."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the edge has no event for "has settled"
            await asyncio.sleep(0.01)
    assert condition(), what


def origins(edge: FakeEdge, pool: str) -> set[str]:
    """List the names of a pool's origins."""
    pools = edge.edge.store.state.pools.values()
    return {one["name"] for pool_ in pools if pool_["name"] == pool for one in pool_["origins"]}


def holds(edge: FakeEdge, names: set[str]) -> bool:
    """Tell whether exactly these origins are in the pool."""
    return origins(edge, "shared") == names


def writes(edge: FakeEdge) -> list[Any]:
    """List the calls that have changed something."""
    return [one for one in edge.edge.journals.calls.since(0) if one["method"] != "GET"]


def named(cluster: Cluster, numbers: set[int]) -> set[str]:
    """Name the origins that a cluster wants."""
    return {f"{cluster.name}-{n}" for n in numbers}


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[FakeEdge]:
    """Run an edge in this very loop."""
    async with edge_with_fake_tunnels(EdgeOptions(tmp_path, rate_limit=0)) as running:
        yield running


@pytest.mark.parametrize("rounds", [20, pytest.param(100, marks=pytest.mark.full)])
async def test_of_many_races_for_a_pool_no_entry_is_lost_and_then_nothing_is_written(
    edge: FakeEdge, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    monkeypatch.setattr(shared_writes, "LOOKS_S", LOOKS_S)
    monkeypatch.setattr(shared_writes, "PAUSE_S", 0.0)
    dice = random.Random(7)  # noqa: S311 - a test that repeats itself
    here, there = Cluster("a", edge), Cluster("b", edge)
    for cluster in (here, there):
        cluster.apply("shared", {0})
    collisions, whole = 0, {"a-0", "b-0"}
    async with here.running(), there.running():
        await until(partial(holds, edge, whole), "both are in")
        barrier = Barrier(2, HELD_S)
        edge.edge.faults.add(Fault("PATCH */load_balancers/pools/*", barrier=barrier))
        for number in range(rounds):
            wanted = [{number, *dice.sample(range(number, number + 8), dice.randint(0, 4))} for _ in range(2)]
            before = len(writes(edge))
            for cluster, numbers in zip((here, there), wanted, strict=True):
                cluster.apply("shared", numbers)
            whole = named(here, wanted[0]) | named(there, wanted[1])
            await until(partial(holds, edge, whole), f"round {number}")
            collisions += len(writes(edge)) - before > 2
        edge.edge.faults.clear()
        await asyncio.sleep(max(LOOKS_S) * 1.2)  # the last look after the last write
        quiet_since = len(writes(edge))
        listings = len(edge.edge.journals.calls.since(0))
        await until(
            lambda: (
                sum(
                    one["method"] == "GET" and one["route"].endswith("/pools")
                    for one in edge.edge.journals.calls.since(0)[listings:]
                )
                >= 6
            ),
            "three sweeps of each",
        )
        assert holds(edge, whole)
        assert len(writes(edge)) == quiet_since
    assert collisions > rounds / 2, "most of the rounds must have been races"
    (pool,) = edge.edge.store.state.pools.values()
    assert {mark.owner.cluster for mark in read_marks(pool["description"])} == {"a", "b"}
