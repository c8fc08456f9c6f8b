"""Which changes of a status are worth an Event: what a person would be woken up for, and its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """An Event about a resource."""

    reason: str
    message: str
    warning: bool


def events_of(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[StatusEvent]:
    """Compare two statuses: failed over, failed back, pool degraded."""
    if kind == "LoadBalancer":
        yield from _balancer(before, after)
    if kind == "Tunnel":
        yield from _tunnel(before.get("loadBalancer") or {}, after.get("loadBalancer") or {})
    if kind == "LBPool":
        was, now = before.get("health"), after.get("health")
        if was == "healthy" and now in {"degraded", "critical"}:
            up, of = after.get("healthyOrigins"), after.get("origins")
            yield StatusEvent("PoolDegraded", f"the pool is {now}: {up} of {of} origins are up", warning=True)


def _balancer(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[StatusEvent]:
    was, now = before.get("servingPool"), after.get("servingPool")
    if not was or not now or was == now:
        return
    order = [pool["name"] for pool in after.get("pools") or ()]
    back = now in order and (was not in order or order.index(now) < order.index(was))
    if back:
        yield StatusEvent("FailedBack", f"pool '{now}' answers again, no longer '{was}'", warning=False)
    else:
        yield StatusEvent("FailedOver", f"pool '{now}' answers instead of '{was}'", warning=True)


def _tunnel(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[StatusEvent]:
    if not before or not after or before.get("onFallback") == after.get("onFallback"):
        return
    pools = ", ".join(f"'{name}'" for name in after.get("servingPools") or ())
    if after.get("onFallback"):
        yield StatusEvent("FailedOver", f"the fallback pool {pools} answers", warning=True)
    else:
        yield StatusEvent("FailedBack", f"pool {pools} answers again", warning=False)
