"""Sessions: a visitor stays with an origin as long as that may serve. Pure."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from localedge.balance.health import PoolHealth, VerdictOf, pool_health, usable_origins
from localedge.balance.model import Affinity, LoadBalancer, Origin, Pool
from localedge.balance.steering import Choice, sheds_sessions
from localedge.balance.visitor import Visitor

_TOKEN_BYTES = 24


class Standing(Enum):
    """What becomes of a session at the next request."""

    HELD = auto()
    """Its origin serves."""
    AWAY = auto()
    """Another one serves for now, the session stays (`zero_downtime_failover: temporary`)."""
    GONE = auto()
    """A new session begins."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known at the moment of a request."""

    verdict: VerdictOf
    epoch: float
    """Seconds since 1970: drains are reckoned from `disabled_at`."""


def session_token(balancer_id: str, pool: Pool, origin: Origin) -> str:
    """Make the value of `__cflb` for a session: says nothing, and is the same for the same origin."""
    name = f"{balancer_id}/{pool.id}/{origin.address}".encode()
    digest = hashlib.blake2b(name, digest_size=_TOKEN_BYTES).digest()
    return base64.urlsafe_b64encode(digest).decode()


def seat_of(balancer: LoadBalancer, token: str) -> Choice | None:
    """Find the origin of a session, None if the load balancer has it no more."""
    for pool in balancer.every_pool():
        for origin in pool.origins:
            if session_token(balancer.id, pool, origin) == token:
                return Choice(pool, origin, on_fallback=False)
    return None


def standing(balancer: LoadBalancer, seat: Choice, visitor: Visitor, known: Knowledge) -> Standing:
    """Tell whether a session stays with its origin.

    A disabled origin keeps its sessions for `drain_duration`; its health is not asked, nobody probes it.
    A pool that is critical, disabled or sheds the session does not.
    """
    pool, origin, affinity = seat.pool, seat.origin, balancer.affinity
    if not pool.enabled:
        return Standing.GONE
    if not origin.enabled:
        return Standing.HELD if _drains(origin, affinity, known.epoch) else Standing.GONE
    if sheds_sessions(pool, visitor.ip):
        return Standing.GONE
    critical = pool_health(pool, known.verdict) is PoolHealth.CRITICAL
    if not critical and origin in usable_origins(pool, known.verdict):
        return Standing.HELD
    return Standing.AWAY if affinity.failover == "temporary" else Standing.GONE


def after_failure(affinity: Affinity) -> Literal["stop", "keep", "move"]:
    """Tell what a failed request of a session may do: nothing, go elsewhere once, or move for good."""
    match affinity.failover:
        case "temporary":
            return "keep"
        case "sticky":
            return "move"
        case "none":
            return "stop"


def _drains(origin: Origin, affinity: Affinity, epoch: float) -> bool:
    if origin.disabled_at is None or not affinity.drain_s:
        return False
    return epoch < origin.disabled_at + affinity.drain_s
