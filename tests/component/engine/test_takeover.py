"""A cluster that takes the place of a lost one of its name: nothing before it is told to, then all of it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from resources import HOST, apply_quickstart, apply_tunnel, delete_all, patch
from running_world import OWNER, World

from tunnelpool.build.ownership import owner_of
from tunnelpool.domain.ownership import Owner
from tunnelpool.domain.remote import LoadBalancer, Pool, Tunnel
from tunnelpool.plan.steps import Update

pytestmark = pytest.mark.looptime(noop_cycles=1)

STRANGER = Owner(OWNER.cluster, "fedcba98")
HEIR = Owner(OWNER.cluster, "fedcba98", formerly=OWNER.uid)


def picture(world: World) -> dict[str, Any]:
    """Show all objects by id, with the new UID in marks as if it were the old one."""
    mark = re.compile(f" uid={HEIR.uid}")
    return {id_: mark.sub(f" uid={OWNER.uid}", repr(one)) for id_, one in world.remote.objects.items()}


async def restored(world: World, owner: Owner) -> None:
    """Bring the quickstart to rest, and start an operator of another UID on what is left of the cluster."""
    apply_quickstart(world)
    await world.start()
    await world.quiet()
    await world.stop()
    world.owner = owner


async def watch(world: World, seconds: float) -> int:
    """Let time pass; answer with the least number of origins that answered meanwhile."""
    least = 99
    for _ in range(int(seconds / 0.5)):
        least = min(least, len(world.remote.answering(HOST)))
        await asyncio.sleep(0.5)
    return least


async def test_without_the_setting_nothing_is_written_and_every_resource_names_it(world: World) -> None:
    async with world:
        await restored(world, STRANGER)
        before, written = dict(world.remote.objects), len(world.remote.log)
        await world.start()
        assert await watch(world, 120) == 3
        assert (world.remote.objects, len(world.remote.log)) == (before, written)
        for kind, name in (("Tunnel", "web"), ("LBPool", "my-pool"), ("HealthCheck", "web")):
            assert world.condition(kind, name) == "False/ClusterNameTaken"
            assert f"set takeOverFrom (TUNNELPOOL_TAKE_OVER_FROM) to '{OWNER.uid}'" in world.message(
                kind, name
            )
            assert world.condition(kind, name, "Stalled").startswith("True/")


async def test_with_the_setting_all_of_it_is_ours_with_one_write_each_and_no_origin_goes_out(
    world: World,
) -> None:
    async with world:
        await restored(world, HEIR)
        before, written = picture(world), len(world.remote.log)
        await world.start()
        assert await watch(world, 120) == 3
        await world.quiet()
        assert world.is_ready()
        assert picture(world) == before
        steps = world.remote.log[written:]
        assert all(isinstance(step, Update) for step in steps)
        changes = [change for step in steps if isinstance(step, Update) for change in step.changes]
        assert {change.field for change in changes if change.before != change.after} == {"description"}
        assert len({step.id for step in steps if isinstance(step, Update)}) == len(steps)
        for kind in (Pool, LoadBalancer):
            assert all(owner_of(one.value) == STRANGER for one in world.remote.all(kind))
        assert all(owner_of(one.value) == OWNER for one in world.remote.all(Tunnel)), "their names stay"
        await world.restart()
        await world.quiet()
        assert len(world.remote.log) == written + len(steps), "silent ever after"


async def test_an_heir_works_on_with_tunnels_of_both_names_and_leaves_nothing(world: World) -> None:
    async with world:
        await restored(world, HEIR)
        await world.start()
        await world.quiet()
        patch(world, "Tunnel", "web", replicas=4)
        await world.quiet()
        uids = {(o := owner_of(one.value)) and o.uid for one in world.remote.all(Tunnel)}
        assert uids == {OWNER.uid, HEIR.uid}
        assert world.enabled("my-pool") == {"0", "1", "2", "3"}
        world.pods.kill("web-connector-0", hold=True)
        await world.until(lambda: world.enabled("my-pool") == {"1", "2", "3"}, within_s=6)
        world.pods.release("web-connector-0")
        await world.until(lambda: world.enabled("my-pool") == {"0", "1", "2", "3"}, within_s=60)
        delete_all(world)
        await world.quiet()
        assert not world.remote.objects


async def test_if_the_setting_is_taken_away_again_everything_rests_and_says_so(world: World) -> None:
    async with world:
        await restored(world, HEIR)
        await world.start()
        await world.quiet()
        await world.stop()
        world.owner = STRANGER
        before = dict(world.remote.objects)
        await world.start()
        assert await watch(world, 120) == 3
        assert world.remote.objects == before
        assert world.condition("Tunnel", "web") == "False/ClusterNameTaken"
        world.cluster.delete("Tunnel", "web")
        await world.quiet(for_s=30)
        assert world.condition("Tunnel", "web") == "False/DeletionBlocked"
        tunnels = [one for one in before.values() if isinstance(one.value, Tunnel)]
        assert world.remote.all(Tunnel) == tunnels, "only the load balancer goes, which says that it is ours"
        await world.stop()
        world.owner = HEIR
        await world.start()
        await world.quiet()
        assert world.cluster.get("Tunnel", "web") is None


async def test_the_heir_of_a_cluster_leaves_what_a_third_one_has_alone(world: World) -> None:
    async with world:
        third = Owner("elsewhere", OWNER.uid)
        other = World(third, world.remote)
        async with other:
            apply_tunnel(other, hostname="other.example.com", pool="theirs")
            await other.start()
            await other.quiet(for_s=20)
            theirs = {i: one for i, one in world.remote.objects.items() if owner_of(one.value) == third}
            assert theirs
            await restored(world, HEIR)
            await world.start()
            await world.quiet()
            assert {
                i: one for i, one in world.remote.objects.items() if owner_of(one.value) == third
            } == theirs
