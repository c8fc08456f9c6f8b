"""What Tunnels bring into being is taken over by objects of that name, and comes back to them.

Two Tunnels of one pool and one hostname, an LBPool, a LoadBalancer and a HealthCheck are applied in any
order and deleted in any order. All the while the pool and the load balancer at Cloudflare are the same ones,
and whoever asks for the hostname is answered.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence

import pytest
from resources import HOST, apply_static, apply_tunnel, delete_all, patch
from running_world import World

from tunnelpool.domain.remote import LoadBalancer, Monitor, Pool, RemoteKind
from tunnelpool.plan.steps import Delete

pytestmark = pytest.mark.looptime(noop_cycles=1)

POOL_SPEC = {"minimumOrigins": 2, "healthCheckRef": {"name": "web"}}
BALANCER_SPEC = {"hostname": HOST, "pools": ["my-pool"], "sessionAffinity": "cookie"}
APPLY: dict[str, Callable[[World], None]] = {
    "Tunnel web": lambda world: apply_tunnel(world, "web"),
    "Tunnel two": lambda world: apply_tunnel(world, "two", replicas=1),
    "LBPool my-pool": lambda world: world.cluster.apply("LBPool", "my-pool", POOL_SPEC),
    "LoadBalancer lb": lambda world: world.cluster.apply("LoadBalancer", "lb", BALANCER_SPEC),
    "HealthCheck web": lambda world: world.cluster.apply("HealthCheck", "web", {"path": "/healthz"}),
}
_ORDERS = [(first, last) for first in itertools.permutations(APPLY) for last in itertools.permutations(APPLY)]
SOME = random.Random(4).sample(_ORDERS, 24)  # noqa: S311 - a choice of cases, the same each time
MANY = random.Random(5).sample(_ORDERS, 240)  # noqa: S311 - likewise
Order = tuple[Sequence[str], Sequence[str]]


class Watch:
    """Looks at the account after each call of the operator's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen = 0
        self._answered = False
        self.faults: list[str] = []
        """What must not have happened; an exception here would be the operator's to handle."""
        world.trip(self)

    def __call__(self, phase: str, call: str) -> None:
        """Judge what has just been done."""
        if phase != "after":
            return
        wanted = self.wanted
        steps, self._seen = self._world.remote.log[self._seen :], len(self._world.remote.log)
        kinds = {RemoteKind.POOL, RemoteKind.LOAD_BALANCER}
        gone = [step for step in steps if isinstance(step, Delete) and step.kind in kinds]
        self.faults += [f"{step} while a Tunnel wants it" for step in gone if wanted]
        answered = bool(self._world.remote.answering(HOST))
        # Once the hostname is answered it stays so while a Tunnel wants it.
        self.faults += [f"nothing answers after {call}"] * (self._answered and wanted and not answered)
        self._answered = answered

    @property
    def wanted(self) -> bool:
        """Tell whether a Tunnel asks for pool and hostname, and is not on its way out."""
        return any("deletionTimestamp" not in raw["metadata"] for raw in self._world.cluster.all("Tunnel"))


async def _apply(world: World, name: str) -> None:
    APPLY[name](world)


async def _delete(world: World, name: str) -> None:
    kind, _, called = name.partition(" ")
    world.cluster.delete(kind, called)


async def _assert_as_asked(world: World) -> None:
    """Check the account against what is applied, once all has come to rest."""
    present = {
        f"{raw['kind']} {raw['metadata']['name']}"
        for raw in world.cluster.all("Tunnel", "LBPool", "LoadBalancer", "HealthCheck")
    }
    origins = 2 * ("Tunnel web" in present) + ("Tunnel two" in present)
    described = {"LBPool my-pool", "HealthCheck web"} <= present
    waits = "LBPool my-pool" in present and not described
    if not origins:
        assert not world.remote.all(LoadBalancer)
        assert not world.remote.all(Pool)
    elif world.remote.all(Pool) or not waits:
        # A pool that does not exist yet waits for the HealthCheck that its LBPool names.
        pool = world.remote.only(Pool).value
        assert len(pool.origins) == origins
        balancer = world.remote.only(LoadBalancer).value
        affinity = "cookie" if "LoadBalancer lb" in present else "none"
        assert balancer.session_affinity == affinity
        if described:
            assert (pool.minimum_origins, pool.monitor) == (2, world.remote.only(Monitor).id)
        elif not waits:
            assert (pool.minimum_origins, pool.monitor) == (1, "")


async def _live(world: World, order: Order, pause_s: float) -> None:
    applied, deleted = order
    async with world:
        watch = Watch(world)
        await world.start()
        for name in applied:
            await _apply(world, name)
            await _pause(world, pause_s)
        for name in deleted:
            await _delete(world, name)
            await _pause(world, pause_s)
        await world.until(lambda: not world.remains(), what=str(world.remains()))
        await world.quiet()
        assert watch.faults == []
        assert not world.remote.objects
        assert not world.cluster.all("Tunnel", "LBPool", "LoadBalancer", "HealthCheck")


async def _pause(world: World, pause_s: float) -> None:
    """Go on when all is at rest, or after so many seconds already."""
    if pause_s:
        await asyncio.sleep(pause_s)
    else:
        await world.quiet()
        await _assert_as_asked(world)


@pytest.mark.parametrize("pause_s", [0, 7])
@pytest.mark.parametrize("order", SOME)
async def test_in_any_order_all_comes_and_goes_as_asked(world: World, order: Order, pause_s: float) -> None:
    await _live(world, order, pause_s)


@pytest.mark.full
@pytest.mark.parametrize("pause_s", [0, 3])
@pytest.mark.parametrize("order", MANY)
async def test_in_every_order_all_comes_and_goes_as_asked(world: World, order: Order, pause_s: float) -> None:
    await _live(world, order, pause_s)


@pytest.mark.parametrize("first", ["LBPool my-pool", "LoadBalancer lb"])
async def test_an_object_takes_over_and_gives_back_the_same_remote_object(world: World, first: str) -> None:
    async with world:
        watch = Watch(world)
        apply_tunnel(world)
        await _apply(world, "HealthCheck web")
        await world.start()
        await world.quiet()
        derived = (world.remote.only(Pool), world.remote.only(LoadBalancer))
        for name in (first, *({"LBPool my-pool", "LoadBalancer lb"} - {first})):
            await _apply(world, name)
            await world.quiet()
            assert world.is_ready(), world.cluster.all("LBPool", "LoadBalancer")
        taken = (world.remote.only(Pool), world.remote.only(LoadBalancer))
        assert [one.id for one in taken] == [one.id for one in derived]
        for name in ("LoadBalancer lb", "LBPool my-pool"):
            await _delete(world, name)
            await world.quiet()
        assert (world.remote.only(Pool), world.remote.only(LoadBalancer)) == derived
        assert watch.faults == []


@pytest.mark.parametrize("with_balancer", [False, True])
async def test_a_pool_without_origins_comes_and_goes_with_its_replicas(
    world: World, *, with_balancer: bool
) -> None:
    async with world:
        await _apply(world, "HealthCheck web")
        await _apply(world, "LBPool my-pool")
        if with_balancer:
            await _apply(world, "LoadBalancer lb")
        await world.start()
        await world.quiet()
        assert world.condition("LBPool", "my-pool") == "False/NoOrigins"
        assert not world.remote.all(Pool)
        apply_tunnel(world, replicas=0)
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/NoOrigins"
        assert not world.remote.all(Pool)
        for _ in range(2):
            patch(world, "Tunnel", "web", replicas=2)
            await world.quiet()
            assert world.is_ready(), world.cluster.all("Tunnel", "LBPool", "LoadBalancer")
            assert len(world.remote.answering(HOST)) == 2
            patch(world, "Tunnel", "web", replicas=0)
            await world.quiet()
            assert world.condition("LBPool", "my-pool") == "False/NoOrigins"
            assert not world.remote.all(Pool)
            assert not world.remote.all(LoadBalancer)


async def test_a_pool_of_addresses_becomes_one_of_tunnels_when_its_object_goes(world: World) -> None:
    async with world:
        apply_static(world, "my-pool")
        await world.start()
        await world.quiet()
        apply_tunnel(world)
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/MixedPool"
        seen: list[str] = []
        world.trip(lambda _phase, _call: seen.extend(one.name for one in world.remote.answering(HOST)))
        world.cluster.delete("LBPool", "my-pool")
        await world.quiet()
        assert world.cluster.get("LBPool", "my-pool") is None
        assert world.is_ready(), world.message("Tunnel", "web")
        assert len(world.remote.only(Pool).value.origins) == 2
        assert seen
        assert "static" not in seen, "the hostname was never that of the addresses"


async def test_a_pool_is_known_by_the_name_of_its_object_and_by_its_own(world: World) -> None:
    async with world:
        apply_static(world)
        spec = {"name": "my-pool", "fallbackRef": {"name": "static"}, "description": "ours"}
        world.cluster.apply("LBPool", "described", spec)
        apply_tunnel(world, "web", replicas=1)
        apply_tunnel(world, "two", replicas=1, pool="described")
        await world.start()
        await world.quiet()
        assert world.is_ready(), world.cluster.all("Tunnel", "LBPool")
        pool = world.remote.named(Pool, "my-pool")
        assert len(pool.value.origins) == 2
        assert pool.value.description.startswith("ours ")
        balancer = world.remote.only(LoadBalancer).value
        assert balancer.default_pools == (pool.id,)
        assert balancer.fallback_pool == world.remote.named(Pool, "static").id
        world.cluster.delete("Tunnel", "two")
        await world.until(lambda: world.cluster.get("Tunnel", "two") is None)
        patch(world, "LBPool", "described", fallbackRef=None)
        await world.quiet()
        assert world.is_ready(), world.cluster.all("Tunnel", "LBPool")
        assert world.remote.only(LoadBalancer).value.fallback_pool == pool.id
        world.cluster.delete("LBPool", "described")
        await world.quiet()
        assert world.remote.named(Pool, "my-pool").id == pool.id
        delete_all(world)
        await world.until(lambda: not world.remains())


async def test_a_pool_of_addresses_takes_no_tunnel_by_either_name(world: World) -> None:
    async with world:
        origin = {"name": "static", "address": "fallback.example.net"}
        world.cluster.apply("LBPool", "described", {"name": "my-pool", "origins": [origin]})
        apply_tunnel(world, "web")
        apply_tunnel(world, "two", pool="described")
        await world.start()
        await world.quiet()
        for name in ("web", "two"):
            assert world.condition("Tunnel", name) == "False/MixedPool"
        assert not world.cluster.all("Deployment")
