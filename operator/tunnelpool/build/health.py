"""The health of a pool and who serves, as Cloudflare decides it.

https://developers.cloudflare.com/load-balancing/understand-basics/health-details/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunnelpool.domain.remote import LoadBalancer, ObservedPool

Health: TypeAlias = Literal["healthy", "degraded", "critical", "unknown"]


@dataclass(frozen=True, slots=True)
class PoolHealthView:
    """A pool's health in numbers: enabled origins, and how many of them count as up."""

    health: Health
    healthy: int
    origins: int
    minimum: int

    @property
    def usable(self) -> bool:
        """Tell whether a load balancer sends traffic to it before it takes the fallback."""
        return self.health in {"healthy", "degraded"}


def pool_health(pool: ObservedPool) -> PoolHealthView:
    """Judge a pool. Without a monitor health is not considered; with one, no verdict counts as down."""
    value = pool.value
    enabled = [origin for origin in value.origins if origin.enabled]
    verdicts = [pool.health.origins.get(origin.name) for origin in enabled]
    up = sum(verdict is True for verdict in verdicts) if value.monitor else len(enabled)
    health: Health
    if value.monitor and enabled and all(verdict is None for verdict in verdicts):
        health = "unknown"
    elif not value.enabled or not enabled or up < (value.minimum_origins if value.monitor else 1):
        health = "critical"
    elif up < len(enabled):
        health = "degraded"
    else:
        health = "healthy"
    return PoolHealthView(health, up, len(value.origins), value.minimum_origins)


@dataclass(frozen=True, slots=True)
class Serving:
    """Who answers for a load balancer: the ids of pools; only the fallback when nothing else is usable."""

    pools: tuple[str, ...]
    on_fallback: bool


def serving(balancer: LoadBalancer, pools: Mapping[str, ObservedPool]) -> Serving:
    """Tell the pools that answer: the first usable one with steering off, every usable one else."""
    usable = [
        pool_id
        for pool_id in balancer.default_pools
        if pool_id in pools and pools[pool_id].value.enabled and pool_health(pools[pool_id]).usable
    ]
    if not usable:
        return Serving((balancer.fallback_pool,), on_fallback=True)
    return Serving(tuple(usable[:1] if balancer.steering_policy == "off" else usable), on_fallback=False)
