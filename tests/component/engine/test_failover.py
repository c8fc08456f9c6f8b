"""Out in seconds, on evidence; back by itself; never on a rumour (law 7)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from resources import HOST, apply_quickstart, apply_static, apply_tunnel
from running_world import World

from tunnelpool.domain.ownership import read_mark
from tunnelpool.domain.remote import LoadBalancer, Pool

pytestmark = pytest.mark.looptime(noop_cycles=1)


def out(world: World, pool: str = "my-pool") -> set[str]:
    """List the origins that the pool's mark calls out by the operator."""
    mark = read_mark(world.remote.named(Pool, pool).value.description)
    assert mark is not None
    return {name.rpartition("_")[2] for name in mark.out}


async def test_a_killed_connector_is_out_within_5_s_and_back_once_it_is_ready(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        world.pods.kill("web-connector-1", hold=True)
        await world.until(lambda: world.enabled("my-pool") == {"0", "2"}, within_s=5)
        assert out(world) == {"1"}
        await world.quiet()
        assert len(world.remote.log) == written + 1
        origin = world.status("Tunnel", "web")["origins"][1]
        assert origin["state"] == "OutByOperator"
        assert world.condition("Tunnel", "web") == "False/WaitingForConnectors"
        world.pods.release("web-connector-1")
        await world.until(lambda: world.enabled("my-pool") == {"0", "1", "2"}, within_s=30)
        assert not out(world)
        await world.quiet()
        assert len(world.remote.log) == written + 2
        assert world.is_ready()
        assert world.status("Tunnel", "web")["pool"]["health"] == "healthy"


async def test_a_connector_that_is_back_within_3_s_stays_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pods.RESTART_S", 0.2)
    monkeypatch.setattr("pods.START_S", 1.0)
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        world.pods.kill("web-connector-1")
        await world.quiet()
        assert len(world.remote.log) == written


async def test_below_the_threshold_the_fallback_answers_and_later_the_tunnels_again(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        world.pods.kill("web-connector-0", hold=True)
        world.pods.kill("web-connector-1", hold=True)
        await world.until(lambda: world.enabled("my-pool") == {"2"}, within_s=6)
        assert [o.address for o in world.remote.answering(HOST)] == ["fallback.example.net"]
        await world.quiet()
        assert world.status("Tunnel", "web")["loadBalancer"]["onFallback"] is True
        assert world.status("LBPool", "static")["serving"] is True
        assert world.status("LBPool", "my-pool")["health"] == "critical"
        assert world.condition("LBPool", "my-pool", "Healthy") == "False/BelowThreshold"
        assert ("Tunnel", "FailedOver") in {(kind, reason) for kind, reason, _ in world.cluster.events}
        world.pods.release("web-connector-0")
        await world.quiet()
        assert len(world.remote.answering(HOST)) == 2
        assert world.status("Tunnel", "web")["loadBalancer"]["onFallback"] is False
        assert ("Tunnel", "FailedBack") in {(kind, reason) for kind, reason, _ in world.cluster.events}


async def test_the_last_enabled_origin_stays_in_where_nothing_else_can_answer(world: World) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet(for_s=30)
        world.pods.kill("web-connector-0", hold=True)
        await world.quiet()
        assert world.enabled("my-pool") == {"1"}
        world.pods.kill("web-connector-1", hold=True)
        await world.quiet()
        assert world.enabled("my-pool") == {"1"}
        assert world.remote.only(Pool).value.enabled


async def test_with_a_fallback_the_last_origin_goes_out_and_the_pool_with_it(world: World) -> None:
    async with world:
        apply_tunnel(world)
        world.cluster.apply("LBPool", "my-pool", {"fallbackRef": {"name": "static"}})
        apply_static(world)
        await world.start()
        await world.quiet(for_s=30)
        world.pods.kill("web-connector-0", hold=True)
        world.pods.kill("web-connector-1", hold=True)
        await world.until(lambda: not world.enabled("my-pool"), within_s=10)
        assert not world.remote.named(Pool, "my-pool").value.enabled
        assert [o.address for o in world.remote.answering(HOST)] == ["fallback.example.net"]
        world.pods.release("web-connector-0")
        await world.quiet()
        assert world.remote.named(Pool, "my-pool").value.enabled
        assert len(world.remote.answering(HOST)) == 1


async def test_without_fast_failover_the_monitor_rules_and_status_follows_it(world: World) -> None:
    world.fast_failover = False
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        world.pods.kill("web-connector-1", hold=True)
        await world.quiet(for_s=200)
        assert len(world.remote.log) == written
        status = world.status("Tunnel", "web")
        assert status["pool"]["health"] == "degraded"
        assert status["origins"][1]["healthy"] is False
        assert world.status("LBPool", "my-pool")["healthyOrigins"] == 2


async def test_a_switch_of_the_users_is_left_alone(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        pool = world.remote.named(Pool, "my-pool")
        first, *others = pool.value.origins
        origins = (replace(first, enabled=False), *others)
        world.remote.objects[pool.id] = replace(pool, value=replace(pool.value, origins=origins))
        await world.quiet()
        world.pods.kill("web-connector-0")
        await world.quiet()
        assert world.enabled("my-pool") == {"1", "2"}
        assert not out(world)
        assert world.status("Tunnel", "web")["origins"][0]["state"] == "Disabled"


async def test_what_was_taken_out_before_a_restart_comes_back_after_it(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        world.pods.kill("web-connector-1", hold=True)
        await world.until(lambda: world.enabled("my-pool") == {"0", "2"}, within_s=5)
        await world.restart()
        await world.quiet()
        assert world.enabled("my-pool") == {"0", "2"}
        world.pods.release("web-connector-1")
        await world.quiet()
        assert world.enabled("my-pool") == {"0", "1", "2"}


async def test_a_sick_cluster_api_empties_no_pool(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        assert world.operator is not None
        world.operator.evidence_holds = False
        world.pods.kill("web-connector-1", hold=True)
        await world.quiet()
        assert len(world.remote.log) == written


async def test_a_rollout_writes_nothing_to_cloudflare_and_loses_nothing(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written, before = len(world.remote.log), len(world.cluster.log)
        apply_tunnel(world, replicas=3, podTemplate={"image": "cloudflared:next"})
        for _ in range(120):
            await asyncio.sleep(0.5)
            assert len(world.remote.answering(HOST)) == 3
        await world.quiet()
        assert len(world.remote.log) == written
        assert sum("ApplyObject Deployment" in line for line in world.cluster.log[before:]) == 3
        assert world.remote.all(LoadBalancer)


async def test_the_status_of_a_load_balancer_follows_its_pools_with_nothing_else_happening(
    world: World,
) -> None:
    async with world:
        world.cluster.apply("HealthCheck", "web", {})
        apply_static(world, "first", healthCheckRef={"name": "web"})
        world.cluster.apply("LBPool", "second", {"origins": [{"name": "two", "address": "192.0.2.2"}]})
        spec = {"hostname": HOST, "pools": ["first"], "fallbackRef": {"name": "second"}}
        world.cluster.apply("LoadBalancer", "web", spec)
        await world.start()
        await world.quiet()
        assert world.status("LoadBalancer", "web")["servingPool"] == "first"
        world.remote.unreachable_addresses.add("fallback.example.net")
        await world.quiet(for_s=150)
        status = world.status("LoadBalancer", "web")
        assert (status["servingPool"], status["onFallback"]) == ("second", True)
        assert ("LoadBalancer", "FailedOver") in {(kind, why) for kind, why, _ in world.cluster.events}


async def test_the_status_of_a_tunnel_follows_a_pool_that_no_object_describes(world: World) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet(for_s=150)
        pool = world.remote.only(Pool)
        first, *others = pool.value.origins
        origins = (replace(first, enabled=False), *others)
        world.remote.objects[pool.id] = replace(pool, value=replace(pool.value, origins=origins))
        await world.quiet(for_s=70)
        states = [origin["state"] for origin in world.status("Tunnel", "web")["origins"]]
        assert states == ["Disabled", "Registered"]


async def test_each_transition_is_told_once_of_whom_it_concerns_and_not_again_by_a_restart(
    world: World,
) -> None:
    async with world:
        apply_quickstart(world)
        spec = {"hostname": HOST, "pools": ["my-pool"], "fallbackRef": {"name": "static"}}
        world.cluster.apply("LoadBalancer", "lb", spec)
        await world.start()
        await world.quiet()
        world.cluster.events.clear()
        for name in ("web-connector-0", "web-connector-1"):
            world.pods.kill(name, hold=True)
        await world.quiet()
        await world.restart()
        await world.quiet()
        told = [(kind, reason) for kind, reason, _ in world.cluster.events]
        assert told.count(("Tunnel", "FailedOver")) == 1
        assert told.count(("LoadBalancer", "FailedOver")) == 1
        assert told.count(("LBPool", "PoolDegraded")) == 1
        assert told.count(("Tunnel", "PoolDegraded")) in {1, 2}  # as its origins are lost, together or not
        assert {reason for _, reason in told} == {"FailedOver", "PoolDegraded"}
        world.cluster.events.clear()
        for name in ("web-connector-0", "web-connector-1"):
            world.pods.release(name)
        await world.quiet()
        await world.restart()
        await world.quiet()
        told = [(kind, reason) for kind, reason, _ in world.cluster.events]
        assert sorted(told) == [("LoadBalancer", "FailedBack"), ("Tunnel", "FailedBack")]


async def test_restarts_in_the_middle_of_a_failure_tell_nothing_twice(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        world.cluster.events.clear()
        for name in ("web-connector-0", "web-connector-1"):
            world.pods.kill(name, hold=True)
        await world.until(lambda: world.cluster.events)
        for _ in range(3):
            await world.restart()
            await world.quiet()
        assert len(world.cluster.events) == len(set(world.cluster.events))
