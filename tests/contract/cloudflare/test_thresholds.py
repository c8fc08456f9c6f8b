"""The thresholds of LBPool and HealthCheck decide, each of them, who answers: as written by us, at the edge.

The edge's clock is stopped and goes on by one interval of the health check at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from localedge.clock import Clock
from localedge.options import EdgeOptions
from localedge.state.store import Lags
from localedge.testing import FakeAnswer, FakeEdge, edge_with_fake_tunnels
from localedge.tunnel.interface import TunnelRequest
from tunnelpool.build import monitor as monitor_builder
from tunnelpool.build import pool as pool_builder
from tunnelpool.build.snapshot import (
    ConnectorDefaults,
    HealthCheckView,
    Member,
    MonitorSnapshot,
    PoolSnapshot,
    Running,
    Site,
    Slot,
)
from tunnelpool.cloudflare.account import CloudAccount, CloudAccounts
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.transport import Transport
from tunnelpool.crd.parsing import parse
from tunnelpool.crd.v1alpha1 import HealthCheck
from tunnelpool.domain.ownership import Owner, TunnelName
from tunnelpool.domain.remote import LoadBalancer, Origin, Pool, Tunnel
from tunnelpool.engine.clock import SystemClock
from tunnelpool.engine.ports import Account
from tunnelpool.plan.steps import Create

HOST = "my.example.com"
OWNER = Owner("here", "0123abcd")
SITE = Site(OWNER, ConnectorDefaults("cloudflared:test"))
INTERVAL_S = 60
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Hall:
    """An edge with a pool of tunnels as we write it, and a fallback; the applications can be broken."""

    fake: FakeEdge
    clock: Clock
    http: httpx.AsyncClient
    broken: set[int] = field(default_factory=set)
    rounds: int = 0

    def application(self, index: int) -> Any:
        """Make the application behind one origin."""

        async def answer(_request: TunnelRequest) -> FakeAnswer:
            return FakeAnswer(503 if index in self.broken else 200, b"tunnels")

        return answer

    async def round(self) -> None:
        """Let one interval go by, and all origins be asked."""
        if self.rounds:
            self.clock.step(INTERVAL_S)
        self.rounds += 1
        async with asyncio.timeout(10):
            while await self._probed() < 3 * self.rounds:  # noqa: ASYNC110 - the edge is another part
                await asyncio.sleep(0.005)

    async def _probed(self) -> int:
        answer = await self.http.get(f"http://127.0.0.1:{self.fake.ports.api}/_edge/probes")
        return len(answer.json()["entries"])

    async def served_by(self) -> str:
        """Ask who answers for the hostname: `tunnels` or `fallback`."""
        answer = await self.http.get(f"http://127.0.0.1:{self.fake.ports.http}/", headers={"Host": HOST})
        return "fallback" if answer.text == "fallback" else "tunnels"


def resource(kind: str, name: str, spec: dict[str, Any]) -> Any:
    return parse(kind, {"metadata": {"name": name, "namespace": "default", "uid": name}, "spec": spec})


def pool_as_written(tunnels: list[Any], check: HealthCheck, monitor_id: str, minimum: int) -> Pool:
    spec = {"minimumOrigins": minimum, "healthCheckRef": {"name": "web"}}
    web = resource(
        "Tunnel", "web", {"hostname": HOST, "service": "http://web", "pool": "my-pool", "replicas": 3}
    )
    slots = tuple(
        Slot(index, leaving=False, remote=one, running=Running.READY) for index, one in enumerate(tunnels)
    )
    snapshot = PoolSnapshot(
        "my-pool",
        "default",
        lbpools=(resource("LBPool", "my-pool", spec),),
        members=(Member(web, slots),),
        health_check=HealthCheckView("web", check, monitor_id),
    )
    desired = pool_builder.build(snapshot, SITE, NOW).desired
    assert desired is not None
    return desired


@asynccontextmanager
async def hall(minimum: int = 1, **health_check: int) -> AsyncIterator[Hall]:
    clock = Clock(frozen=True)
    options = EdgeOptions(Path(), lags=Lags(0, 0, 0), seed=1)
    async with edge_with_fake_tunnels(options, clock=clock) as fake, httpx.AsyncClient() as http:
        accounts = CloudAccounts(
            Transport(CloudflareSettings(api_url=fake.api, doubt_interval_s=0), SystemClock())
        )
        token = dict(fake.headers)["Authorization"].removeprefix("Bearer ")
        made = Hall(fake, clock, http)
        try:
            await write(accounts.account(Account(fake.edge.account.id, token)), made, minimum, health_check)
            await made.round()
            yield made
        finally:
            await accounts.aclose()


async def write(cloud: CloudAccount, made: Hall, minimum: int, fields: dict[str, int]) -> None:
    """Write monitor, pools and load balancer as the builders have them, and connect the tunnels."""
    names = [str(TunnelName(OWNER, "default", "web", index)) for index in range(3)]
    for name in (*names, "outside"):
        await cloud.execute(Create(Tunnel(name)))
    tunnels = {one.value.name: one for one in await cloud.tunnels()}
    for index, name in enumerate(names):
        made.fake.tunnels.connect(tunnels[name].id, made.application(index))

    async def outside(_request: TunnelRequest) -> FakeAnswer:
        return FakeAnswer(200, b"fallback")

    made.fake.tunnels.connect(tunnels["outside"].id, outside)
    check = resource("HealthCheck", "web", {"intervalSeconds": INTERVAL_S, **fields})
    monitor = monitor_builder.build(MonitorSnapshot("default", "web", check, None), SITE).desired
    assert monitor is not None
    await cloud.execute(Create(monitor))
    (stored,) = await cloud.monitors()
    await cloud.execute(Create(pool_as_written([tunnels[name] for name in names], check, stored.id, minimum)))
    last = Origin("outside", f"{tunnels['outside'].id}.cfargotunnel.com", host=HOST)
    await cloud.execute(Create(Pool("outside", (last,), check_regions=("WNAM",))))
    ids = {one.value.name: one.id for one in await cloud.pools()}
    (zone,) = await cloud.zones()
    await cloud.execute(Create(LoadBalancer(HOST, (ids["my-pool"],), ids["outside"]), zone.id))


@pytest.mark.parametrize(
    ("minimum", "broken", "serves"),
    [
        (1, 0, "tunnels"),
        (1, 2, "tunnels"),
        (1, 3, "fallback"),
        (2, 1, "tunnels"),
        (2, 2, "fallback"),
        (3, 0, "tunnels"),
        (3, 1, "fallback"),
    ],
)
async def test_minimum_origins_decides_how_many_may_fail(minimum: int, broken: int, serves: str) -> None:
    async with hall(minimum) as made:
        assert await made.served_by() == "tunnels"
        made.broken.update(range(broken))
        await made.round()
        assert await made.served_by() == serves
        made.broken.clear()
        await made.round()
        assert await made.served_by() == "tunnels"


@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_consecutive_down_decides_after_how_many_failures_it_fails_over(failures: int) -> None:
    async with hall(consecutiveDown=failures) as made:
        made.broken.update(range(3))
        for _ in range(failures - 1):
            await made.round()
            assert await made.served_by() == "tunnels"
        await made.round()
        assert await made.served_by() == "fallback"


async def test_one_good_answer_between_failures_begins_the_count_anew() -> None:
    async with hall(consecutiveDown=2) as made:
        for broken in ({0, 1, 2}, set(), {0, 1, 2}):
            made.broken = broken
            await made.round()
            assert await made.served_by() == "tunnels"


@pytest.mark.parametrize("successes", [1, 2, 3])
async def test_consecutive_up_decides_after_how_many_successes_it_fails_back(successes: int) -> None:
    async with hall(consecutiveUp=successes) as made:
        for _ in range(successes - 1):
            await made.round()  # the first verdict takes as many
        assert await made.served_by() == "tunnels"
        made.broken.update(range(3))
        await made.round()
        assert await made.served_by() == "fallback"
        made.broken.clear()
        for _ in range(successes - 1):
            await made.round()
            assert await made.served_by() == "fallback"
        await made.round()
        assert await made.served_by() == "tunnels"
