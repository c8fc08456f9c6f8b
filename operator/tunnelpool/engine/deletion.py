"""Deletion ends (law 9): our finalizer comes before the first remote object, and goes after the last."""

from __future__ import annotations

from typing import Final

from tunnelpool.build.snapshot import FINALIZER, PoolSnapshot, Raw, Slot, TunnelSnapshot
from tunnelpool.crd.base import Resource
from tunnelpool.domain.reasons import Problem, Reason, suspended
from tunnelpool.plan.finalizer import add_finalizer, remove_finalizer
from tunnelpool.plan.steps import Step

_WAYS_OUT: Final = (
    "; or take `credentialsRef` away, if the operator's own credentials open the same account; or run "
    "`tunnelpool release`, which leaves what is at Cloudflare there"
)


def guarded(resource: Resource, raw: Raw, steps: tuple[Step, ...], *, done: bool) -> tuple[Step, ...]:
    """Put the finalizer before the first remote object and take it away after the last (law 9)."""
    if resource.suspended:
        return steps
    if not resource.deleting:
        protect = add_finalizer(resource.kind, raw, FINALIZER)
        return (protect, *steps) if protect else steps
    if steps or not done:
        return steps
    release = remove_finalizer(resource.kind, raw, FINALIZER)
    return (release,) if release else ()


def deleting(problem: Problem | None, left: tuple[str, ...], failed: Problem | None = None) -> Problem:
    """Say what a deletion waits for: what keeps Cloudflare from being asked, or what is still there.

    `failed` is why the last attempt to go on has failed.
    """
    if problem is not None:
        message = f"cannot delete what is at Cloudflare: {problem.message}"
        if problem.reason in {Reason.CREDENTIALS_MISSING, Reason.CREDENTIALS_INVALID}:
            message += _WAYS_OUT
        return Problem(Reason.DELETION_BLOCKED, message)
    what = f"still there: {', '.join(left)}" if left else "everything of it is gone"
    if failed is not None:
        return Problem(Reason.DELETION_BLOCKED, f"{what}; {failed.message}", stalled=failed.stalled)
    return Problem(Reason.DELETING, what)


def deleting_pool(snapshot: PoolSnapshot, failed: Problem | None) -> Problem:
    """Say what the deletion of an LBPool waits for."""
    if snapshot.referrers and not snapshot.members:
        names = ", ".join(f"'{one.value.name}'" for one in snapshot.referrers)
        message = f"load balancer {names} still refers to it: delete or change that first"
        return Problem(Reason.DELETION_BLOCKED, message)
    return deleting(None, (f"pool '{snapshot.name}'",), failed)


def held_by_pool(snapshot: TunnelSnapshot) -> Problem | None:
    """Say that an origin cannot leave, since the pool's own object must not be written for."""
    lbpool = snapshot.pool.lbpool if snapshot.pool else None
    if lbpool is None or not lbpool.suspended or not snapshot.pools:
        return None
    message = f"{suspended(lbpool).message}, so no origin can leave the pool: take `suspend` away"
    return Problem(Reason.DELETION_BLOCKED, message)


def origins_of(slots: tuple[Slot, ...]) -> tuple[str, ...]:
    """Name the origins of a Tunnel that are still there."""
    return tuple(f"origin {slot.index}" for slot in slots)
