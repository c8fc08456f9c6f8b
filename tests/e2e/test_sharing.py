"""Two clusters, two operators, one edge: they share a hostname and a pool, and one may die (law 1)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from demo.installation import NAMESPACE
from demo.progress import Progress
from demo.scene import SERVICE, Scene
from demo.stage import TUNNEL_LABEL, Stage, stage
from demo.traffic import TUNNELS, steady_traffic
from demo.waiting import NotYetError, wait_for

WITHIN_S = 60.0
ROUNDS = 4
RECENT = 20
"""Requests, at ten in a second."""
SPEED = 20.0
"""A health check of 60 s takes three then: it alone sees that a cluster has gone with its operator."""
POOL_WRITES = "PATCH */load_balancers/pools/*"
pytestmark = pytest.mark.full


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def second(theatre: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Bring up a further cluster at the same edge."""
    with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230, PTH123 - opens at once
        async with stage(tmp_path_factory.mktemp("second"), Progress(nowhere), beside=theatre) as made:
            yield made


@pytest_asyncio.fixture(loop_scope="session")
async def pair(second: Stage, scene: Scene) -> AsyncIterator[tuple[Scene, Scene]]:
    """Give a test the same corner in both clusters."""
    twin = await scene.twin(second)
    yield scene, twin
    await twin.leave()


async def origins(scene: Scene) -> list[dict[str, Any]]:
    """List the origins of the scene's pool."""
    pools = (await scene.stage.edge.state())["pools"]
    return [origin for pool in pools if pool["name"] == scene.pool for origin in pool["origins"]]


async def wait_origins(scene: Scene, count: int) -> None:
    """Wait until the pool has so many origins, all enabled, of each of two clusters."""

    async def look() -> None:
        found = [one["name"] for one in await origins(scene) if one["enabled"]]
        clusters = {name.split("_")[2] for name in found}
        if len(found) != 2 * count or len(clusters) != 2:
            raise NotYetError(f"origins: {found}")

    await wait_for(f"{count} origins of each cluster", look, within_s=WITHIN_S)


async def writes(theatre: Stage, since: int) -> list[dict[str, Any]]:
    """List the writes to the edge."""
    return [call for call in await theatre.edge.calls(since) if call["method"] != "GET"]


async def wait_rest(theatre: Stage, sweeps: int) -> None:
    """Wait until pools have been listed so often by each operator without any write between."""

    async def look(since: int) -> None:
        calls = await theatre.edge.calls(since)
        assert [call for call in calls if call["method"] != "GET"] == []
        listed = [call for call in calls if call["path"].endswith("/load_balancers/pools")]
        if len(listed) < 2 * sweeps:
            raise NotYetError(f"{len(listed)} listings")

    await wait_for("the sweeps", partial(look, await theatre.edge.last_call()), within_s=sweeps * 90.0)


async def wait_served_by(scene: Scene, pool: str) -> None:
    """Wait until the latest requests of visitors are all answered well, and by a pool."""

    async def look() -> None:
        seen = [one for one in await scene.stage.edge.requests() if one["host"] == scene.hostname][-RECENT:]
        found = {(one["pool"], one["status"]) for one in seen}
        if found != {(pool, 200)}:
            raise NotYetError(f"answered by {found}")

    await wait_for(f"answers of pool {pool}", look, within_s=WITHIN_S)


async def stop_everything(there: Scene) -> list[tuple[str, str]]:
    """Kill every connector of a scene and the operator of its cluster, for good."""
    cluster = there.stage.cluster
    chosen = ((there.namespace, TUNNEL_LABEL), (NAMESPACE, there.stage.operator.selector))
    pods = [
        (pod["metadata"]["name"], namespace)
        for namespace, selector in chosen
        for pod in await cluster.pods(namespace, selector)
    ]
    for name, namespace in reversed(pods):
        await cluster.processes.kill(name, namespace, hold=True)
    return pods


async def test_both_add_and_remove_their_own_origins_whatever_the_other_writes_at_that_moment(
    theatre: Stage, pair: tuple[Scene, Scene]
) -> None:
    here, there = pair
    for scene in pair:
        await scene.tunnel(replicas=1)
    await wait_origins(here, 1)
    for scene in pair:
        await scene.wait_current()
    await theatre.edge.add_fault(POOL_WRITES, hold=2, hold_timeout_s=2)
    try:
        for number in range(ROUNDS):
            count = 2 - number % 2
            for scene in pair:
                await scene.tunnel(replicas=count)
            await wait_origins(here, count)
    finally:
        await theatre.edge.clear_faults()
    for scene in pair:
        await scene.wait_current()
    await wait_rest(theatre, 3)
    await there.delete("tunnels", "web")
    assert {one["name"].split("_")[2] for one in await origins(here)} == {
        one["name"].split("_")[2] for one in await origins(here) if one["enabled"]
    }
    await here.wait_current()
    await here.wait_answered_by(TUNNELS)
    await here.delete("tunnels", "web")
    await here.wait_nothing_remote()


async def test_a_cluster_that_dies_leaves_its_visitors_to_the_other_and_takes_them_back(
    theatre: Stage, pair: tuple[Scene, Scene]
) -> None:
    here, there = pair
    await theatre.edge.set_speed(SPEED)
    try:
        for scene, name in ((there, "first"), (here, "second")):
            pool = f"{scene.pool}-{name}"
            await scene.put("HealthCheck", "web", {"path": "/healthz"})
            await scene.put("LBPool", pool, {"healthCheckRef": {"name": "web"}})
            await scene.put(
                "Tunnel",
                "web",
                {
                    "hostname": scene.hostname,
                    "service": SERVICE,
                    "pool": pool,
                    "replicas": 1,
                    "drainSeconds": 0,
                },
            )
            await scene.wait_current()
        balancer = next(
            one for one in (await theatre.edge.state())["load_balancers"] if one["name"] == here.hostname
        )
        assert len(balancer["default_pools"]) == 2
        async with steady_traffic(theatre.edge.facts, here.hostname, 10.0) as traffic:
            await traffic.wait_settled(TUNNELS, for_s=1.0, within_s=WITHIN_S)
            await wait_served_by(here, f"{here.pool}-first")
            pods = await stop_everything(there)
            await wait_served_by(here, f"{here.pool}-second")
            for name, namespace in pods:
                await there.stage.cluster.processes.release(name, namespace)
            await wait_served_by(here, f"{here.pool}-first")
        await there.stage.wait_operator()
        for scene in pair:
            await scene.wait_current()
        for scene in pair:
            await scene.delete("tunnels", "web")
            await scene.delete("lbpools", f"{scene.pool}-{'first' if scene is there else 'second'}")
            await scene.delete("healthchecks", "web")
        await here.wait_nothing_remote()
    finally:
        await theatre.edge.set_speed(1.0)
