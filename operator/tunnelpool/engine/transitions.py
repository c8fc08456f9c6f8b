"""Which changes of a status are worth an Event: what a person would be woken up for, and its end.

What was told before stands in the status itself, so a restart tells nothing again. A change of the spec is no
event: whoever has made it knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tunnelpool.domain.reasons import EventReason

Status = Mapping[str, Any]
_WORSE: Final = {"healthy": 0, "unknown": 0, "degraded": 1, "critical": 2}
_USABLE: Final = frozenset({"healthy", "degraded"})


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """An Event about a resource."""

    reason: EventReason
    message: str
    warning: bool


def events_of(kind: str, before: Status, after: Status) -> Iterator[StatusEvent]:
    """Compare two statuses: failed over, failed back, pool degraded."""
    if before.get("observedGeneration") != after.get("observedGeneration"):
        return
    match kind:
        case "LoadBalancer":
            yield from _balancer(before, after)
        case "Tunnel":
            yield from _lost_origins(before, after)
            yield from _served_elsewhere(before, after)
        case "LBPool":
            yield from _pool(before, after)
        case _:
            return


def _failed(message: str, *, back: bool) -> StatusEvent:
    return StatusEvent(
        EventReason.FAILED_BACK if back else EventReason.FAILED_OVER, message, warning=not back
    )


def _balancer(before: Status, after: Status) -> Iterator[StatusEvent]:
    was, now = before.get("servingPool"), after.get("servingPool")
    if not was or not now or was == now:
        return
    order = [pool["name"] for pool in after.get("pools") or ()]
    back = now in order and (was not in order or order.index(now) < order.index(was))
    told = f"answers again, no longer '{was}'" if back else f"answers instead of '{was}'"
    yield _failed(f"pool '{now}' {told}", back=back)


def _pool(before: Status, after: Status) -> Iterator[StatusEvent]:
    """Tell of a pool that is worse than before; that a new origin has no verdict yet is no news."""
    was, now = before.get("health"), after.get("health")
    if was not in _WORSE or now not in _WORSE or _WORSE[now] <= _WORSE[was]:
        return
    fails = any(one["enabled"] and one.get("healthy") is False for one in after.get("originStatuses") or ())
    if fails or (now == "critical" and was != "unknown"):
        up, of = after.get("healthyOrigins"), after.get("origins")
        yield StatusEvent(
            EventReason.POOL_DEGRADED, f"the pool is {now}: {up} of {of} origins are up", warning=True
        )


def _lost_origins(before: Status, after: Status) -> Iterator[StatusEvent]:
    """Tell of origins of the Tunnel that answer no more: its pool may have no LBPool to tell of."""
    known = {one["name"]: one for one in before.get("origins") or ()}
    lost: dict[str, list[str]] = {}
    for one in after.get("origins") or ():
        why, before_that = _why_lost(one), _why_lost(known.get(one["name"], {}))
        if why and not before_that and one["name"] in known:
            lost.setdefault(why, []).append(f"'{one['name']}'")
    for why, names in lost.items():
        yield StatusEvent(EventReason.POOL_DEGRADED, f"{why}: {', '.join(names)}", warning=True)


def _why_lost(origin: Status) -> str:
    if origin.get("state") == "OutByOperator":
        return "origins out of the pool for want of a connector"
    failing = origin.get("state") == "Registered" and origin.get("healthy") is False
    return "origins that fail the health check" if failing else ""


def _served_elsewhere(before: Status, after: Status) -> Iterator[StatusEvent]:
    """Tell of a hostname that other pools answer for now. Whether it is over or back, its own pool tells."""
    was, now = before.get("loadBalancer") or {}, after.get("loadBalancer") or {}
    own = (after.get("pool") or {}).get("name")
    if not was or not now or not own or (before.get("pool") or {}).get("name") != own:
        return
    answering = ", ".join(f"'{name}'" for name in now.get("servingPools") or ())
    served, serves = own in (was.get("servingPools") or ()), own in (now.get("servingPools") or ())
    if bool(was.get("onFallback")) != bool(now.get("onFallback")):
        told = "again" if was.get("onFallback") else "as the fallback"
        yield _failed(f"pool {answering} answers {told}", back=bool(was.get("onFallback")))
    elif served != serves:
        usable = (before if serves else after)["pool"].get("health") in _USABLE
        # A pool that is well comes to serve in the place of another, and leaves again when that is back.
        back = usable != serves
        yield _failed(f"pool {answering} answers {'again' if back else 'instead'}", back=back)
