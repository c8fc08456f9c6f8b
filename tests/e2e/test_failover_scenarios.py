"""What can go wrong, on the real chain: what the operator does, and why each request failed (law 7)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from demo.disasters import (
    api_server_hanging,
    enabled_origins,
    hanging,
    node_lost,
    operator_gone,
    rate_limited,
    slandered,
    spare,
    tunnel_ids,
    wait_enabled,
)
from demo.failures import Watch, unexplained, watched
from demo.scene import Scene
from demo.stage import Stage
from demo.traffic import STRANGER, TUNNELS
from demo.waiting import NotYetError, wait_for

_log = logging.getLogger(__name__)
PER_SECOND = 20.0
CONFIG_LAG_S, STATE_LAG_S, DEATH_LAG_S = 3.0, 15.0, 5.0
NOTICED_S = 5.0
"""By the operator: 3 s for a container to come back, and the way of an event and of a write."""
SWEEP_S = 66.0
pytestmark = pytest.mark.usefixtures("real_lags")


@pytest_asyncio.fixture(loop_scope="session")
async def usual_speed(theatre: Stage) -> AsyncIterator[None]:
    """Let the monitors' time go by as usual again after a test that has hastened it."""
    yield
    await theatre.edge.set_speed(1)


async def serve(scene: Scene, replicas: int = 2, *, health_check: bool = False) -> None:
    """Have a Tunnel in a pool answer, and wait until it does."""
    if health_check:
        await scene.put("HealthCheck", "web", {"path": "/healthz"})
        await scene.put("LBPool", scene.pool, {"healthCheckRef": {"name": "web"}})
    await scene.tunnel(replicas=replicas)
    await scene.wait_current()
    await scene.wait_answered_by(TUNNELS)


async def spare_pool(scene: Scene) -> str:
    """Apply a second Tunnel of the same hostname in a pool of its own."""
    name = f"{scene.pool}-spare"
    await scene.tunnel("spare", pool=name, replicas=1)
    await scene.wait_reason("tunnels", "spare", "Ready")
    return name


async def all_answered(watch: Watch, for_s: float = 2.0) -> float:
    """Wait until only the application answers; tell since when, in seconds since the watch began."""
    since = await watch.traffic.wait_settled(TUNNELS, for_s=for_s, within_s=90)
    return since - watch.traffic.samples[0].sent_at


async def test_a_crash_that_comes_back_at_once_writes_nothing_at_cloudflare(
    theatre: Stage, scene: Scene
) -> None:
    await serve(scene)
    async with watched(theatre.edge, scene.hostname, PER_SECOND) as watch:
        await watch.traffic.wait_settled(TUNNELS, for_s=0.5, within_s=20)
        pod = await theatre.connector_pod("web", 0, scene.namespace)
        crashed_s = watch.now_s
        await theatre.cluster.processes.kill(pod, scene.namespace)
        await asyncio.sleep(DEATH_LAG_S + NOTICED_S)
        await all_answered(watch)
        assert await watch.writes(scene.pool) == []
        failures = await watch.failures()
        assert (
            unexplained(failures, ["_web_0"], from_s=crashed_s - 1, until_s=crashed_s + DEATH_LAG_S + 2) == []
        )


async def test_of_the_last_two_that_die_one_stays_in_and_with_another_pool_both_go(
    theatre: Stage, scene: Scene
) -> None:
    await serve(scene)
    for slot in (0, 1):
        await theatre.kill_connector("web", slot, scene.namespace)

    async def one_is_left() -> str:
        (left,) = (
            await enabled_origins(theatre, scene.pool)
            if len(await enabled_origins(theatre, scene.pool)) == 1
            else [""]
        )
        if not left:
            raise NotYetError(f"enabled are {await enabled_origins(theatre, scene.pool)}")
        return left

    await wait_for("one origin to be left", one_is_left, within_s=15)
    await spare_pool(scene)
    await wait_enabled(theatre, scene.pool, set(), within_s=30)
    async with watched(theatre.edge, scene.hostname, PER_SECOND) as watch:
        await watch.traffic.wait_settled(TUNNELS, for_s=1, within_s=20)
        settled_s = watch.now_s
        for slot in (0, 1):
            await theatre.release_connector("web", slot, scene.namespace)
        await wait_enabled(theatre, scene.pool, {"web_0", "web_1"}, within_s=45)
        await asyncio.sleep(CONFIG_LAG_S + 1)
        assert unexplained(await watch.failures(), ["_web_0", "_web_1"], until_s=settled_s) == []
        notes = await theatre.edge.requests()
        assert {one["pool"] for one in notes[-10:] if one["host"] == scene.hostname} == {scene.pool}


@pytest.mark.full
async def test_a_pod_that_hangs_is_out_once_cloudflare_agrees_and_back_when_it_goes_on(
    theatre: Stage, scene: Scene
) -> None:
    await serve(scene)
    pod = await theatre.connector_pod("web", 0, scene.namespace)
    async with watched(theatre.edge, scene.hostname, PER_SECOND) as watch:
        await watch.traffic.wait_settled(TUNNELS, for_s=0.5, within_s=20)
        hung_s = watch.now_s
        async with hanging(theatre, pod, scene.namespace):
            await wait_enabled(theatre, scene.pool, {"web_1"}, within_s=60)
            (write,) = await watch.writes(scene.pool)
            out_s = watch.at_s(write)
            await asyncio.sleep(CONFIG_LAG_S + 1)
            quiet_s = await all_answered(watch)
        await wait_enabled(theatre, scene.pool, {"web_0", "web_1"}, within_s=30)
        await asyncio.sleep(CONFIG_LAG_S + 2)
    failures = await watch.failures()
    assert failures, "the experiment has shown nothing"
    assert unexplained(failures, ["_web_0"], from_s=hung_s - 1, until_s=out_s + CONFIG_LAG_S + 1) == []
    assert len(await watch.writes(scene.pool)) == 2
    _log.info(
        "hung: out after %.1f s, %d failed, quiet after %.1f s",
        out_s - hung_s,
        len(failures),
        quiet_s - hung_s,
    )


@pytest.mark.full
async def test_a_lost_node_s_origin_is_out_in_seconds_and_back_from_the_other_node(
    theatre: Stage, scene: Scene
) -> None:
    await serve(scene)
    pods = {
        slot: await theatre.cluster.find(
            f"/api/v1/namespaces/{scene.namespace}/pods/"
            f"{await theatre.connector_pod('web', slot, scene.namespace)}"
        )
        for slot in (0, 1)
    }
    nodes = {slot: (pod or {})["spec"]["nodeName"] for slot, pod in pods.items()}
    assert len({*nodes.values()}) == 2, "connectors are spread over the nodes"
    await spare(theatre, nodes[1])
    async with watched(theatre.edge, scene.hostname, PER_SECOND) as watch:
        await watch.traffic.wait_settled(TUNNELS, for_s=0.5, within_s=20)
        async with node_lost(theatre, nodes[1]):
            lost_s = watch.now_s
            await wait_enabled(theatre, scene.pool, {"web_0"}, within_s=SWEEP_S + 20)
            (write,) = await watch.writes(scene.pool)
            out_s = watch.at_s(write)
            await asyncio.sleep(CONFIG_LAG_S + 1)
            await all_answered(watch)
            await wait_enabled(theatre, scene.pool, {"web_0", "web_1"}, within_s=90)
            await asyncio.sleep(CONFIG_LAG_S + 2)
    failures = await watch.failures()
    assert failures, "the experiment has shown nothing"
    assert unexplained(failures, ["_web_1"], from_s=lost_s - 1, until_s=out_s + CONFIG_LAG_S + 1) == []
    _log.info("lost node: out after %.1f s, %d failed", out_s - lost_s, len(failures))


@pytest.mark.full
@pytest.mark.usefixtures("usual_speed")
async def test_an_application_that_is_gone_behind_connected_tunnels_is_the_monitors_affair(
    theatre: Stage, scene: Scene
) -> None:
    await serve(scene, health_check=True)
    await scene.wait_reason("lbpools", scene.pool, "Healthy", kind="Healthy")
    await scene.put(
        "Tunnel",
        "spare",
        {
            "hostname": scene.hostname,
            "service": "http_status:200",
            "pool": f"{scene.pool}-spare",
            "replicas": 1,
        },
    )
    await scene.wait_current()
    async with watched(theatre.edge, scene.hostname, PER_SECOND) as watch:
        await watch.traffic.wait_settled(TUNNELS, for_s=0.5, within_s=20)
        gone_s = watch.now_s
        await theatre.edge.set_speed(30)
        await theatre.cluster.kubectl("scale", "deployment/web", "--replicas=0")
        try:
            await watch.traffic.wait_settled(STRANGER, for_s=1, within_s=30)
            ruled_s = watch.now_s
            await scene.wait_reason("lbpools", scene.pool, "BelowThreshold", kind="Healthy")
            assert await enabled_origins(theatre, scene.pool) == {"web_0", "web_1"}
        finally:
            await theatre.cluster.kubectl("scale", "deployment/web", "--replicas=1")
            await theatre.cluster.wait_rolled_out("default", "web", within_s=60)
        await watch.traffic.wait_settled(TUNNELS, for_s=1, within_s=30)
    failures = await watch.failures()
    assert failures, "the experiment has shown nothing"
    assert unexplained(failures, ["_web_0", "_web_1"], from_s=gone_s - 1, until_s=ruled_s) == []
    assert await watch.writes(scene.pool) == []
    _log.info("application gone: %d failed", len(failures))


@pytest.mark.full
async def test_a_sick_cloudflare_that_calls_every_tunnel_down_costs_no_request(
    theatre: Stage, scene: Scene
) -> None:
    await serve(scene, replicas=3)
    ids = await tunnel_ids(theatre, scene.namespace)
    assert len(ids) == 3
    everybody = {"web_0", "web_1", "web_2"}
    least = everybody
    async with watched(theatre.edge, scene.hostname, PER_SECOND) as watch:
        await watch.traffic.wait_settled(TUNNELS, for_s=0.5, within_s=20)
        settled_s = watch.now_s
        async with slandered(theatre, ids):
            until = asyncio.get_running_loop().time() + SWEEP_S + 30
            while asyncio.get_running_loop().time() < until:
                least = min(least, await enabled_origins(theatre, scene.pool), key=len)
                await asyncio.sleep(1)
        await wait_enabled(theatre, scene.pool, everybody, within_s=SWEEP_S + 20)
        assert len(least) == 2, "a third, no more and no less"
        assert unexplained(await watch.failures(), [], until_s=settled_s) == []
        assert len(await watch.writes(scene.pool)) == 2


@pytest.mark.full
async def test_a_minute_without_the_clusters_api_takes_nothing_out_and_costs_no_request(
    theatre: Stage, scene: Scene
) -> None:
    await serve(scene)
    async with watched(theatre.edge, scene.hostname, PER_SECOND) as watch:
        await watch.traffic.wait_settled(TUNNELS, for_s=0.5, within_s=20)
        async with api_server_hanging(theatre):
            await asyncio.sleep(60)
        await theatre.wait_operator()
        await scene.tunnel(replicas=2, weight=0.5)

        async def converged() -> None:
            pools = [one for one in (await theatre.edge.state())["pools"] if one["name"] == scene.pool]
            if {origin["weight"] for one in pools for origin in one["origins"]} != {0.5}:
                raise NotYetError("the weight has not come through")

        await wait_for("the operator to go on", converged, within_s=120)
        assert await watch.failures() == []
        (write,) = await watch.writes(scene.pool)
        assert all(origin["enabled"] for origin in write["body"]["origins"])


@pytest.mark.full
async def test_a_minute_of_429_loses_nothing_and_the_origin_is_back_when_it_is_over(
    theatre: Stage, scene: Scene
) -> None:
    await serve(scene)
    await theatre.kill_connector("web", 1, scene.namespace)
    await wait_enabled(theatre, scene.pool, {"web_0"}, within_s=15)
    await asyncio.sleep(CONFIG_LAG_S)
    async with watched(theatre.edge, scene.hostname, PER_SECOND) as watch:
        await watch.traffic.wait_settled(TUNNELS, for_s=0.5, within_s=20)
        async with rate_limited(theatre):
            await theatre.release_connector("web", 1, scene.namespace)
            await asyncio.sleep(60)
            assert await watch.writes(scene.pool) == []
        await wait_enabled(theatre, scene.pool, {"web_0", "web_1"}, within_s=45)
        await asyncio.sleep(CONFIG_LAG_S + 2)
        assert await watch.failures() == []
        assert len(await watch.writes(scene.pool)) == 1


@pytest.mark.full
@pytest.mark.usefixtures("usual_speed")
async def test_without_the_operator_the_monitors_rule_and_it_takes_over_from_them(
    theatre: Stage, scene: Scene
) -> None:
    await serve(scene, health_check=True)
    await scene.wait_reason("lbpools", scene.pool, "Healthy", kind="Healthy")
    async with watched(theatre.edge, scene.hostname, PER_SECOND) as watch:
        await watch.traffic.wait_settled(TUNNELS, for_s=0.5, within_s=20)
        async with operator_gone(theatre):
            killed_s = watch.now_s
            await theatre.kill_connector("web", 1, scene.namespace)
            await theatre.edge.set_speed(20)  # a probe each 3 s
            await all_answered(watch, for_s=4)
            ruled_s = watch.now_s
            assert await watch.writes(scene.pool) == []
        await theatre.edge.set_speed(1)
        await wait_enabled(theatre, scene.pool, {"web_0"}, within_s=30)
        await theatre.release_connector("web", 1, scene.namespace)
        await wait_enabled(theatre, scene.pool, {"web_0", "web_1"}, within_s=45)
        await asyncio.sleep(CONFIG_LAG_S + 2)
    failures = await watch.failures()
    assert failures, "the experiment has shown nothing"
    assert unexplained(failures, ["_web_1"], from_s=killed_s - 1, until_s=ruled_s) == []
    _log.info("no operator: quiet after %.1f s, %d failed", ruled_s - killed_s, len(failures))


@pytest.mark.full
async def test_killed_between_taking_out_and_putting_back_the_operator_knows_by_the_mark(
    theatre: Stage, scene: Scene
) -> None:
    await serve(scene)
    await theatre.kill_connector("web", 1, scene.namespace)
    await wait_enabled(theatre, scene.pool, {"web_0"}, within_s=15)
    await asyncio.sleep(CONFIG_LAG_S)
    async with watched(theatre.edge, scene.hostname, PER_SECOND) as watch:
        await watch.traffic.wait_settled(TUNNELS, for_s=0.5, within_s=20)
        async with operator_gone(theatre):
            await theatre.release_connector("web", 1, scene.namespace)
            await asyncio.sleep(5)
        await wait_enabled(theatre, scene.pool, {"web_0", "web_1"}, within_s=30)
        await asyncio.sleep(CONFIG_LAG_S + 2)
        assert await watch.failures() == []
        assert len(await watch.writes(scene.pool)) == 1
