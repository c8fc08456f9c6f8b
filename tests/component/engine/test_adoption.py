"""`adoption: IfUnowned`: what carries no mark is taken over in one change; what carries one never is."""

from __future__ import annotations

import pytest
from resources import HOST, apply_quickstart, apply_static, apply_tunnel, delete_all, patch
from running_world import OWNER, World

from tunnelpool.build.ownership import is_ours
from tunnelpool.domain.ownership import Mark, Owner
from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Monitor, Origin, Pool, Tunnel
from tunnelpool.plan.steps import Create, Update

pytestmark = pytest.mark.looptime(noop_cycles=1)
ADOPT = {"adoption": "IfUnowned"}
BY_HAND = Origin("by-hand", "192.0.2.1")
THEIRS = str(Mark(Owner("there", "ffffffff"), "pool/x"))
LATER = "[tunnelpool/v9 of the future]"


def _by_hand(world: World, description: str = "by hand") -> tuple[str, str]:
    """Make a pool and a load balancer as a person would."""
    pool = world.remote.put(Pool("static", (BY_HAND,), description, check_regions=("WEU",)))
    return pool, world.remote.put(LoadBalancer(HOST, (pool,), pool, description), "zone-com")


async def test_a_pool_and_a_load_balancer_are_taken_over_with_one_change_each(world: World) -> None:
    async with world:
        ids = _by_hand(world)
        apply_static(world, **ADOPT)
        world.cluster.apply("LoadBalancer", "lb", {"hostname": HOST, "pools": ["static"], **ADOPT})
        await world.start()
        await world.quiet()
        assert world.is_ready()
        assert [type(step) for step in world.remote.log] == [Update, Update]
        assert set(world.remote.objects) == set(ids)
        assert all(is_ours(one.value, OWNER) for one in world.remote.objects.values())
        assert [one.name for one in world.remote.only(Pool).value.origins] == ["static"]
        delete_all(world)
        await world.quiet()
        assert not world.remote.objects


@pytest.mark.parametrize("fields", [{}, {"adoption": "Never"}])
async def test_without_adoption_the_refusal_names_it_as_a_way(world: World, fields: dict[str, str]) -> None:
    async with world:
        _by_hand(world)
        before = dict(world.remote.objects)
        apply_static(world, **fields)
        world.cluster.apply("LoadBalancer", "lb", {"hostname": HOST, "pools": ["static"], **fields})
        await world.start()
        await world.quiet()
        assert world.condition("LBPool", "static") == "False/NameInUse"
        assert world.condition("LoadBalancer", "lb") == "False/HostnameInUse"
        assert world.message("LBPool", "static").endswith("or set `adoption` to 'IfUnowned'")
        assert world.remote.objects == before
        delete_all(world)
        await world.quiet()
        assert not world.cluster.all("LBPool", "LoadBalancer")
        assert world.remote.objects == before


@pytest.mark.parametrize("mark", [THEIRS, LATER])
async def test_what_another_has_marked_is_never_taken_over(world: World, mark: str) -> None:
    async with world:
        _by_hand(world, mark)
        world.remote.put(Monitor(mark))
        before = dict(world.remote.objects)
        apply_static(world, **ADOPT)
        world.cluster.apply("HealthCheck", "check", {"description": "x", **ADOPT})
        world.cluster.apply("LoadBalancer", "lb", {"hostname": HOST, "pools": ["static"], **ADOPT})
        await world.start()
        await world.quiet()
        assert world.condition("LBPool", "static") == "False/NameInUse"
        assert world.condition("LoadBalancer", "lb") == "False/HostnameInUse"
        assert "adoption" not in world.message("LBPool", "static")
        assert {id_: world.remote.objects[id_] for id_ in before} == before


async def test_a_derived_load_balancer_takes_over_only_once_the_tunnels_are_healthy(world: World) -> None:
    async with world:
        pool = world.remote.put(Pool("old", (BY_HAND,), check_regions=("WEU",)))
        world.remote.put(LoadBalancer(HOST, (pool,), pool), "zone-com")
        apply_quickstart(world)
        patch(world, "Tunnel", "web", **ADOPT)
        await world.start()
        await world.until(lambda: len(world.enabled("my-pool")) == 3)
        assert world.remote.answering(HOST) == [BY_HAND]
        await world.quiet()
        assert world.is_ready()
        assert is_ours(world.remote.only(LoadBalancer).value, OWNER)
        assert len(world.remote.answering(HOST)) == 3
        assert world.remote.named(Pool, "old").value.origins == (BY_HAND,)


@pytest.mark.parametrize("kind", ["A", "CNAME"])
async def test_a_record_becomes_the_cname_of_a_tunnel_without_pool(world: World, kind: str) -> None:
    async with world:
        id_ = world.remote.put(DnsRecord(HOST, kind, "192.0.2.7"), "zone-com")
        apply_tunnel(world, pool=None, **ADOPT)
        await world.start()
        await world.quiet()
        assert world.is_ready()
        record = world.remote.objects[id_].value
        assert (record.type, is_ours(record, OWNER)) == ("CNAME", True)
        assert not any(
            isinstance(one, Create) and isinstance(one.value, DnsRecord) for one in world.remote.log
        )


async def test_a_load_balancer_beats_a_record_and_leaves_it_as_it_is(world: World) -> None:
    async with world:
        record = DnsRecord(HOST, "A", "192.0.2.7")
        world.remote.put(record, "zone-com")
        apply_tunnel(world, **ADOPT)
        await world.start()
        await world.quiet()
        assert world.is_ready()
        delete_all(world)
        await world.quiet()
        assert not world.remote.all(LoadBalancer)
        assert world.remote.only(DnsRecord).value == record


async def test_two_records_are_too_many_to_take_over(world: World) -> None:
    async with world:
        for content in ("192.0.2.7", "192.0.2.8"):
            world.remote.put(DnsRecord(HOST, "A", content), "zone-com")
        apply_tunnel(world, pool=None, **ADOPT)
        await world.start()
        await world.until(lambda: world.condition("Tunnel", "web") == "False/HostnameInUse")
        assert not any(isinstance(one, Update) for one in world.remote.log)


async def test_a_monitor_is_known_by_its_description_if_only_one_has_it(world: World) -> None:
    async with world:
        id_ = world.remote.put(Monitor("checkout", interval=77))
        world.remote.put(Monitor("other"))
        world.cluster.apply("HealthCheck", "check", {"description": "checkout", **ADOPT})
        await world.start()
        await world.quiet()
        assert world.status("HealthCheck", "check")["id"] == id_
        assert is_ours(world.remote.objects[id_].value, OWNER)
        assert [type(step) for step in world.remote.log] == [Update]


async def test_of_two_monitors_with_the_description_none_is_taken(world: World) -> None:
    async with world:
        for _ in range(2):
            world.remote.put(Monitor("checkout"))
        world.cluster.apply("HealthCheck", "check", {"description": "checkout", **ADOPT})
        await world.start()
        await world.until(lambda: world.condition("HealthCheck", "check") == "True/Ready")
        assert [type(step) for step in world.remote.log] == [Create]


async def test_what_was_retained_can_be_taken_over_again(world: World) -> None:
    async with world:
        apply_tunnel(world, deletionPolicy="Retain")
        await world.start()
        await world.quiet()
        delete_all(world)
        await world.quiet()
        ids = {one.id for kind in (Pool, LoadBalancer) for one in world.remote.all(kind)}
        apply_tunnel(world, **ADOPT)
        await world.quiet()
        assert world.is_ready()
        assert {one.id for kind in (Pool, LoadBalancer) for one in world.remote.all(kind)} == ids
        assert len(world.remote.all(Tunnel)) == 4, "a tunnel is never taken over: nobody has its token"
