"""A pool: who is in it, who is out of it for the moment, and who leaves it.

Every decision is taken from what the pool and the cluster show now, never from memory (law 6): an
origin that leaves is disabled first, and `disabled_at` tells when it may go; an origin that the operator
has taken out stands in the mark, so that a restart can tell it from a user's switch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from tunnelpool.build.intent import Intent
from tunnelpool.build.ownership import disowned, foreign, is_unowned
from tunnelpool.build.snapshot import Member, PoolSnapshot, Running, Site, Slot
from tunnelpool.crd.fields import STREAMS
from tunnelpool.crd.v1alpha1 import LBPool, Tunnel
from tunnelpool.domain.canonical import canonical_address, canonical_notification_filter
from tunnelpool.domain.json import EMPTY, FrozenJson, freeze, with_defaults
from tunnelpool.domain.keys import PoolKey
from tunnelpool.domain.ownership import Mark, marked, read_mark
from tunnelpool.domain.reasons import Problem, Reason, suspended
from tunnelpool.domain.remote import (
    LOAD_SHEDDING_DEFAULTS,
    Origin,
    Pool,
    TunnelStatus,
    tunnel_address,
)

BACK_WITHIN_S: Final = 3.0
"""How long a container that has ended may take to come back before its origin is taken out (law 7)."""
_DEFAULT_REGIONS: Final = ("WNAM",)


@dataclass(frozen=True, slots=True)
class _Placed:
    """What is decided for one origin."""

    origin: Origin
    out: bool = False
    recheck_s: float | None = None


def build(snapshot: PoolSnapshot, site: Site, now: datetime) -> Intent[Pool]:
    """Decide what the pool shall be. A pool without origins cannot exist at Cloudflare (law 4)."""
    spec = effective(snapshot)
    if snapshot.observed is not None:
        strange = foreign(snapshot.observed, site.owner, f"pool '{snapshot.name}'", reason=Reason.NAME_IN_USE)
        if strange is not None and not (_adopts(snapshot, spec) and is_unowned(snapshot.observed.value)):
            return Intent(hold=True, problem=strange)
    if spec is None and not any(not member.tunnel.deleting for member in snapshot.members):
        kept = _let_go(snapshot)
        if kept is not None:
            return kept
    resting = _resting(snapshot, spec)
    if resting is not None:
        return Intent(hold=True, problem=suspended(resting))
    refused = _refused(snapshot, spec)
    monitor, waiting = _monitor(snapshot)
    problem = refused or waiting
    if problem is not None:
        if snapshot.observed is None or (spec is not None and spec.spec.origins):
            return Intent(hold=True, problem=problem)
        monitor = snapshot.observed.value.monitor  # origins come and go all the same
    if spec is not None and spec.spec.origins:
        placed = [_Placed(origin) for origin in address_origins(spec, requires_tls=requires_tls(snapshot))]
    else:
        if snapshot.referrers and _all_leave(snapshot):
            return Intent(hold=True, problem=_still_referenced(snapshot))
        placed = _guard_last(snapshot, list(_tunnel_origins(snapshot, site, now)))
    recheck_s = min((one.recheck_s for one in placed if one.recheck_s is not None), default=None)
    if not placed:
        if snapshot.referrers:
            return Intent(hold=True, problem=_still_referenced(snapshot))
        return Intent(problem=_why_empty(snapshot), recheck_s=recheck_s)
    out = tuple(sorted(one.origin.name for one in placed if one.out))
    origins = tuple(sorted((one.origin for one in placed), key=lambda origin: origin.name))
    desired = _pool(snapshot, spec, origins, out, monitor, site)
    return Intent(desired, problem=problem, recheck_s=recheck_s, adopt=_adopts(snapshot, spec))


def _adopts(snapshot: PoolSnapshot, spec: LBPool | None) -> bool:
    """Tell whether who describes the pool, or one of those that it is derived from, wants it taken over."""
    if spec is not None:
        return spec.adopts
    return any(member.tunnel.adopts for member in snapshot.members)


def _resting(snapshot: PoolSnapshot, spec: LBPool | None) -> LBPool | Tunnel | None:
    """Find who keeps the pool as it is: what describes it, or all Tunnels that it is derived from."""
    if spec is not None:
        return spec if spec.suspended else None
    tunnels = [member.tunnel for member in snapshot.members]
    return tunnels[0] if tunnels and all(tunnel.suspended for tunnel in tunnels) else None


def _let_go(snapshot: PoolSnapshot) -> Intent[Pool] | None:
    """Take our mark off a pool that nobody here wants any more, if the last to want it retain it.

    The origins of those who do not retain it leave first. None if the pool does not stay.
    """
    lbpools = [one for one in snapshot.lbpools if one.metadata.namespace == snapshot.namespace]
    leaving = [member for member in snapshot.members if not member.tunnel.retains]
    retained = any(one.retains for one in lbpools) or len(leaving) < len(snapshot.members)
    if snapshot.observed is None or not retained:
        return None
    names = {slot.remote.value.name for member in leaving for slot in member.slots if slot.remote}
    pool = snapshot.observed.value
    staying = tuple(origin for origin in pool.origins if origin.name not in names)
    if not staying:
        return None
    letting_go = Problem(Reason.DELETING, "the pool stays, without our mark")
    desired = replace(disowned(pool, snapshot.observed.id), origins=staying)
    return Intent(desired=desired, problem=letting_go)


def _all_leave(snapshot: PoolSnapshot) -> bool:
    """Tell whether nothing stays: then load balancers let go first, and there is nothing to drain into."""
    return all(slot.leaving for member in snapshot.members for slot in member.slots)


def _still_referenced(snapshot: PoolSnapshot) -> Problem:
    names = ", ".join(f"'{one.value.name}'" for one in snapshot.referrers)
    return Problem(Reason.NO_ORIGINS, f"no origin stays in the pool, but load balancer {names} refers to it")


def address_origins(pool: LBPool, *, requires_tls: bool) -> Iterator[Origin]:
    """Translate the origins that have an address."""
    for origin in pool.spec.origins:
        yield Origin(
            name=origin.name,
            address=canonical_address(origin.address),
            enabled=origin.enabled,
            weight=origin.weight,
            port=origin.port or (443 if requires_tls else 0),
            host=origin.host_header or "",
        )


def requires_tls(snapshot: PoolSnapshot) -> bool:
    """Tell whether origins must be reached over TLS: a fallback's must, unless it says otherwise."""
    spec = effective(snapshot)
    if spec is None:
        return False
    return snapshot.used_as_fallback if spec.spec.require_tls is None else spec.spec.require_tls


def effective(snapshot: PoolSnapshot) -> LBPool | None:
    """Take the LBPool that describes the pool: the oldest of the namespace that is not being deleted."""
    here = (pool for pool in snapshot.lbpools if pool.metadata.namespace == snapshot.namespace)
    return next((pool for pool in here if not pool.deleting), None)


def _refused(snapshot: PoolSnapshot, spec: LBPool | None) -> Problem | None:
    check = snapshot.health_check.health_check if snapshot.health_check else None
    if spec is not None and not spec.spec.origins and check is not None and not check.spec.is_http:
        return Problem(
            Reason.HEALTH_CHECK_NOT_SUPPORTED,
            f"HealthCheck '{check.metadata.name}' has type '{check.spec.type}', but origins behind a tunnel "
            "can be checked by 'https' and 'http' only",
            stalled=True,
        )
    stream = next(filter(None, map(_stream, snapshot.members)), None) if check is not None else None
    if stream is not None:
        return stream
    if spec is None or not spec.spec.origins or check is None or not requires_tls(snapshot):
        return None
    if check.spec.type == "https" and not check.spec.allow_insecure:
        return None
    return Problem(
        Reason.TLS_REQUIRED,
        f"the pool requires TLS: HealthCheck '{check.metadata.name}' must have `type` 'https' and not "
        "`allowInsecure`; or set `requireTLS` to 'false'",
        stalled=True,
    )


def _stream(member: Member) -> Problem | None:
    """Find a service that no health check can ask: it speaks no HTTP, so it would count as down for ever."""
    service = member.tunnel.spec.answering(member.hostname) or ""
    if member.tunnel.deleting or service.partition("://")[0] not in STREAMS:
        return None
    return Problem(
        Reason.HEALTH_CHECK_NOT_SUPPORTED,
        f"{member.tunnel} forwards '{member.hostname}' to '{service}', which answers no HTTP, so no health "
        "check can ask it: name a pool without `healthCheckRef`, or an http service",
        stalled=True,
    )


def _monitor(snapshot: PoolSnapshot) -> tuple[str, Problem | None]:
    view = snapshot.health_check
    if view is None:
        return "", None
    if view.health_check is None:
        message = (
            f"HealthCheck '{view.name}' must exist in the same namespace: apply it or remove `healthCheckRef`"
        )
        return "", Problem(Reason.HEALTH_CHECK_NOT_FOUND, message)
    if not view.monitor_id:
        return "", Problem(
            Reason.WAITING_FOR_HEALTH_CHECK, f"the monitor of HealthCheck '{view.name}' does not exist yet"
        )
    return view.monitor_id, None


def _tunnel_origins(snapshot: PoolSnapshot, site: Site, now: datetime) -> Iterator[_Placed]:
    there = {origin.name: origin for origin in snapshot.observed.value.origins} if snapshot.observed else {}
    mark = read_mark(snapshot.observed.value.description) if snapshot.observed else None
    out = mark.out if mark else ()
    for member in snapshot.members:
        for slot in member.slots:
            if slot.remote is None:
                continue
            wish = _origin(member, slot)
            existing = there.get(wish.name)
            if member.tunnel.suspended:
                if existing is not None:
                    yield _Placed(existing, out=existing.name in out)
            elif slot.leaving:
                yield from _leaving(snapshot, member, existing, now)
            elif existing is None:
                if slot.connected and slot.configured:
                    yield _Placed(wish)
            else:
                yield _staying(wish, existing, slot, site, was_out=wish.name in out)


def _origin(member: Member, slot: Slot) -> Origin:
    if slot.remote is None:  # the caller has looked
        raise ValueError(slot)
    return Origin(
        name=slot.remote.value.name,
        address=tunnel_address(slot.remote.id),
        weight=member.tunnel.spec.weight,
        host=member.hostname,
    )


def _leaving(
    snapshot: PoolSnapshot, member: Member, existing: Origin | None, now: datetime
) -> Iterator[_Placed]:
    """Disable, wait for the drain, let go. What no load balancer refers to has nothing to drain."""
    if existing is None or not snapshot.referrers:
        return
    disabled_at = snapshot.observed.health.disabled_at.get(existing.name) if snapshot.observed else None
    gone = replace(existing, enabled=False)
    if existing.enabled or disabled_at is None:
        yield _Placed(gone, out=True, recheck_s=member.tunnel.spec.drain_seconds)
        return
    left_s = member.tunnel.spec.drain_seconds - (now - disabled_at).total_seconds()
    if left_s > 0:
        yield _Placed(gone, out=True, recheck_s=left_s)


def _staying(wish: Origin, existing: Origin, slot: Slot, site: Site, *, was_out: bool) -> _Placed:
    if not existing.enabled and not was_out:
        return _Placed(replace(wish, enabled=False))  # a user's switch
    if not existing.enabled:
        back = slot.running is Running.READY
        return _Placed(replace(wish, enabled=back), out=not back)
    if not site.fast_failover or slot.running is Running.READY:
        return _Placed(wish)
    if slot.running is Running.ENDED:
        left_s = BACK_WITHIN_S - slot.running_for_s
        if left_s <= 0:
            return _Placed(replace(wish, enabled=False), out=True)
        return _Placed(wish, recheck_s=left_s)
    if slot.remote is not None and slot.remote.status is TunnelStatus.DOWN:
        return _Placed(replace(wish, enabled=False), out=True)  # two witnesses: no pod ready, and Cloudflare
    return _Placed(wish)


def _guard_last(snapshot: PoolSnapshot, placed: list[_Placed]) -> list[_Placed]:
    """Keep the last enabled origin in, unless traffic has somewhere else to go (law 7)."""
    leaving = frozenset(
        slot.remote.value.name
        for member in snapshot.members
        for slot in member.slots
        if slot.leaving and slot.remote is not None
    )
    taken = [one for one in placed if one.out and one.origin.name not in leaving]
    if (
        any(one.origin.enabled for one in placed)
        or not taken
        or not snapshot.referrers
        or snapshot.alternatives
    ):
        return placed
    enabled_now = (
        {o.name for o in snapshot.observed.value.origins if o.enabled} if snapshot.observed else set()
    )
    return [
        replace(one, origin=replace(one.origin, enabled=True), out=False)
        if one in taken and one.origin.name in enabled_now
        else one
        for one in placed
    ]


def _pool(
    snapshot: PoolSnapshot,
    lbpool: LBPool | None,
    origins: tuple[Origin, ...],
    out: tuple[str, ...],
    monitor: str,
    site: Site,
) -> Pool:
    spec = lbpool.spec if lbpool else None
    mark = Mark(site.owner, PoolKey("", snapshot.name).mark, out)
    all_out = bool(out) and not any(origin.enabled for origin in origins)
    return Pool(
        name=snapshot.name,
        origins=origins,
        description=marked(spec.description if spec else "", mark),
        enabled=(spec.enabled if spec else True) and not all_out,
        minimum_origins=spec.minimum_origins if spec else 1,
        monitor=monitor,
        check_regions=tuple(sorted(spec.check_regions if spec else _DEFAULT_REGIONS)),
        latitude=spec.latitude if spec else None,
        longitude=spec.longitude if spec else None,
        load_shedding=with_defaults(
            freeze(spec.load_shedding.model_dump(mode="json")) if spec and spec.load_shedding else EMPTY,
            LOAD_SHEDDING_DEFAULTS,
        ),
        origin_steering=freeze(
            {"policy": spec.origin_steering.policy if spec and spec.origin_steering else "random"}
        ),
        notification_filter=_notification(lbpool),
    )


def _notification(lbpool: LBPool | None) -> FrozenJson:
    if lbpool is None or lbpool.spec.notification_filter is None:
        return None
    return canonical_notification_filter(lbpool.spec.notification_filter.model_dump(mode="json"))


def _why_empty(snapshot: PoolSnapshot) -> Problem | None:
    if any(slot for member in snapshot.members for slot in member.slots if not slot.leaving):
        return Problem(
            Reason.WAITING_FOR_CONNECTORS, "no connector of the Tunnels in this pool has registered yet"
        )
    spec = effective(snapshot)
    if spec is None:
        return None
    return Problem(
        Reason.NO_ORIGINS,
        f"no origin is in the pool, so it does not exist at Cloudflare: apply a Tunnel with `pool` "
        f"'{spec.metadata.name}', or give the pool `origins`",
    )
