"""For what of Cloudflare's a decision waits, so that its listing is read again sooner than at rest."""

from __future__ import annotations

from tunnelpool.build.evidence import contradicted
from tunnelpool.build.snapshot import PoolSnapshot, Running
from tunnelpool.domain.ownership import read_marks
from tunnelpool.domain.reasons import Problem, Reason


def awaits_verdict(problem: Problem | None) -> bool:
    """Tell whether what keeps something is a verdict that is still to come."""
    return problem is not None and problem.reason is Reason.WAITING_FOR_HEALTH


def awaits_first_verdict(snapshot: PoolSnapshot) -> bool:
    """Tell whether an enabled origin has not been probed yet: it counts as down until it has."""
    pool = snapshot.observed
    return (
        pool is not None
        and bool(pool.value.monitor)
        and pool.value.enabled
        and any(one.enabled and pool.health.origins.get(one.name) is None for one in pool.value.origins)
    )


def awaits_witness(snapshot: PoolSnapshot) -> bool:
    """Tell whether Cloudflare's word is wanted: the second one on an enabled origin whose pod is not ready.

    Or, of one that is in or that we have taken out, another word, since it contradicts the pod.
    """
    if snapshot.observed is None:
        return False
    enabled = {origin.name for origin in snapshot.observed.value.origins if origin.enabled}
    out = {name for mark in read_marks(snapshot.observed.value.description) for name in mark.out}
    return any(
        (slot.running is Running.NOT_READY and name in enabled)
        or (contradicted(slot) and (name in enabled or name in out))
        for member in snapshot.members
        for slot in member.slots
        if not slot.leaving and (name := slot.remote.value.name if slot.remote else "")
    )
