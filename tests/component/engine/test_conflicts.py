"""Two claims to one name: the older wins, the other says by whom, and takes over when the older goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from resources import HOST, tunnel
from running_world import World

from tunnelpool.domain.remote import LoadBalancer, Pool

pytestmark = pytest.mark.looptime(noop_cycles=1)


@dataclass(frozen=True)
class Claim:
    """A resource that asks for the host name or for the pool `shared`, and what else it needs."""

    kind: str
    name: str
    namespace: str
    spec: Mapping[str, Any]

    def apply(self, world: World) -> None:
        """Apply it."""
        world.cluster.apply(self.kind, self.name, self.spec, self.namespace)

    def __str__(self) -> str:
        """Name it as messages do."""
        return f"{self.kind} {self.namespace}/{self.name}"


def _addresses(address: str) -> dict[str, Any]:
    return {"name": "shared", "origins": [{"name": "a", "address": address}]}


def _balancer(name: str, namespace: str) -> Claim:
    return Claim("LoadBalancer", name, namespace, {"hostname": HOST, "pools": [f"of-{namespace}"]})


def _tunnel(namespace: str) -> Claim:
    return Claim("Tunnel", "web", namespace, tunnel(pool=f"of-{namespace}", replicas=1))


POOLS = [Claim("LBPool", f"p{n}", "default", _addresses(f"192.0.2.{n}")) for n in (1, 2)]
FAR_POOLS = [
    Claim("LBPool", "p", where, _addresses(f"{where}.example.net")) for where in ("default", "other")
]
BALANCERS = [_balancer("one", "default"), _balancer("two", "default")]
FAR_BALANCERS = [_balancer("lb", "default"), _balancer("lb", "other")]
TUNNELS = [_tunnel("default"), _tunnel("other")]
MIXED = [_tunnel("default"), _balancer("lb", "other")]
PAIRS = {
    "pools of a namespace": POOLS,
    "pools of two namespaces": FAR_POOLS,
    "load balancers of a namespace": BALANCERS,
    "load balancers of two namespaces": FAR_BALANCERS,
    "tunnels of two namespaces": TUNNELS,
    "a tunnel and a load balancer of two namespaces": MIXED,
}


def _ready(world: World, claim: Claim) -> bool:
    return world.condition(claim.kind, claim.name, namespace=claim.namespace) == "True/Ready"


def _refused(world: World, claim: Claim, winner: Claim) -> None:
    assert world.condition(claim.kind, claim.name, namespace=claim.namespace) == "False/Conflict"
    assert world.condition(claim.kind, claim.name, "Stalled", claim.namespace).startswith("True/")
    assert str(winner) in world.message(claim.kind, claim.name, claim.namespace)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("gone", ["the older", "the newer"])
async def test_whoever_is_older_wins_until_it_goes(
    world: World, pair: str, gone: str, *, turned: bool, restarted: bool
) -> None:
    older, newer = reversed(PAIRS[pair]) if turned else PAIRS[pair]
    async with world:
        for namespace in ("default", "other"):
            spare = {"origins": [{"name": "a", "address": f"{namespace}.example.org"}]}
            if pair.startswith("load") or older.kind != newer.kind:
                world.cluster.apply("LBPool", f"of-{namespace}", spare, namespace)
        if older.kind != newer.kind:
            one = next(claim for claim in (older, newer) if claim.kind == "Tunnel")
            world.cluster.delete("LBPool", f"of-{one.namespace}", one.namespace)
        await world.start()
        older.apply(world)
        await world.quiet(for_s=20)
        newer.apply(world)
        await world.quiet()
        assert _ready(world, older)
        _refused(world, newer, older)
        if restarted:
            await world.restart()
            await world.quiet(for_s=20)
        left, stays = (older, newer) if gone == "the older" else (newer, older)
        world.cluster.delete(left.kind, left.name, left.namespace)
        await world.quiet()
        assert world.cluster.get(left.kind, left.name, left.namespace) is None
        assert _ready(world, stays)
        if stays.kind == "LBPool":
            address = stays.spec["origins"][0]["address"]
            assert [one.address for one in world.remote.named(Pool, "shared").value.origins] == [address]
        else:
            pool = world.remote.named(Pool, f"of-{stays.namespace}")
            assert world.remote.only(LoadBalancer).value.default_pools == (pool.id,)
