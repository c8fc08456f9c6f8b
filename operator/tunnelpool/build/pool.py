"""A pool: what it is made of, with which settings, and when it may exist at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from tunnelpool.build.addresses import addressed
from tunnelpool.build.intent import Intent
from tunnelpool.build.ownership import disowned, is_unowned
from tunnelpool.build.room import fitting
from tunnelpool.build.shared_pool import barred, has_company, in_company, wants_sharing
from tunnelpool.build.snapshot import Member, PoolSnapshot, Site
from tunnelpool.build.tunnel_origins import Placed, Placing, tunnel_origins
from tunnelpool.crd.fields import STREAMS
from tunnelpool.crd.v1alpha1 import LBPool, Tunnel
from tunnelpool.domain.canonical import canonical_notification_filter
from tunnelpool.domain.json import EMPTY, FrozenJson, freeze, with_defaults
from tunnelpool.domain.keys import PoolKey
from tunnelpool.domain.ownership import Mark, marked
from tunnelpool.domain.reasons import Problem, Reason, suspended
from tunnelpool.domain.remote import LOAD_SHEDDING_DEFAULTS, REGIONAL_HEALTH, Origin, Pool

_DEFAULT_REGIONS: Final = ("WNAM",)


def build(snapshot: PoolSnapshot, site: Site, now: datetime) -> Intent[Pool]:
    """Decide what the pool shall be. A pool without origins cannot exist at Cloudflare (law 4)."""
    spec = effective(snapshot)
    strange = barred(snapshot, spec, site)
    adopted = _adopts(snapshot, spec) and snapshot.observed and is_unowned(snapshot.observed.value)
    if strange is not None and not adopted:
        return Intent(hold=True, problem=strange)
    intent = in_company(_alone(snapshot, spec, site, now), snapshot, spec, site)
    return intent if intent.hold else replace(intent, extra=snapshot.duplicates)


def _alone(snapshot: PoolSnapshot, spec: LBPool | None, site: Site, now: datetime) -> Intent[Pool]:
    """Decide what the pool shall be as far as this cluster is concerned."""
    if spec is None and not any(not member.tunnel.deleting for member in snapshot.members):
        kept = _let_go(snapshot, site)
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
        found = addressed(snapshot, spec, requires_tls=requires_tls(snapshot))
        placing = Placing(tuple(Placed(origin) for origin in found.origins), found.problem)
    else:
        if snapshot.referrers and _all_leave(snapshot) and not has_company(snapshot, site):
            return Intent(hold=True, problem=_still_referenced(snapshot))
        placing = tunnel_origins(snapshot, site, now)
    placing = fitting(placing, snapshot)
    placed, problem = placing.placed, problem or placing.held
    recheck_s = min((one.recheck_s for one in placed if one.recheck_s is not None), default=None)
    if not placed:
        if snapshot.referrers and not has_company(snapshot, site):
            return Intent(hold=True, problem=_still_referenced(snapshot))
        return Intent(problem=placing.held or _why_empty(snapshot), recheck_s=recheck_s)
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


def _let_go(snapshot: PoolSnapshot, site: Site) -> Intent[Pool] | None:
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
    desired = replace(disowned(pool, snapshot.observed.id, site.owner), origins=staying)
    return Intent(desired=desired, problem=letting_go)


def _all_leave(snapshot: PoolSnapshot) -> bool:
    """Tell whether nothing stays: then load balancers let go first, and there is nothing to drain into."""
    return all(slot.leaving for member in snapshot.members for slot in member.slots)


def _still_referenced(snapshot: PoolSnapshot) -> Problem:
    names = ", ".join(f"'{one.value.name}'" for one in snapshot.referrers)
    return Problem(Reason.NO_ORIGINS, f"no origin stays in the pool, but load balancer {names} refers to it")


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


def _pool(
    snapshot: PoolSnapshot,
    lbpool: LBPool | None,
    origins: tuple[Origin, ...],
    out: tuple[str, ...],
    monitor: str,
    site: Site,
) -> Pool:
    spec = lbpool.spec if lbpool else None
    shared = wants_sharing(lbpool)
    company = has_company(snapshot, site)
    listed = tuple(one.name for one in origins if (shared or company) and one.tunnel_id is None)
    mark = Mark(site.owner, PoolKey("", snapshot.name).mark, out, shared=shared, has=tuple(sorted(listed)))
    all_out = bool(out) and not any(origin.enabled for origin in origins) and not company
    return Pool(
        name=snapshot.name,
        origins=origins,
        description=marked(spec.description if spec else "", mark),
        enabled=(spec.enabled if spec else True) and not all_out,
        minimum_origins=spec.minimum_origins if spec else 1,
        monitor=monitor,
        check_regions=tuple(sorted(spec.check_regions if spec else _DEFAULT_REGIONS)),
        health_sources=REGIONAL_HEALTH if spec and spec.regional_health else (),
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
