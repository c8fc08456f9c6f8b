"""`suspend`: nothing is written for the object, to either API, and it says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from resources import HOST, apply_quickstart, apply_static, apply_tunnel, delete_all, patch
from running_world import World

from tunnelpool.domain.remote import LoadBalancer, Monitor, Pool, Tunnel

pytestmark = pytest.mark.looptime(noop_cycles=1)
KINDS = [("Tunnel", "web"), ("LBPool", "my-pool"), ("HealthCheck", "web"), ("LoadBalancer", "lb")]


async def _ready(world: World) -> None:
    apply_quickstart(world)
    balancer = {"hostname": HOST, "pools": ["my-pool"], "fallbackRef": {"name": "static"}}
    world.cluster.apply("LoadBalancer", "lb", balancer)
    await world.start()
    await world.quiet()
    assert world.is_ready()


def _changed(world: World, kind: str) -> dict[str, Any]:
    """Change something at Cloudflare, by hand, that the operator would set right."""
    model: type[Any] = {"LBPool": Pool, "HealthCheck": Monitor, "LoadBalancer": LoadBalancer}[kind]
    field, value = {
        "LBPool": ("minimum_origins", 1),
        "HealthCheck": ("interval", 77),
        "LoadBalancer": ("steering_policy", "random"),
    }[kind]
    one = next(one for one in world.remote.all(model) if getattr(one.value, "name", "my-pool") != "static")
    world.remote.objects[one.id] = replace(one, value=replace(one.value, **{field: value}))
    return {"id": one.id, "field": field, "value": value}


@pytest.mark.parametrize(("kind", "name"), KINDS)
async def test_a_suspended_object_says_so_and_is_neither_stalled_nor_on_its_way(
    world: World, kind: str, name: str
) -> None:
    async with world:
        await _ready(world)
        before = len(world.remote.log)
        patch(world, kind, name, suspend=True)
        await world.quiet()
        assert world.condition(kind, name) == "False/Suspended"
        assert not world.condition(kind, name, "Stalled")
        assert not world.condition(kind, name, "Reconciling")
        assert len(world.remote.log) == before
        patch(world, kind, name, suspend=None)
        await world.quiet()
        assert world.is_ready()
        assert len(world.remote.log) == before


@pytest.mark.parametrize(("kind", "name"), KINDS[1:])
async def test_what_is_edited_by_hand_stays_while_the_object_is_suspended(
    world: World, kind: str, name: str
) -> None:
    async with world:
        await _ready(world)
        patch(world, kind, name, suspend=True)
        await world.quiet()
        edit = _changed(world, kind)
        await world.quiet(for_s=400)
        assert getattr(world.remote.objects[edit["id"]].value, edit["field"]) == edit["value"]
        patch(world, kind, name, suspend=None)
        await world.quiet()
        assert getattr(world.remote.objects[edit["id"]].value, edit["field"]) != edit["value"]


async def test_what_is_suspended_from_the_start_is_not_even_begun(world: World) -> None:
    async with world:
        apply_tunnel(world, suspend=True)
        apply_static(world, suspend=True)
        world.cluster.apply("HealthCheck", "web", {"suspend": True})
        world.cluster.apply("LoadBalancer", "lb", {"hostname": HOST, "pools": ["static"], "suspend": True})
        await world.start()
        await world.quiet()
        assert not world.remote.objects
        assert not world.remains(), "not even a finalizer"
        assert world.condition("Tunnel", "web") == "False/Suspended"


async def test_a_suspended_tunnel_keeps_its_origins_and_connectors_as_they_are(world: World) -> None:
    async with world:
        await _ready(world)
        patch(world, "Tunnel", "web", suspend=True)
        await world.quiet()
        patch(world, "Tunnel", "web", replicas=1)
        await world.quiet()
        assert len(world.enabled("my-pool")) == 3
        assert len(world.cluster.all("Deployment")) == 3
        assert len(world.remote.answering(HOST)) == 3


async def test_other_tunnels_of_the_pool_come_and_go_beside_a_suspended_one(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=1)
        await world.start()
        await world.quiet()
        patch(world, "Tunnel", "web", suspend=True)
        apply_tunnel(world, "second", replicas=1)
        await world.quiet()
        (pool,) = world.remote.all(Pool)
        assert len(pool.value.origins) == 2
        world.cluster.delete("Tunnel", "second")
        await world.quiet()
        (pool,) = world.remote.all(Pool)
        assert len(pool.value.origins) == 1
        assert world.cluster.get("Tunnel", "second") is None
        assert world.condition("Tunnel", "web") == "False/Suspended"


async def test_a_pool_named_first_while_suspended_does_not_answer_for_the_hostname(world: World) -> None:
    async with world:
        apply_tunnel(world, pool="one", replicas=1, suspend=True)
        apply_tunnel(world, "second", pool="two", replicas=1)
        apply_tunnel(world, "other", hostname="other.example.com", pool="one", replicas=1)
        await world.start()
        await world.quiet()
        assert {one.value.name for one in world.remote.all(Pool)} == {"one", "two"}, "one is another's too"
        two = world.remote.named(Pool, "two")
        assert world.remote.named(LoadBalancer, HOST).value.default_pools == (two.id,)
        patch(world, "Tunnel", "web", suspend=None)
        await world.quiet()
        assert world.is_ready()
        assert len(world.remote.named(LoadBalancer, HOST).value.default_pools) == 2


async def test_a_suspended_tunnel_keeps_its_pool_while_another_leaves_the_hostname(world: World) -> None:
    async with world:
        apply_tunnel(world, pool="one", replicas=1)
        apply_tunnel(world, "second", pool="two", replicas=1)
        await world.start()
        await world.quiet()
        patch(world, "Tunnel", "web", suspend=True)
        await world.quiet()
        world.cluster.delete("Tunnel", "second")
        await world.quiet()
        assert world.cluster.get("Tunnel", "second") is None
        (pool,) = world.remote.all(Pool)
        assert world.remote.only(LoadBalancer).value.default_pools == (pool.id,)


async def test_deletion_goes_on_all_the_same(world: World) -> None:
    async with world:
        await _ready(world)
        for kind, name in KINDS:
            patch(world, kind, name, suspend=True)
        await world.quiet()
        delete_all(world)
        await world.quiet()
        assert not world.cluster.all("Tunnel", "LBPool", "HealthCheck", "LoadBalancer")
        assert not world.remains()


async def test_a_deletion_that_a_suspended_pool_blocks_names_it(world: World) -> None:
    async with world:
        await _ready(world)
        patch(world, "LBPool", "my-pool", suspend=True)
        world.cluster.delete("Tunnel", "web")
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/DeletionBlocked"
        assert "LBPool default/my-pool has `suspend: true`" in world.message("Tunnel", "web")
        assert len(world.remote.all(Tunnel)) == 3
        patch(world, "LBPool", "my-pool", suspend=None)
        await world.quiet()
        assert world.cluster.get("Tunnel", "web") is None
