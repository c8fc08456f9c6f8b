"""Resources, slots and pools to build snapshots from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tunnelpool.build import pool as pool_builder
from tunnelpool.build.snapshot import ConnectorDefaults, Member, PoolSnapshot, Running, Site, Slot
from tunnelpool.crd.parsing import parse
from tunnelpool.crd.v1alpha1 import HealthCheck, LBPool, LoadBalancer, Tunnel
from tunnelpool.domain.ownership import Mark, Owner, TunnelName, read_mark
from tunnelpool.domain.remote import (
    CalledDown,
    Observed,
    ObservedPool,
    ObservedTunnel,
    Pool,
    PoolHealth,
    TunnelStatus,
)
from tunnelpool.domain.remote import (
    LoadBalancer as RemoteLoadBalancer,
)
from tunnelpool.domain.remote import Tunnel as RemoteTunnel

OWNER = Owner("here", "0123abcd")
STRANGER = Owner("there", "89abcdef")
CLONE = Owner("here", "ffffffff")
SITE = Site(OWNER, ConnectorDefaults("cloudflared:test"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = "my.example.com"


def raw(kind: str, name: str, spec: Mapping[str, Any], **meta: Any) -> dict[str, Any]:
    """Write an object as the API server has it."""
    return {
        "apiVersion": "tunnelpool.dev/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-of-{name}",
            "resourceVersion": "7",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **meta,
        },
        "spec": dict(spec),
    }


def deleting(there: dict[str, Any]) -> dict[str, Any]:
    """Mark an object as being deleted."""
    return {**there, "metadata": {**there["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}


def tunnel(name: str = "web", *, gone: bool = False, **spec: Any) -> Tunnel:
    """Read a Tunnel of the pool `my-pool`; `pool=None` takes that away."""
    fields = {"hostname": HOST, "service": "http://web.default.svc:8080", "pool": "my-pool", **spec}
    there = raw("Tunnel", name, {key: value for key, value in fields.items() if value is not None})
    return parse("Tunnel", deleting(there) if gone else there)


def lbpool(name: str = "my-pool", *, gone: bool = False, namespace: str = "default", **spec: Any) -> LBPool:
    """Read an LBPool."""
    there = raw("LBPool", name, spec, namespace=namespace, uid=f"uid-of-{namespace}-{name}")
    return parse("LBPool", deleting(there) if gone else there)


def static(name: str = "static", **spec: Any) -> LBPool:
    """Read an LBPool of one address."""
    return lbpool(name, origins=[{"name": "one", "address": "192.0.2.1"}], **spec)


def check(name: str = "web", *, gone: bool = False, **spec: Any) -> HealthCheck:
    """Read a HealthCheck."""
    there = raw("HealthCheck", name, spec)
    return parse("HealthCheck", deleting(there) if gone else there)


def balancer(
    name: str = "web", *, gone: bool = False, namespace: str = "default", **spec: Any
) -> LoadBalancer:
    """Read a LoadBalancer of `my-pool`."""
    fields = {"hostname": HOST, "pools": ["my-pool"], **spec}
    there = raw("LoadBalancer", name, fields, namespace=namespace, uid=f"uid-of-{namespace}-{name}")
    return parse("LoadBalancer", deleting(there) if gone else there)


def origin_name(index: int, name: str = "web") -> str:
    """Name an origin of a Tunnel."""
    return str(TunnelName(OWNER, "default", name, index))


def slot(
    index: int = 0,
    running: Running = Running.READY,
    *,
    name: str = "web",
    leaving: bool = False,
    for_s: float = 60.0,
    status: TunnelStatus = TunnelStatus.HEALTHY,
    down_for_s: float = 0.0,
    **fields: Any,
) -> Slot:
    """Build an origin of a Tunnel with its remote tunnel; the latest listing is of now.

    If the tunnel is down, listings have called it so for `down_for_s`.
    """
    at = NOW.timestamp()
    down = CalledDown(at - down_for_s, at) if status is TunnelStatus.DOWN else None
    remote = ObservedTunnel(
        f"tunnel-{name}-{index}", RemoteTunnel(origin_name(index, name)), status=status, called_down=down
    )
    return Slot(
        index, leaving, **{"remote": remote, "running": running, "running_for_s": for_s, "pods": 1, **fields}
    )


def member(*slots: Slot, of: Tunnel | None = None) -> Member:
    """Join a Tunnel with its slots."""
    return Member(of or tunnel(), slots)


def observed(
    desired: Pool,
    id_: str = "pool-1",
    *,
    up: Iterable[str] | None = None,
    disabled_for_s: float | None = None,
) -> ObservedPool:
    """Show a pool as Cloudflare lists it: all enabled origins up, unless `up` names others."""
    names = {origin.name for origin in desired.origins if origin.enabled} if up is None else set(up)
    verdicts = {o.name: o.name in names if o.enabled and desired.monitor else None for o in desired.origins}
    since = NOW - timedelta(seconds=disabled_for_s or 0)
    disabled = {o.name: since for o in desired.origins if not o.enabled and disabled_for_s is not None}
    return ObservedPool(id_, desired, health=PoolHealth(None, verdicts, disabled))


def snapshot(*members: Member, **fields: Any) -> PoolSnapshot:
    """Build the snapshot of `my-pool`."""
    given = {"name": "my-pool", "namespace": "default", "claimant": "Tunnel default/web", **fields}
    return PoolSnapshot(members=members, **given)


def pool_of(shot: PoolSnapshot, site: Site = SITE) -> Pool:
    """Build the pool that a snapshot asks for."""
    desired = pool_builder.build(shot, site, NOW).desired
    assert desired is not None
    return desired


def existing(*members: Member, off: Iterable[int] = (), **fields: Any) -> ObservedPool:
    """Show the pool that these members make while all of them are well; `off` are disabled."""
    well = [
        replace(
            one,
            slots=tuple(
                replace(s, leaving=False, running=Running.READY, running_for_s=60.0) for s in one.slots
            ),
        )
        for one in members
    ]
    built = pool_of(snapshot(*well, **fields))
    names = {origin_name(index) for index in off}
    origins = tuple(replace(o, enabled=o.enabled and o.name not in names) for o in built.origins)
    return observed(replace(built, origins=origins))


def taken_out(shown: ObservedPool, *indices: int) -> ObservedPool:
    """Show a pool whose operator has taken origins out."""
    names = tuple(sorted(origin_name(index) for index in indices))
    mark = read_mark(shown.value.description)
    assert mark is not None
    origins = tuple(replace(o, enabled=o.enabled and o.name not in names) for o in shown.value.origins)
    value = replace(shown.value, origins=origins, description=str(Mark(mark.owner, mark.of, names)))
    return replace(shown, value=value)


def referrer(
    *pools: str, fallback: str = "", owner: Owner | None = OWNER, name: str = HOST
) -> Observed[RemoteLoadBalancer]:
    """Show a load balancer of these pools."""
    description = str(Mark(owner, f"host/{name}")) if owner else ""
    value = RemoteLoadBalancer(name, pools, fallback or pools[0], description=description)
    return Observed("lb-1", value, "zone-com")


def states(desired: Pool | None) -> dict[int, Literal["in", "out"]]:
    """Tell by slot whether an origin is enabled."""
    assert desired is not None
    return {int(o.name.rpartition("_")[2]): "in" if o.enabled else "out" for o in desired.origins}


def marked_out(desired: Pool | None) -> set[int]:
    """List the slots that the mark calls out by the operator."""
    assert desired is not None
    mark = read_mark(desired.description)
    assert mark is not None
    return {int(name.rpartition("_")[2]) for name in mark.out}
