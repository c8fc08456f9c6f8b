"""Who goes first when a token's budget is short: each kind of call leaves a part of it to those before it.

Putting an origin back (or taking it out) comes first, then what users change, then sweeps, and last what may
wait for hours. Readings by those who decide are few, shared, and needed for the first: they leave nothing.
"""

from __future__ import annotations

from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.domain.remote import Pool
from tunnelpool.plan.steps import RemoteStep, Update


def reserve_of(step: RemoteStep, settings: CloudflareSettings) -> int:
    """Tell how many requests of the budget a step leaves to others."""
    return 0 if _switches_traffic(step) else settings.user_reserve


def _switches_traffic(step: RemoteStep) -> bool:
    """Tell whether a step lets an origin that is there answer again, or keeps it from answering."""
    if not isinstance(step, Update) or not isinstance(step.value, Pool):
        return False
    changes = {change.field: change for change in step.changes}
    if "enabled" in changes:
        return True
    if "origins" not in changes:
        return False
    before = changes["origins"].before
    was = {one.name: one.enabled for one in before} if isinstance(before, tuple) else {}
    return any(was.get(one.name, one.enabled) != one.enabled for one in step.value.origins)
