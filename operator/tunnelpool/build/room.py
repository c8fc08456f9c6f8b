"""A pool that may not have as many origins as it should keeps those it has, and takes what fits."""

from __future__ import annotations

from dataclasses import replace

from tunnelpool.build.snapshot import PoolSnapshot
from tunnelpool.build.tunnel_origins import Placing
from tunnelpool.domain.reasons import Problem, Reason


def fitting(placing: Placing, snapshot: PoolSnapshot) -> Placing:
    """Leave out origins that do not fit: the last of those that are not in the pool yet."""
    if snapshot.room is None:
        return placing
    there = {one.name for one in snapshot.observed.value.origins} if snapshot.observed else set()
    free = max(snapshot.room - len(there), 0)
    new = [one for one in placing.placed if one.origin.name not in there]
    left_out = {one.origin.name for one in new[free:]}
    if not left_out:
        return placing
    message = (
        f"{len(left_out)} of {len(placing.placed)} origins do not fit: the account's Load Balancing "
        f"subscription leaves room for {snapshot.room} in this pool. Use fewer, or raise the number of "
        "endpoints in the dashboard under Traffic > Load Balancing; it is tried again every 15 minutes"
    )
    placed = tuple(one for one in placing.placed if one.origin.name not in left_out)
    return replace(placing, placed=placed, held=Problem(Reason.PLAN_LIMIT, message, stalled=True))
