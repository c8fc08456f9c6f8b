"""Two clusters in one pool and one load balancer: each writes its own, and nothing of it gets lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from resources import HOST, KINDS, apply_quickstart, apply_tunnel, delete_all, patch
from running_world import OWNER, World

from tunnelpool.domain.ownership import Mark, Owner, mark_of, read_mark, read_marks
from tunnelpool.domain.remote import LoadBalancer, Pool
from tunnelpool.plan.steps import Change, RemoteStep, Update

pytestmark = pytest.mark.looptime(noop_cycles=1)

THERE = Owner("there", "89abcdef")


@asynccontextmanager
async def two_clusters() -> AsyncIterator[tuple[World, World]]:
    """Hand out two clusters with one account between them; the first runs already."""
    here = World()
    there = World(THERE, here.remote)
    async with here, there:
        yield here, there


async def quiet(*worlds: World, for_s: float = 90.0) -> None:
    """Wait until no operator has written anything for a while."""
    while True:
        before = [world.writes() for world in worlds]
        for world in worlds:
            await world.quiet(for_s=for_s)
        if before == [world.writes() for world in worlds]:
            return


def origins(world: World, owner: Owner, pool: str = "my-pool") -> set[str]:
    """List the origins of a cluster in a pool by their number."""
    names = (one.name for one in world.remote.named(Pool, pool).value.origins)
    return {name.rpartition("_")[2] for name in names if f"_{owner.uid}_" in name}


def _differing(change: Change) -> set[str]:
    """Name the origins that a change adds, drops or alters."""
    before, after = (set(side) for side in (change.before, change.after) if isinstance(side, tuple))
    return {one.name for one in before ^ after}


def has(world: World, count: int) -> bool:
    """Tell whether a cluster has so many origins in the pool."""
    return len(origins(world, world.owner)) == count


def are_in(world: World, count: int) -> bool:
    """Tell whether both clusters have so many origins in the pool."""
    return origins(world, OWNER) == origins(world, THERE) == {str(n) for n in range(count)}


async def both_join(here: World, there: World, **fields: Any) -> None:
    """Let both clusters apply the same Tunnel, one after the other."""
    apply_tunnel(here, **fields)
    await here.start()
    await quiet(here, for_s=20)
    apply_tunnel(there, **fields)
    await there.start()
    await quiet(here, there)


async def test_the_same_tunnel_in_two_clusters_meets_in_one_pool_and_each_takes_its_own_away() -> None:
    async with two_clusters() as (here, there):
        await both_join(here, there)
        assert origins(here, OWNER) == origins(here, THERE) == {"0", "1"}
        assert here.remote.only(LoadBalancer).value.default_pools == (here.remote.only(Pool).id,)
        assert here.is_ready()
        assert there.is_ready()
        assert len(here.remote.answering(HOST)) == 4
        patch(there, "Tunnel", "web", replicas=1)
        await quiet(here, there)
        assert (origins(here, OWNER), origins(here, THERE)) == ({"0", "1"}, {"0"})
        delete_all(there)
        await quiet(here, there)
        assert not there.remains()
        assert (origins(here, OWNER), origins(here, THERE)) == ({"0", "1"}, set())
        assert len(here.remote.answering(HOST)) == 2
        delete_all(here)
        await quiet(here, there)
        assert not here.remote.objects


async def test_when_the_first_goes_the_second_takes_its_place_and_traffic_stays() -> None:
    async with two_clusters() as (here, there):
        await both_join(here, there)
        delete_all(here)
        failed = []
        for _ in range(400):
            await asyncio.sleep(0.5)
            failed += [1] if not here.remote.answering(HOST) else []
        await quiet(here, there, for_s=400)  # load balancers are listed every five minutes
        assert not failed
        assert not here.remains()
        for one in (here.remote.only(Pool), here.remote.only(LoadBalancer)):
            (mark,) = read_marks(one.value.description)
            assert (mark.owner, mark.guest) == (THERE, False)
        assert there.is_ready()


async def test_of_two_writes_at_the_same_moment_none_is_lost() -> None:
    async with two_clusters() as (here, there):
        await both_join(here, there)
        waiting: list[asyncio.Event] = []
        collisions = 0

        async def hold(step: RemoteStep) -> None:
            """Hold a write to the pool until another waits as well, or two seconds."""
            nonlocal collisions
            if not (isinstance(step, Update) and isinstance(step.value, Pool)):
                return
            if waiting:
                collisions += 1
                waiting.pop().set()
                return
            gate = asyncio.Event()
            waiting.append(gate)
            try:
                await asyncio.wait_for(gate.wait(), 2)
            except TimeoutError:
                waiting.remove(gate)

        here.remote.hold = hold
        for count in (3, 1, 4, 2, 1, 3):
            for world in (here, there):
                patch(world, "Tunnel", "web", replicas=count, drainSeconds=1)
            await here.until(partial(are_in, here, count), within_s=30)
        assert collisions >= 3
        await quiet(here, there, for_s=200)
        assert origins(here, OWNER) == origins(here, THERE) == {"0", "1", "2"}


async def test_a_write_starts_from_what_is_there_now_and_not_from_the_listing() -> None:
    async with two_clusters() as (here, there):
        await both_join(here, there)
        overwritten: list[str] = []

        async def compare(step: RemoteStep) -> None:
            """Note entries that stand there and that a write would drop, other than the writer's own."""
            if not (isinstance(step, Update) and isinstance(step.value, Pool)):
                return
            now = here.remote.objects[step.id].value.origins
            by = {name for change in step.changes if change.field == "origins" for name in _differing(change)}
            overwritten.extend(
                one.name for one in now if one not in step.value.origins and one.name not in by
            )

        here.remote.hold = compare
        for count in (3, 4):
            for world in (here, there):
                patch(world, "Tunnel", "web", replicas=count)
                await world.until(partial(has, world, count), within_s=40)
        assert not overwritten


async def test_settings_that_disagree_are_told_in_both_clusters_and_written_by_one() -> None:
    async with two_clusters() as (here, there):
        for world, minimum in ((here, 1), (there, 2)):
            apply_tunnel(world)
            fields = {"sharing": "Shared", "minimumOrigins": minimum, "description": "one"}
            world.cluster.apply("LBPool", "my-pool", fields)
            await world.start()
            await quiet(here, for_s=20)
        await quiet(here, there)
        assert here.remote.only(Pool).value.minimum_origins == 1
        for world in (here, there):
            assert world.condition("LBPool", "my-pool", "SettingsDiffer") == "True/SettingsDiffer"
            assert world.condition("LBPool", "my-pool") == "True/Ready"
            assert world.status("LBPool", "my-pool")["clusters"] == ["here", "there"]
        patch(here, "LBPool", "my-pool", minimumOrigins=2)
        await quiet(here, there)
        assert here.remote.only(Pool).value.minimum_origins == 2
        for world in (here, there):
            assert world.condition("LBPool", "my-pool", "SettingsDiffer") == "False/InSync"


async def test_two_clusters_that_begin_at_the_same_moment_meet_as_well() -> None:
    async with two_clusters() as (here, there):
        for world in (here, there):
            apply_tunnel(world)
        await here.start()
        await there.start()
        await quiet(here, there)
        assert origins(here, OWNER) == origins(here, THERE) == {"0", "1"}
        assert here.is_ready()
        assert there.is_ready()


async def test_one_pool_for_each_cluster_and_only_the_load_balancer_shared() -> None:
    async with two_clusters() as (here, there):
        apply_tunnel(here, pool="pool-here")
        apply_tunnel(there, pool="pool-there")
        await here.start()
        await quiet(here, for_s=20)
        await there.start()
        await quiet(here, there)
        pools = [here.remote.named(Pool, name).id for name in ("pool-here", "pool-there")]
        assert list(here.remote.only(LoadBalancer).value.default_pools) == pools
        delete_all(here)
        await quiet(here, there, for_s=400)
        assert not here.remains()
        balancer = here.remote.only(LoadBalancer).value
        assert balancer.default_pools == (balancer.fallback_pool,) == (pools[1],)
        assert there.is_ready()


async def test_an_exclusive_pool_is_left_alone_and_both_sides_say_what_to_do() -> None:
    async with two_clusters() as (here, there):
        here.cluster.apply("LBPool", "my-pool", {})
        apply_tunnel(here)
        await here.start()
        await quiet(here, for_s=20)
        before = here.remote.only(Pool)
        apply_tunnel(there)
        there.cluster.apply("LBPool", "my-pool", {"sharing": "Shared"})
        await there.start()
        await quiet(here, there)
        assert here.remote.only(Pool) == before
        assert there.condition("LBPool", "my-pool") == "False/NameInUse"
        assert "set `sharing` to 'Shared' there" in there.message("LBPool", "my-pool")
        patch(here, "LBPool", "my-pool", sharing="Shared")
        await quiet(here, there)
        assert origins(here, THERE) == {"0", "1"}
        assert there.condition("LBPool", "my-pool") == "True/Ready"


async def test_what_a_cluster_has_taken_out_stands_in_its_own_mark() -> None:
    async with two_clusters() as (here, there):
        await both_join(here, there)
        there.pods.kill("web-connector-1", hold=True)
        await there.until(lambda: len(there.remote.answering(HOST)) == 3, within_s=6)
        await quiet(here, there)
        description = here.remote.only(Pool).value.description
        host, guest = read_mark(description), mark_of(description, THERE)
        assert host is not None
        assert guest is not None
        assert not host.out
        assert [name.rpartition("_")[2] for name in guest.out] == ["1"]
        await there.restart()
        there.pods.release("web-connector-1")
        await quiet(here, there)
        assert len(here.remote.answering(HOST)) == 4


async def test_the_last_origin_of_a_cluster_may_go_out_while_another_cluster_answers() -> None:
    async with two_clusters() as (here, there):
        await both_join(here, there)
        for slot in ("0", "1"):
            there.pods.kill(f"web-connector-{slot}", hold=True)
        await there.until(lambda: len(there.remote.answering(HOST)) == 2, within_s=10)
        await quiet(here, there)
        assert here.remote.only(Pool).value.enabled
        here.pods.kill("web-connector-0", hold=True)
        here.pods.kill("web-connector-1", hold=True)
        await quiet(here, there)
        assert len(here.remote.answering(HOST)) == 1, "the very last one stays in"


async def test_the_quickstart_of_two_clusters_shares_everything_that_says_so() -> None:
    async with two_clusters() as (here, there):
        for world in (here, there):
            apply_quickstart(world, replicas=2)
            for pool in ("my-pool", "static"):
                patch(world, "LBPool", pool, sharing="Shared")
            await world.start()
            await quiet(here, for_s=20)
        await quiet(here, there)
        assert here.is_ready()
        assert there.is_ready()
        static = here.remote.named(Pool, "static").value
        assert [one.name for one in static.origins] == ["static"], "which both list, and is there once"
        for world in (here, there):
            assert world.condition("LBPool", "my-pool", "SettingsDiffer") == "False/InSync"
        delete_all(here)
        await quiet(here, there, for_s=400)
        assert not here.remains()
        assert there.is_ready()
        assert len(here.remote.answering(HOST)) == 2
        assert [one.name for one in here.remote.named(Pool, "static").value.origins] == ["static"]
        delete_all(there)
        await quiet(here, there, for_s=400)
        assert not here.remote.objects


async def test_retained_by_one_cluster_the_other_goes_on_with_it() -> None:
    async with two_clusters() as (here, there):
        await both_join(here, there, deletionPolicy="Retain")
        delete_all(here)
        await quiet(here, there, for_s=400)
        assert not here.remains()
        assert len(here.remote.only(Pool).value.origins) == 4, "what was here stays, and is nobody's"
        (mark,) = read_marks(here.remote.only(Pool).value.description)
        assert (mark.owner, mark.guest) == (THERE, False)
        assert there.is_ready()


async def test_a_cluster_that_loses_all_its_resources_leaves_its_origins_where_they_are() -> None:
    async with two_clusters() as (here, there):
        for name in ("web", "shop", "blog"):
            apply_tunnel(there, name, hostname=f"{name}.example.com")
            apply_tunnel(here, name, hostname=f"{name}.example.com")
        await here.start()
        await quiet(here, for_s=20)
        await there.start()
        await quiet(here, there)
        before = dict(here.remote.objects)
        for raw in there.cluster.all(*KINDS):
            meta = raw["metadata"]
            there.cluster.delete(raw["kind"], meta["name"], meta["namespace"])
            now = there.cluster.get(raw["kind"], meta["name"], meta["namespace"])
            if now is not None:
                there.cluster.write({**now, "metadata": {**now["metadata"], "finalizers": []}})
        await quiet(here, there, for_s=700)
        assert here.remote.objects == before


async def test_two_pools_of_one_name_become_the_older_one_and_so_do_two_load_balancers() -> None:
    async with two_clusters() as (here, there):
        await both_join(here, there)
        older = dict(here.remote.objects)
        pool, balancer = here.remote.only(Pool), here.remote.only(LoadBalancer)
        mine = tuple(one for one in pool.value.origins if f"_{THERE.uid}_" in one.name)
        mark = str(Mark(THERE, "pool/my-pool", shared=True))
        younger = here.remote.put(replace(pool.value, origins=mine, description=mark))
        mark = str(Mark(THERE, f"host/{HOST}", shared=True, has=(younger[:8],)))
        twin = replace(balancer.value, default_pools=(younger,), fallback_pool=younger, description=mark)
        here.remote.put(twin, balancer.zone_id)
        await here.until(lambda: here.remote.objects == older, within_s=900)
        await quiet(here, there)


async def test_an_address_pool_that_becomes_exclusive_again_keeps_and_changes_its_own() -> None:
    async with two_clusters() as (here, there):
        for world, name in ((here, "a"), (there, "b")):
            addresses = [{"name": name, "address": f"{name}.example.net"}]
            world.cluster.apply("LBPool", "static", {"sharing": "Shared", "origins": addresses})
            await world.start()
            await quiet(here, for_s=20)
        await quiet(here, there)
        for weight in (0.5, 0.25):
            addresses = [{"name": "a", "address": "a.example.net", "weight": weight}]
            patch(here, "LBPool", "static", sharing="Exclusive", origins=addresses)
            await quiet(here, there)
            pool = here.remote.only(Pool).value
            assert {one.name: one.weight for one in pool.origins} == {"a": weight, "b": 1}
        assert here.condition("LBPool", "static", "SettingsDiffer") == "True/SettingsDiffer"
        delete_all(there)
        await quiet(here, there)
        mark = read_mark(here.remote.only(Pool).value.description)
        assert mark == Mark(OWNER, "pool/static")
        assert not here.condition("LBPool", "static", "SettingsDiffer")
