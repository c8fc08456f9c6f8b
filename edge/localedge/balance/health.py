"""When a pool is healthy, degraded or critical."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from localedge.balance.model import Origin, Pool

Verdict = bool | None
"""Up, down, or no verdict yet: a monitored origin without verdict counts as down."""

VerdictOf = Callable[[Pool, Origin], Verdict]


class PoolHealth(StrEnum):
    """A pool's state as the docs name it."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    """No monitor: health is not considered."""


def usable_origins(pool: Pool, verdict: VerdictOf) -> list[Origin]:
    """List the enabled origins that are up; without a monitor all enabled ones."""
    enabled = [origin for origin in pool.origins if origin.enabled]
    if pool.monitor_id is None:
        return enabled
    return [origin for origin in enabled if verdict(pool, origin) is True]


def pool_health(pool: Pool, verdict: VerdictOf) -> PoolHealth:
    """Judge a pool: critical if fewer than `minimum_origins` of the enabled origins are up."""
    if pool.monitor_id is None:
        return PoolHealth.UNKNOWN
    enabled = sum(origin.enabled for origin in pool.origins)
    up = len(usable_origins(pool, verdict))
    if up < pool.minimum_origins:
        return PoolHealth.CRITICAL
    return PoolHealth.HEALTHY if up == enabled else PoolHealth.DEGRADED


def listed_health(pool: Pool, verdict: VerdictOf) -> bool | None:
    """Tell `healthy` of a pool in the API: null without a monitor or before any verdict."""
    if pool.monitor_id is None or not pool.enabled:
        return None
    if all(verdict(pool, origin) is None for origin in pool.origins if origin.enabled):
        return None
    return pool_health(pool, verdict) is not PoolHealth.CRITICAL
