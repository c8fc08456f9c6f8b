"""Which pool and which origin answer a request."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

from localedge.balance.health import PoolHealth, VerdictOf, pool_health, usable_origins
from localedge.balance.topology import LoadBalancer, Origin, Pool

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a request goes."""

    pool: Pool
    origin: Origin
    on_fallback: bool
    """The fallback pool was taken as the last resort, its health not asked."""


def choose(
    balancer: LoadBalancer,
    verdict: VerdictOf,
    chance: random.Random,
    client_ip: str,
    *,
    tried: frozenset[str] = frozenset(),
) -> Choice | None:
    """Choose pool and origin; None if even the fallback pool cannot serve.

    `tried` are addresses that this request has failed on: left out, the fallback's among them.
    """
    for pool in _in_order(balancer, verdict, chance, client_ip):
        origin = _pick(pool, usable_origins(pool, verdict), chance, client_ip, tried)
        if origin is not None:
            return Choice(pool, origin, on_fallback=False)
    fallback = balancer.fallback
    if not fallback.enabled:
        return None
    enabled = [origin for origin in fallback.origins if origin.enabled]
    origin = _pick(fallback, enabled, chance, client_ip, tried)
    return None if origin is None else Choice(fallback, origin, on_fallback=True)


def choose_beside(
    choice: Choice, verdict: VerdictOf, chance: random.Random, client_ip: str, tried: frozenset[str]
) -> Choice | None:
    """Choose another healthy origin of the same pool: where zero-downtime failover looks first."""
    usable = usable_origins(choice.pool, verdict)
    origin = _pick(choice.pool, usable, chance, client_ip, tried)
    return None if origin is None else Choice(choice.pool, origin, on_fallback=choice.on_fallback)


def weighted(items: Sequence[T], weights: Sequence[float], point: float) -> T | None:
    """Choose by weight with a point in [0, 1); None if all weights are 0."""
    total = sum(weights)
    if total <= 0:
        return None
    left = point * total
    for item, weight in zip(items, weights, strict=True):
        left -= weight
        if left < 0:
            return item
    # Rounding can leave a rest: the last item that has a weight takes it.
    return next(item for item, weight in zip(reversed(items), reversed(weights), strict=True) if weight > 0)


def _in_order(
    balancer: LoadBalancer, verdict: VerdictOf, chance: random.Random, client_ip: str
) -> Iterator[Pool]:
    usable = [
        (pool, weight)
        for pool, weight in zip(balancer.pools, balancer.pool_weights, strict=True)
        if pool.enabled
        and pool_health(pool, verdict) is not PoolHealth.CRITICAL
        and not _sheds(pool, chance, client_ip)
    ]
    if balancer.steering_policy == "off":
        yield from (pool for pool, _ in usable)
        return
    while usable:
        pool = weighted([p for p, _ in usable], [w for _, w in usable], chance.random())
        if pool is None:
            return
        yield pool
        usable = [(p, w) for p, w in usable if p.id != pool.id]


def _pick(
    pool: Pool, origins: Sequence[Origin], chance: random.Random, client_ip: str, tried: frozenset[str]
) -> Origin | None:
    left = [origin for origin in origins if origin.address not in tried]
    point = _hashed(client_ip, "") if pool.origin_steering == "hash" else chance.random()
    return weighted(left, [origin.weight for origin in left], point)


def _sheds(pool: Pool, chance: random.Random, client_ip: str) -> bool:
    if pool.shed_percent <= 0:
        return False
    point = _hashed(client_ip, pool.id) if pool.shed_policy == "hash" else chance.random()
    return point * 100 < pool.shed_percent


def _hashed(client_ip: str, salt: str) -> float:
    return crc32(f"{salt}/{client_ip}".encode()) / 2**32
