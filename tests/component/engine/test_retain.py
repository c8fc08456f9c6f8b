"""`deletionPolicy: Retain`: the object goes, what is at Cloudflare stays, and is nobody's of us any more."""

from __future__ import annotations

import pytest
from remote_account import TOKEN
from resources import HOST, apply_quickstart, apply_static, apply_tunnel, delete_all, patch
from running_world import OWNER, World

from tunnelpool.build.ownership import is_ours
from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Monitor, Pool, Tunnel

pytestmark = pytest.mark.looptime(noop_cycles=1)
RETAIN = {"deletionPolicy": "Retain"}
KINDS = [("Tunnel", "web"), ("LBPool", "my-pool"), ("LBPool", "static"), ("HealthCheck", "web")]


async def _settled(world: World) -> None:
    await world.start()
    await world.quiet()
    assert world.is_ready()


async def test_all_of_it_stays_as_it_was_and_carries_no_mark(world: World) -> None:
    async with world:
        apply_quickstart(world)
        for kind, name in KINDS:
            patch(world, kind, name, **RETAIN)
        balancer = {"hostname": HOST, "pools": ["my-pool"], "fallbackRef": {"name": "static"}, **RETAIN}
        world.cluster.apply("LoadBalancer", "lb", balancer)
        await _settled(world)
        before = set(world.remote.objects)
        origins = world.remote.named(Pool, "my-pool").value.origins
        delete_all(world)
        await world.quiet()
        assert not world.cluster.all("Tunnel", "LBPool", "HealthCheck", "LoadBalancer")
        assert not world.remains()
        assert set(world.remote.objects) == before
        assert world.remote.named(Pool, "my-pool").value.origins == origins
        assert not any("tunnelpool/v1" in str(one.value) for one in world.remote.objects.values())
        for kind in (Tunnel, Pool, LoadBalancer, Monitor):
            assert not any(is_ours(one.value, OWNER) for one in world.remote.all(kind))


async def test_a_later_start_does_not_touch_what_was_left(world: World) -> None:
    async with world:
        apply_tunnel(world, **RETAIN)
        await _settled(world)
        delete_all(world)
        await world.quiet()
        writes = world.writes()
        assert len(world.remote.all(Tunnel)) == 2
        await world.restart()
        await world.quiet(for_s=400)
        assert world.writes() == writes


@pytest.mark.parametrize("pool", ["my-pool", None])
async def test_what_a_tunnel_alone_has_brought_about_stays_with_it(world: World, pool: str | None) -> None:
    async with world:
        apply_tunnel(world, pool=pool, **RETAIN)
        await _settled(world)
        world.cluster.delete("Tunnel", "web")
        await world.quiet()
        assert world.cluster.get("Tunnel", "web") is None
        assert len(world.remote.all(LoadBalancer if pool else DnsRecord)) == 1
        assert len(world.remote.all(Pool)) == (1 if pool else 0)
        assert not world.remains()


async def test_the_origins_of_those_that_do_not_retain_leave_the_pool_first(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=1, **RETAIN)
        apply_tunnel(world, "second", replicas=1)
        await _settled(world)
        delete_all(world)
        await world.quiet()
        assert not world.cluster.all("Tunnel")
        (origin,) = world.remote.only(Pool).value.origins
        assert "_web_0" in origin.name
        assert world.remote.only(Tunnel).value.name.startswith("retained_default_web_0_")


async def test_from_a_pool_that_another_tunnel_keeps_the_origins_leave_and_the_tunnels_stay(
    world: World,
) -> None:
    async with world:
        apply_tunnel(world, replicas=1, **RETAIN)
        apply_tunnel(world, "second", replicas=1)
        await _settled(world)
        world.cluster.delete("Tunnel", "web")
        await world.quiet()
        assert world.cluster.get("Tunnel", "web") is None
        (origin,) = world.remote.only(Pool).value.origins
        assert "_second_0" in origin.name
        assert is_ours(world.remote.only(Pool).value, OWNER)
        assert len(world.remote.all(Tunnel)) == 2
        assert world.is_ready()


async def test_an_lbpool_that_tunnels_still_name_is_theirs_whatever_it_says(world: World) -> None:
    async with world:
        apply_tunnel(world)
        world.cluster.apply("LBPool", "my-pool", {"minimumOrigins": 1, **RETAIN})
        await _settled(world)
        world.cluster.delete("LBPool", "my-pool")
        await world.quiet()
        assert world.cluster.get("LBPool", "my-pool") is None
        assert is_ours(world.remote.only(Pool).value, OWNER)
        assert world.is_ready()


async def test_a_retained_pool_stays_though_a_load_balancer_refers_to_it(world: World) -> None:
    async with world:
        apply_static(world, **RETAIN)
        world.cluster.apply("LoadBalancer", "lb", {"hostname": HOST, "pools": ["static"], **RETAIN})
        await _settled(world)
        delete_all(world)
        await world.quiet()
        assert not world.cluster.all("LBPool", "LoadBalancer")
        assert world.remote.only(LoadBalancer).value.default_pools == (world.remote.only(Pool).id,)


async def test_without_credentials_a_deletion_is_blocked_and_names_the_three_ways_out(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await _settled(world)
        world.cluster.secrets.clear()
        await world.restart()
        delete_all(world)
        await world.quiet()
        for kind, name in KINDS:
            assert world.condition(kind, name) == "False/DeletionBlocked"
            told = world.message(kind, name)
            for way in ("Secret 'tunnelpool-system/", "take `credentialsRef` away", "`tunnelpool release`"):
                assert way in told, told
        world.set_credentials(TOKEN)
        await world.quiet()
        assert not world.remains()
