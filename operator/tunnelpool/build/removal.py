"""Taking an origin out on purpose: when it must wait, and for how long it drains (laws 6 and 7).

What has died goes out whatever is said here; this is about origins that serve and are to leave: a smaller
number of replicas, a Tunnel that is deleted or moves to another pool.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from tunnelpool.build.snapshot import PoolSnapshot
from tunnelpool.crd.v1alpha1 import Tunnel
from tunnelpool.domain.json import FrozenArray, FrozenJson, FrozenObject
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.domain.remote import LoadBalancer, Observed, Origin

_NO_SESSIONS: Final = ("", "none")


def held_back(
    snapshot: PoolSnapshot, leaving: Origin, in_service: Collection[str], *, deleted: bool
) -> Problem | None:
    """Say why an origin that shall leave stays for now; None if it may go.

    `in_service` names the origins that stay and are enabled; `deleted` tells that its Tunnel is to go.

    One that is enabled again counts as down until it has been probed, so while one waits for its first
    verdict no healthy one goes; the verdict comes within an interval of the health check. A bad verdict holds
    nothing up: it may last for ever, and a removal that somebody asked for must end. Nor does a deletion wait
    for other origins to come back (law 9).
    """
    if not leaving.enabled or snapshot.observed is None:
        return None
    pool, verdicts = snapshot.observed.value, snapshot.observed.health.origins
    if pool.monitor and verdicts.get(leaving.name) is not True:
        return None  # it counts as down: nobody is sent there
    unproved = sorted(name for name in in_service if verdicts.get(name) is None)
    if unproved and pool.monitor and pool.enabled:
        return Problem(
            Reason.WAITING_FOR_HEALTH,
            f"origin '{leaving.name}' leaves once the health check has a verdict on '{unproved[0]}'",
        )
    if not in_service and not deleted and not snapshot.alternatives:
        return Problem(
            Reason.WAITING_FOR_CONNECTORS,
            f"origin '{leaving.name}' is the last one that serves and leaves once another is back",
        )
    return None


def drain_s(tunnel: Tunnel, referrers: Iterable[Observed[LoadBalancer]]) -> float:
    """Tell for how long a disabled origin stays: until open requests and the sessions on it have ended.

    That is the Tunnel's `drainSeconds`, or the longest time that a load balancer with session affinity
    keeps sessions on a disabled origin.
    """
    sessions_s = (s for one in referrers for s in _session_drains(one.value))
    return max((float(tunnel.spec.drain_seconds), *sessions_s))


def _session_drains(balancer: LoadBalancer) -> Iterator[float]:
    """List how long sessions are kept, by the load balancer's own settings and by those of its rules."""
    own = balancer.session_affinity, balancer.session_affinity_attributes
    for affinity, attributes in (own, *_overrides(balancer)):
        duration = _member(attributes, "drain_duration")
        if affinity not in _NO_SESSIONS and isinstance(duration, (int, float)):
            yield float(duration)


def _overrides(balancer: LoadBalancer) -> Iterator[tuple[FrozenJson, FrozenJson]]:
    """List the session settings of rules; what a rule does not say is as the load balancer has it."""
    for rule in balancer.rules if isinstance(balancer.rules, FrozenArray) else ():
        said = _member(rule, "overrides")
        affinity = _member(said, "session_affinity")
        attributes = _member(said, "session_affinity_attributes")
        yield (
            balancer.session_affinity if affinity is None else affinity,
            balancer.session_affinity_attributes if attributes is None else attributes,
        )


def _member(value: FrozenJson, name: str) -> FrozenJson:
    return dict(value).get(name) if isinstance(value, FrozenObject) else None
