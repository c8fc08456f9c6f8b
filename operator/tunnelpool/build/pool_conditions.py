"""What the conditions of an LBPool say of its health, and of the way to its origins."""

from __future__ import annotations

from datetime import datetime

from tunnelpool.build.health import pool_health
from tunnelpool.build.pool import requires_tls
from tunnelpool.build.snapshot import PoolSnapshot
from tunnelpool.crd.conditions import Condition, ConditionStatus, drop_condition, set_condition
from tunnelpool.crd.v1alpha1 import LBPool
from tunnelpool.domain.ownership import read_marks
from tunnelpool.domain.reasons import Reason
from tunnelpool.domain.remote import ObservedPool


def health_conditions(
    snapshot: PoolSnapshot,
    lbpool: LBPool,
    observed: ObservedPool,
    conditions: tuple[Condition, ...],
    now: datetime,
) -> tuple[Condition, ...]:
    """Tell whether enough origins are up, and whether Cloudflare reaches them over TLS if it must."""
    generation = lbpool.metadata.generation
    healthy = _healthy(snapshot, lbpool, observed)
    conditions = set_condition(conditions, "Healthy", *healthy, generation=generation, now=now)
    if not (lbpool.spec.origins and requires_tls(snapshot) and snapshot.ssl_modes):
        return drop_condition(conditions, "TLSEnforced")
    tls = _tls(snapshot)
    return set_condition(conditions, "TLSEnforced", *tls, generation=generation, now=now)


def _healthy(
    snapshot: PoolSnapshot, lbpool: LBPool, observed: ObservedPool
) -> tuple[ConditionStatus, Reason, str]:
    seen = pool_health(observed)
    told = f"{seen.healthy} of {seen.origins} origins are up, {seen.minimum} must be"
    if not observed.value.monitor and lbpool.spec.minimum_origins > 1:
        message = (
            "`minimumOrigins` above 1 has no effect without `healthCheckRef`: Cloudflare then asks no origin"
        )
        return "Unknown", Reason.THRESHOLD_NEEDS_HEALTH_CHECK, message
    if not observed.value.monitor:
        return "Unknown", Reason.NO_HEALTH_CHECK, "without `healthCheckRef` every origin counts as up"
    possible = _origins_to_come(snapshot, observed)
    if seen.minimum > possible:
        message = (
            f"`minimumOrigins` is {seen.minimum}, but {possible} origins of the pool may be up: lower it, "
            "or add origins"
        )
        return "False", Reason.THRESHOLD_TOO_HIGH, message
    if seen.health == "unknown":
        return "Unknown", Reason.UNKNOWN, "no origin has been probed yet"
    if seen.health == "critical":
        return "False", Reason.BELOW_THRESHOLD, told
    return "True", Reason.DEGRADED if seen.health == "degraded" else Reason.HEALTHY, told


def _origins_to_come(snapshot: PoolSnapshot, observed: ObservedPool) -> int:
    """Count the origins that may be up: those that are in the pool, and those that Tunnels are to bring.

    One that is disabled counts if the operator has taken it out, since it comes back by itself.
    """
    out = {name for mark in read_marks(observed.value.description) for name in mark.out}
    there = {one.name for one in observed.value.origins if one.enabled or one.name in out}
    slots = [slot for member in snapshot.members for slot in member.slots]
    leaving = {slot.remote.value.name for slot in slots if slot.leaving and slot.remote is not None}
    known = {one.name for one in observed.value.origins}
    coming = sum(
        not slot.leaving and (slot.remote is None or slot.remote.value.name not in known) for slot in slots
    )
    return len(there - leaving) + coming


def _tls(snapshot: PoolSnapshot) -> tuple[ConditionStatus, Reason, str]:
    for zone, mode in sorted(snapshot.ssl_modes.items()):
        if mode is None:
            message = f"the SSL mode of zone '{zone}' cannot be read: give the token Zone Settings Read"
            return "Unknown", Reason.TLS_UNKNOWN, message
        if mode in {"off", "flexible"}:
            message = f"the SSL mode of zone '{zone}' is '{mode}': set it to 'full' or 'strict'"
            return "False", Reason.TLS_NOT_ENFORCED, message
    return "True", Reason.TLS_ENFORCED, "the zone's SSL mode is full or stricter"
