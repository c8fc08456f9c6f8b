"""A HealthCheck's monitor. The origin's own Host wins in a probe; the monitor's is the second choice."""

from __future__ import annotations

from tunnelpool.build.intent import Intent
from tunnelpool.build.ownership import disowned
from tunnelpool.build.snapshot import MonitorSnapshot, Site
from tunnelpool.crd.v1alpha1 import HealthCheck
from tunnelpool.domain.json import freeze
from tunnelpool.domain.keys import MonitorKey
from tunnelpool.domain.ownership import Mark, marked
from tunnelpool.domain.reasons import Problem, Reason, suspended
from tunnelpool.domain.remote import Monitor, Observed


def build(snapshot: MonitorSnapshot, site: Site) -> Intent[Monitor]:
    """Decide what the monitor of a HealthCheck shall be.

    A HealthCheck that is being deleted keeps its monitor while an LBPool refers to it.
    """
    keep = chosen(snapshot)
    extra = tuple(one for one in snapshot.observed if one is not keep and one.id not in snapshot.in_use)
    check = snapshot.health_check
    if check is None:
        return Intent(extra=extra)
    if check.deleting:
        users = sorted(pool.metadata.name for pool in snapshot.used_by)
        if users:
            names = ", ".join(f"'{name}'" for name in users)
            message = f"LBPool {names} still refers to it by `healthCheckRef`: delete or change that first"
            return Intent(hold=True, problem=Problem(Reason.DELETION_BLOCKED, message), extra=extra)
        if check.retains and keep is not None:
            letting_go = Problem(Reason.DELETING, "the monitor stays, without our mark")
            return Intent(desired=disowned(keep.value, keep.id, site.owner), problem=letting_go, extra=extra)
        return Intent(problem=Problem(Reason.DELETING, "the monitor is being deleted"), extra=extra)
    if check.suspended:
        return Intent(hold=True, problem=suspended(check))
    return Intent(desired=desired(check, snapshot, site), extra=extra, adopt=check.adopts)


def desired(check: HealthCheck, snapshot: MonitorSnapshot, site: Site) -> Monitor:
    """Translate the spec into Cloudflare's monitor."""
    spec = check.spec
    host = spec.host_header or ""
    if not host and len(snapshot.tunnel_hostnames) == 1 and spec.is_http:
        (host,) = snapshot.tunnel_hostnames
    header = {name: list(values) for name, values in (spec.headers or {}).items()}
    if host:
        header["Host"] = [host]
    mark = Mark(site.owner, str(MonitorKey(snapshot.namespace, snapshot.name)))
    return Monitor(
        description=marked(spec.description, mark),
        type=spec.type,
        method=spec.effective_method,
        path=spec.effective_path,
        port=spec.port or 0,
        interval=spec.interval_seconds,
        timeout=spec.timeout_seconds,
        retries=spec.retries,
        consecutive_up=spec.consecutive_up,
        consecutive_down=spec.consecutive_down,
        expected_codes=spec.effective_codes,
        expected_body=spec.expected_body or "",
        header=freeze(header),
        follow_redirects=spec.follow_redirects,
        allow_insecure=spec.allow_insecure,
        probe_zone=spec.probe_zone or "",
    )


def chosen(snapshot: MonitorSnapshot) -> Observed[Monitor] | None:
    """Of several monitors for one HealthCheck keep the one that a pool refers to, else the first by id."""
    used = [one for one in snapshot.observed if one.id in snapshot.in_use]
    return min(used or snapshot.observed, key=lambda one: one.id, default=None)
