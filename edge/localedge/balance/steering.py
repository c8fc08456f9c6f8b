"""Which pool and which origin answer a request."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

from localedge.balance.health import PoolHealth, VerdictOf, pool_health, usable_origins
from localedge.balance.model import LoadBalancer, Origin, Pool
from localedge.balance.visitor import Visitor

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a request goes."""

    pool: Pool
    origin: Origin
    on_fallback: bool
    """The fallback pool was taken as the last resort, its health not asked."""


def nobody_waits(_pool_id: str, _address: str) -> int:
    """Know of no request under way: so it is for names that only DNS answers."""
    return 0


@dataclass(frozen=True, slots=True)
class Chooser:
    """Makes choices of what it is told: verdicts, chance, and requests under way by pool and address."""

    verdict: VerdictOf
    chance: random.Random
    outstanding: Callable[[str, str], int] = nobody_waits

    def choose(
        self, balancer: LoadBalancer, visitor: Visitor, *, tried: frozenset[str] = frozenset()
    ) -> Choice | None:
        """Choose pool and origin; None if even the fallback pool cannot serve.

        `tried` are addresses that this request has failed on: left out, the fallback's among them.
        """
        by_ip = balancer.affinity.kind == "ip_cookie"
        for pool in self._in_order(balancer, visitor):
            origin = self._pick(pool, usable_origins(pool, self.verdict), visitor, tried, by_ip=by_ip)
            if origin is not None:
                return Choice(pool, origin, on_fallback=False)
        fallback = balancer.fallback
        if not fallback.enabled:
            return None
        enabled = [origin for origin in fallback.origins if origin.enabled]
        origin = self._pick(fallback, enabled, visitor, tried, by_ip=by_ip)
        return None if origin is None else Choice(fallback, origin, on_fallback=True)

    def choose_beside(self, choice: Choice, visitor: Visitor, tried: frozenset[str]) -> Choice | None:
        """Choose another healthy origin of the same pool: where zero-downtime failover looks first."""
        usable = usable_origins(choice.pool, self.verdict)
        origin = self._pick(choice.pool, usable, visitor, tried, by_ip=False)
        return None if origin is None else Choice(choice.pool, origin, on_fallback=choice.on_fallback)

    def _in_order(self, balancer: LoadBalancer, visitor: Visitor) -> Iterator[Pool]:
        usable = [
            (pool, weight)
            for pool, weight in self._candidates(balancer, visitor)
            if pool.enabled
            and pool_health(pool, self.verdict) is not PoolHealth.CRITICAL
            and not self._sheds(pool, visitor.ip)
        ]
        if balancer.steering_policy in {"off", "geo"}:
            yield from (pool for pool, _ in usable)
            return
        if balancer.steering_policy == "least_outstanding_requests":
            usable = [(pool, weight / (1 + self._under_way(pool))) for pool, weight in usable]
        while usable:
            pool = weighted([p for p, _ in usable], [w for _, w in usable], self.chance.random())
            if pool is None:
                return
            yield pool
            usable = [(p, w) for p, w in usable if p.id != pool.id]

    @staticmethod
    def _candidates(balancer: LoadBalancer, visitor: Visitor) -> list[tuple[Pool, float]]:
        if balancer.steering_policy == "geo":
            # A list that fails does not go on into the default pools: the fallback is next.
            listed = balancer.geo.of(visitor.location)
            if listed is not None:
                return [(pool, 1.0) for pool in listed]
        return list(zip(balancer.pools, balancer.pool_weights, strict=True))

    def _pick(
        self, pool: Pool, origins: Sequence[Origin], visitor: Visitor, tried: frozenset[str], *, by_ip: bool
    ) -> Origin | None:
        left = [origin for origin in origins if origin.address not in tried]
        hashed = by_ip or pool.origin_steering == "hash"
        point = _hashed(visitor.ip, "") if hashed else self.chance.random()
        weights = [origin.weight for origin in left]
        if pool.origin_steering == "least_outstanding_requests" and not by_ip:
            weights = [o.weight / (1 + self.outstanding(pool.id, o.address)) for o in left]
        return weighted(left, weights, point)

    def _sheds(self, pool: Pool, client_ip: str) -> bool:
        if pool.shed_percent <= 0:
            return False
        point = _hashed(client_ip, pool.id) if pool.shed_policy == "hash" else self.chance.random()
        return point * 100 < pool.shed_percent

    def _under_way(self, pool: Pool) -> int:
        return sum(self.outstanding(pool.id, origin.address) for origin in pool.origins)


def sheds_sessions(pool: Pool, client_ip: str) -> bool:
    """Tell whether a pool sheds the session of a visitor: always by hash, so that it stays shed."""
    return _hashed(client_ip, pool.id) * 100 < pool.shed_sessions_percent


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


def _hashed(client_ip: str, salt: str) -> float:
    return crc32(f"{salt}/{client_ip}".encode()) / 2**32
