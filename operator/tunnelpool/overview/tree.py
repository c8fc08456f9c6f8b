"""The tree of host names, pools and origins, from the resources as the cluster holds them. Pure.

Nothing is asked but the resources: who may read them in a namespace may see the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypeVar

from tunnelpool.build.companion import connectors
from tunnelpool.build.host import pool_names, winner
from tunnelpool.build.snapshot import HostSnapshot, Member, PoolView
from tunnelpool.crd.base import Resource
from tunnelpool.crd.v1alpha1 import LBPool, LoadBalancer, Tunnel
from tunnelpool.crd.v1alpha1.tunnel import TunnelOrigin
from tunnelpool.domain.hostnames import canonical_hostname
from tunnelpool.domain.ownership import read_tunnel_name

Role: TypeAlias = Literal["pool", "fallback"]
Answer: TypeAlias = Literal["load balancer", "tunnel", "nothing"]
R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class OriginRow:
    """One origin of a pool. `healthy` is None without verdict; `state` is the Tunnel's word for it."""

    name: str
    enabled: bool
    healthy: bool | None
    state: str = ""


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One pool of a host name. `may_fail` is None where the pool does not exist yet."""

    name: str
    role: Role
    serving: bool
    health: str
    healthy: int
    count: int
    minimum: int
    checked: bool
    """Whether a health check decides; else every origin counts as up."""
    may_fail: int | None
    """How many origins may still fail before the pool is passed over."""
    origins: tuple[OriginRow, ...]


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host name of one namespace."""

    hostname: str
    namespace: str
    answered_by: Answer
    on_fallback: bool
    pools: tuple[PoolRow, ...]
    """In the order of failover, the fallback last."""
    connectors: str = ""
    """Of a host name without pools: how many connectors are ready."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A resource that is not ready, in the words of its own status."""

    kind: str
    namespace: str
    name: str
    reason: str
    message: str
    stalled: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that is shown."""

    hosts: tuple[HostRow, ...]
    troubles: tuple[Trouble, ...]


def overview(resources: Iterable[Resource]) -> Overview:
    """Build the tree."""
    found = sorted(resources, key=_age)
    places: dict[tuple[str, str], list[Resource]] = {}
    for one in found:
        if isinstance(one, (Tunnel, LoadBalancer)):
            names = one.spec.hosts if isinstance(one, Tunnel) else (one.spec.hostname,)
            for hostname in names:
                place = (canonical_hostname(hostname), one.metadata.namespace)
                places.setdefault(place, []).append(one)
    hosts = []
    for hostname, namespace in sorted(places):
        local = _Namespace.of(namespace, found)
        hosts.append(_host(hostname, places[hostname, namespace], local))
    troubles = tuple(trouble for one in sorted(found, key=_title) if (trouble := _trouble(one)) is not None)
    return Overview(tuple(hosts), troubles)


@dataclass(frozen=True, slots=True)
class _Namespace:
    """What host names of a namespace may refer to."""

    name: str
    pools: Mapping[str, LBPool]
    tunnels: tuple[Tunnel, ...]

    @classmethod
    def of(cls, name: str, resources: Iterable[Resource]) -> _Namespace:
        here = [one for one in resources if one.metadata.namespace == name]
        return cls(name, {one.metadata.name: one for one in _of(LBPool, here)}, _of(Tunnel, here))


def _host(hostname: str, claims: Sequence[Resource], here: _Namespace) -> HostRow:
    tunnels = _of(Tunnel, claims)
    snapshot = HostSnapshot(
        hostname,
        here.name,
        load_balancers=_of(LoadBalancer, claims),
        members=tuple(Member(_awake(one), (), hostname) for one in tunnels),
        pools={name: PoolView(one.pool_name, one) for name, one in here.pools.items()},
    )
    names, fallback = pool_names(snapshot)
    serving, on_fallback, balanced = _answers(snapshot)
    roles: list[tuple[str, Role]] = [(name, "pool") for name in names]
    if fallback is not None and fallback not in names:
        roles.append((fallback, "fallback"))
    rows = tuple(_pool(name, role, serving, here) for name, role in roles)
    if balanced:
        return HostRow(hostname, here.name, "load balancer", on_fallback, rows)
    ready = sum(one.status.ready_replicas or 0 for one in tunnels)
    wanted = sum(_wanted(one) for one in tunnels)
    connectors = "" if names else f"{ready} of {wanted} connectors are ready"
    answered: Answer = "tunnel" if ready and not names else "nothing"
    return HostRow(hostname, here.name, answered, on_fallback, rows, connectors)


def _wanted(tunnel: Tunnel) -> int:
    """Tell how many connectors shall run; of one that follows a workload, how many there are."""
    if tunnel.spec.workload_ref is not None:
        return tunnel.status.replicas or 0
    return connectors(tunnel, None)


def _awake(tunnel: Tunnel) -> Tunnel:
    """Show a suspended Tunnel where it would stand: what it has brought is as it was."""
    return tunnel.model_copy(update={"spec": tunnel.spec.model_copy(update={"suspend": False})})


def _answers(snapshot: HostSnapshot) -> tuple[frozenset[str], bool, bool]:
    """Read who serves by remote name, whether it is the fallback, and whether a load balancer is there."""
    balancer = winner(snapshot)
    if balancer is not None and balancer.status.id:
        status = balancer.status
        return frozenset(filter(None, [status.serving_pool])), bool(status.on_fallback), True
    told = [one.tunnel.status.of(one.hostname).load_balancer for one in snapshot.members]
    derived = [one for one in told if one is not None]
    serving = frozenset(name for one in derived for name in one.serving_pools)
    return serving, any(one.on_fallback for one in derived), bool(derived)


def _pool(name: str, role: Role, serving: frozenset[str], here: _Namespace) -> PoolRow:
    lbpool = here.pools.get(name)
    members = [one for one in here.tunnels if name in one.spec.hosts.values()]
    registered = {origin.name: origin for one in members for origin in one.status.origins}
    told = [one.status.of(one.spec.hostname_in(name)).pool for one in members]
    joined = next((one for one in told if one is not None and one.id), None)
    serves = (lbpool.pool_name if lbpool else name) in serving
    checked = lbpool is not None and lbpool.spec.health_check_ref is not None
    if lbpool is not None and lbpool.status.id:
        status = lbpool.status
        seen = _Seen(status.health or "unknown", status.healthy_origins or 0, status.origins or 0)
        minimum = lbpool.spec.minimum_origins
        origins = [
            OriginRow(one.name, one.enabled, one.healthy, _state(registered.get(one.name)))
            for one in status.origin_statuses
        ]
    elif joined is not None:
        seen = _Seen(joined.health, joined.healthy_origins, joined.origins)
        minimum = joined.minimum_origins
        origins = [
            OriginRow(one.name, one.state == "Registered", one.healthy, one.state)
            for one in registered.values()
        ]
    else:
        minimum = lbpool.spec.minimum_origins if lbpool else 1
        return PoolRow(name, role, serves, "missing", 0, 0, minimum, checked, None, ())
    usable = seen.health in {"healthy", "degraded"}
    spare = max(seen.up - (minimum if checked else 1), 0) if usable else 0
    return PoolRow(
        name, role, serves, seen.health, seen.up, seen.count, minimum, checked, spare, _readable(origins)
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    health: str
    up: int
    count: int


def _state(origin: TunnelOrigin | None) -> str:
    return origin.state if origin is not None else ""


def _readable(origins: Iterable[OriginRow]) -> tuple[OriginRow, ...]:
    """Call the origins of Tunnels `namespace/name 0`, and say whose they are where several clusters meet."""
    rows = sorted(origins, key=lambda one: one.name)
    owners = {parts.owner for one in rows if (parts := read_tunnel_name(one.name))}
    return tuple(replace(one, name=_short(one.name, several=len(owners) > 1)) for one in rows)


def _short(name: str, *, several: bool) -> str:
    parts = read_tunnel_name(name)
    if parts is None:
        return name
    return f"{parts.namespace}/{parts.name} {parts.slot}" + (f" of {parts.owner.cluster}" if several else "")


def _trouble(one: Resource) -> Trouble | None:
    conditions = {condition.type: condition for condition in one.status.conditions}
    ready = conditions.get("Ready")
    if ready is not None and ready.status == "True":
        return None
    meta = one.metadata
    if ready is None:
        message = "no operator has seen it yet"
        return Trouble(one.kind, meta.namespace, meta.name, "Pending", message, stalled=False)
    stalled = "Stalled" in conditions
    return Trouble(one.kind, meta.namespace, meta.name, ready.reason, ready.message, stalled)


def _of(kind: type[R], resources: Iterable[Resource]) -> tuple[R, ...]:
    return tuple(one for one in resources if isinstance(one, kind))


def _age(one: Resource) -> tuple[float, str, str]:
    """Order as the operator does: who came first."""
    created = one.metadata.creation_timestamp
    return created.timestamp() if created else float("inf"), one.metadata.namespace, one.metadata.name


def _title(one: Resource) -> tuple[str, str, str]:
    return one.kind, one.metadata.namespace, one.metadata.name
