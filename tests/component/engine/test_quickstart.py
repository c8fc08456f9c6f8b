"""From nothing to served, and then silence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from resources import apply_quickstart, apply_static, apply_tunnel, patch
from running_world import World

from tunnelpool.domain.remote import (
    DnsRecord,
    LoadBalancer,
    Monitor,
    Pool,
    RemoteKind,
    RemoteValue,
    Tunnel,
)
from tunnelpool.plan.steps import Create, Delete, Update

pytestmark = pytest.mark.looptime(noop_cycles=1)


def order_of(world: World, start: int, made: type[RemoteValue], gone: RemoteKind) -> bool:
    """Tell whether the one was created before the other was deleted."""
    steps = world.remote.log[start:]
    created = next(i for i, s in enumerate(steps) if isinstance(s, Create) and isinstance(s.value, made))
    deleted = next(i for i, s in enumerate(steps) if isinstance(s, Delete) and s.kind is gone)
    return created < deleted


async def test_the_quickstart_is_served_and_everything_says_ready(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        assert world.is_ready(), world.cluster.all("Tunnel", "LBPool", "HealthCheck")
        assert len(world.remote.answering("my.example.com")) == 3
        pool = world.remote.named(Pool, "my-pool").value
        assert pool.monitor == world.remote.only(Monitor).id
        assert pool.minimum_origins == 2
        balancer = world.remote.only(LoadBalancer).value
        assert balancer.fallback_pool == world.remote.named(Pool, "static").id
        status = world.status("Tunnel", "web")
        assert (status["replicas"], status["readyReplicas"], status["billableOrigins"]) == (3, 3, 3)
        assert [origin["state"] for origin in status["origins"]] == ["Registered"] * 3
        assert [origin["healthy"] for origin in status["origins"]] == [True] * 3
        assert status["pool"]["health"] == "healthy"
        assert status["loadBalancer"] == {
            "id": world.remote.only(LoadBalancer).id,
            "servingPools": ["my-pool"],
            "onFallback": False,
        }
        assert world.status("LBPool", "my-pool")["serving"] is True
        assert world.status("LBPool", "static")["serving"] is False


async def test_ready_is_unknown_before_the_first_call(world: World) -> None:
    seen: list[str] = []

    def note(phase: str, call: str) -> None:
        if phase == "before" and call == "Create":
            seen.append(world.condition("Tunnel", "web"))

    async with world:
        apply_tunnel(world)
        world.trip(note)
        await world.start()
        await world.quiet()
    assert seen[0] == "Unknown/Pending"


async def test_the_finalizer_is_there_before_the_first_remote_object(world: World) -> None:
    protected: list[bool] = []

    def note(phase: str, call: str) -> None:
        if phase == "before" and call == "Create":
            raws = world.cluster.all("Tunnel", "LBPool", "HealthCheck")
            protected.append(any(raw["metadata"].get("finalizers") for raw in raws))

    async with world:
        apply_quickstart(world)
        world.trip(note)
        await world.start()
        await world.quiet()
        assert protected
        assert all(protected)
        assert all(
            raw["metadata"]["finalizers"] for raw in world.cluster.all("Tunnel", "LBPool", "HealthCheck")
        )


async def test_nothing_is_written_at_rest_nor_by_a_fresh_start(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written = world.writes()
        await world.quiet(for_s=1300.0)
        fresh = await world.restart()
        await world.quiet()
        assert world.writes() == written
        assert not fresh.meter.steps


async def test_one_changed_field_is_one_write(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        before = len(world.remote.log)
        patch(world, "LBPool", "my-pool", minimumOrigins=3)
        await world.quiet()
        (step,) = world.remote.log[before:]
        assert isinstance(step, Update)
        assert [change.field for change in step.changes] == ["minimum_origins"]


async def test_a_load_balancer_appears_only_once_an_origin_is_healthy(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.until(lambda: len(world.origins("my-pool")) == 3, within_s=30)
        assert not world.remote.all(LoadBalancer)
        assert world.condition("Tunnel", "web").startswith("False/WaitingForHealth")
        await world.quiet()
        assert world.remote.all(LoadBalancer)


async def test_pool_and_load_balancer_are_derived_from_a_lone_tunnel(world: World) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet(for_s=30)
        assert world.is_ready()
        assert world.remote.only(LoadBalancer).value.default_pools == (world.remote.only(Pool).id,)
        assert world.remote.only(Pool).value.check_regions == ("WNAM",)


async def test_a_tunnel_without_pool_gets_a_cname_and_needs_no_load_balancing(world: World) -> None:
    async with world:
        world.remote.has_load_balancing = False
        apply_tunnel(world, pool=None)
        await world.start()
        await world.quiet(for_s=30)
        assert world.is_ready()
        assert not world.remote.all(Pool)
        record = world.remote.only(DnsRecord).value
        assert record.content == f"{world.remote.only(Tunnel).id}.cfargotunnel.com"
        assert len(world.remote.answering("my.example.com")) == 1


async def test_a_tunnel_that_gains_a_pool_gets_its_load_balancer_before_the_cname_goes(world: World) -> None:
    async with world:
        apply_tunnel(world, pool=None)
        await world.start()
        await world.quiet(for_s=30)
        start = len(world.remote.log)
        patch(world, "Tunnel", "web", pool="my-pool")
        await world.quiet()
        assert world.is_ready()
        assert not world.remote.all(DnsRecord)
        kinds = [
            type(s.value).__name__ if isinstance(s, Create) else str(s) for s in world.remote.log[start:]
        ]
        created = kinds.index("LoadBalancer")
        deleted = next(i for i, text in enumerate(kinds) if "DNS_RECORD" in text)
        assert created < deleted


async def test_a_tunnel_that_loses_its_pool_gets_its_cname_before_the_load_balancer_goes(
    world: World,
) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet(for_s=30)
        start = len(world.remote.log)
        patch(world, "Tunnel", "web", pool=None)
        for _ in range(200):
            await asyncio.sleep(0.5)
            assert world.remote.answering("my.example.com")
        assert order_of(world, start, DnsRecord, RemoteKind.LOAD_BALANCER)
        assert world.is_ready()
        assert not world.remote.all(Pool)


async def test_a_pool_of_addresses_needs_nobody_to_refer_to_it(world: World) -> None:
    async with world:
        apply_static(world)
        await world.start()
        await world.quiet(for_s=30)
        assert world.is_ready()
        assert world.remote.only(Pool).value.origins[0].address == "fallback.example.net"


@pytest.mark.parametrize(
    ("fields", "billed"),
    [
        ({"replicas": 3}, 3),
        ({"replicas": 3, "registration": "Shared"}, 1),
        ({"replicas": 2, "pool": None}, 0),
        (
            {
                "replicas": 2,
                "ingress": [
                    {"hostname": "api.example.com", "service": "http://api:80", "pool": "api"},
                    {"hostname": "docs.example.com", "service": "http://docs:80"},
                ],
            },
            4,
        ),
        ({"replicas": 0}, 0),
    ],
)
async def test_each_origin_of_each_pool_is_billed_also_while_it_is_out(
    world: World, fields: dict[str, Any], billed: int
) -> None:
    async with world:
        apply_tunnel(world, **fields)
        await world.start()
        await world.quiet()
        assert world.status("Tunnel", "web")["billableOrigins"] == billed
        origins = sum(len(pool.value.origins) for pool in world.remote.all(Pool))
        assert origins == billed
        world.pods.kill("web-connector-0", hold=True)
        await world.quiet()
        assert world.status("Tunnel", "web")["billableOrigins"] == billed
