"""Snapshots: what one reconciliation sees, gathered before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, TypeAlias

from tunnelpool.build.companion import Companion
from tunnelpool.crd.v1alpha1 import HealthCheck, LBPool, LoadBalancer, Tunnel
from tunnelpool.domain.hostname_policy import NO_POLICY, HostnamePolicy
from tunnelpool.domain.json import FrozenJson
from tunnelpool.domain.keys import PoolKey
from tunnelpool.domain.ownership import Owner
from tunnelpool.domain.reasons import Problem
from tunnelpool.domain.remote import (
    DnsRecord,
    Monitor,
    Observed,
    ObservedPool,
    ObservedTunnel,
    TunnelStatus,
    Zone,
)
from tunnelpool.domain.remote import LoadBalancer as RemoteLoadBalancer

Raw: TypeAlias = Mapping[str, Any]

FINALIZER: Final = "tunnelpool.dev/cleanup"


@dataclass(frozen=True, slots=True)
class ConnectorDefaults:
    """What all connector pods of this installation have in common.

    `edge` is `host:port` of a local edge or empty for Cloudflare's own; `ca` is the PEM text of the
    certificate authority of that edge or empty for the built-in ones.
    """

    image: str
    protocol: str = "auto"
    edge: str = ""
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """What is the same for every resource: who we are, and how connectors run here."""

    owner: Owner
    connector: ConnectorDefaults
    fast_failover: bool = True
    mass_deletion: bool = False
    """Whether remains are deleted however many they are."""
    hostname_policy: HostnamePolicy = NO_POLICY


class Running(Enum):
    """What the pods of one origin show."""

    READY = "ready"
    """At least one is ready: it has a registered connection."""
    NOT_READY = "not ready"
    """None is ready, but one runs or starts."""
    ENDED = "ended"
    """Every container has ended, or there is no pod."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One origin of a Tunnel, as the cluster and Cloudflare show it."""

    index: int
    leaving: bool
    remote: ObservedTunnel | None = None
    duplicates: tuple[ObservedTunnel, ...] = ()
    """Further tunnels of the same name: what a lost answer may leave behind."""
    configured: bool = True
    """The tunnel has the configuration that the Tunnel asks for: it knows all hostnames."""
    shown: FrozenJson = None
    """The canonical configuration that Cloudflare has shown; None if it was not looked at."""
    deployment: Raw | None = None
    secret: Raw | None = None
    pods: int = 0
    ready_pods: int = 0
    running: Running = Running.ENDED
    running_for_s: float = 0.0
    """How long `running` has been what it is."""
    ready_since_s: float | None = None
    """When the pod that has become ready last did so, in seconds since the epoch; None if not known."""

    @property
    def connected(self) -> bool:
        """Tell whether requests can pass: a pod says so, or Cloudflare does."""
        return self.running is Running.READY or (
            self.remote is not None and self.remote.status in {TunnelStatus.HEALTHY, TunnelStatus.DEGRADED}
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A Tunnel as a pool or a host name sees it."""

    tunnel: Tunnel
    slots: tuple[Slot, ...]
    at: str = ""
    """Which of the Tunnel's hostnames is meant; empty for its own."""

    @property
    def hostname(self) -> str:
        """Host name that requests to these origins carry."""
        return self.at or self.tunnel.spec.hostname

    @property
    def pool(self) -> str | None:
        """Name of the pool that this hostname joins; None if it has a CNAME."""
        return self.tunnel.spec.hosts.get(self.hostname)


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool as those who refer to it see it. `name` is the remote name."""

    name: str
    lbpool: LBPool | None = None
    observed: ObservedPool | None = None
    """Only a pool that is ours."""
    members: tuple[Member, ...] = ()
    problem: Problem | None = None

    @property
    def leaving(self) -> frozenset[str]:
        """Names of the origins that are on their way out."""
        return frozenset(
            slot.remote.value.name
            for member in self.members
            for slot in member.slots
            if slot.leaving and slot.remote is not None
        )

    @property
    def staying(self) -> int:
        """Count the origins that are in the pool and stay there."""
        if self.observed is None:
            return 0
        return sum(origin.name not in self.leaving for origin in self.observed.value.origins)

    @property
    def is_addresses(self) -> bool:
        """Tell whether the pool is one of addresses, and stays one."""
        return self.lbpool is not None and bool(self.lbpool.spec.origins) and not self.lbpool.deleting

    @property
    def takes_tunnels(self) -> bool:
        """Tell whether Tunnels may join; an LBPool that is being deleted keeps nobody out."""
        return self.lbpool is None or self.lbpool.deleting or not self.lbpool.spec.origins


@dataclass(frozen=True, slots=True)
class FurtherHost:
    """A further hostname of a Tunnel, and what answers for it."""

    hostname: str
    pool: PoolView | None = None
    """The pool that it joins; None if it has a CNAME."""
    load_balancer: Observed[RemoteLoadBalancer] | None = None
    """The one of the hostname, if it is ours."""
    balanced_pools: Mapping[str, ObservedPool] = field(default_factory=dict)
    """By id, the pools that this load balancer refers to."""
    record: bool = False
    """A CNAME of ours answers for it."""

    @property
    def answered_by(self) -> Literal["LoadBalancer", "CNAME"] | None:
        """Tell what answers; a load balancer silently beats a record."""
        return "LoadBalancer" if self.load_balancer is not None else "CNAME" if self.record else None


@dataclass(frozen=True, slots=True)
class TunnelSnapshot:
    """What the reconciliation of a Tunnel sees. `tunnel` is None if only remains are left."""

    namespace: str
    name: str
    tunnel: Tunnel | None
    raw: Raw | None
    slots: tuple[Slot, ...]
    disruption_budget: Raw | None = None
    followed: Companion | None = None
    """The workload that the Tunnel follows."""
    pools: tuple[ObservedPool, ...] = ()
    """Every pool that holds an origin of this Tunnel."""
    pool: PoolView | None = None
    """The pool that the spec names."""
    load_balancer: Observed[RemoteLoadBalancer] | None = None
    """The one of its host name, if it is ours."""
    balanced_pools: Mapping[str, ObservedPool] = field(default_factory=dict)
    """By id, the pools that this load balancer refers to."""
    record: bool = False
    """A CNAME of ours answers for the host name."""
    host_problem: Problem | None = None
    """Why the host name is not served, as its own reconciliation found."""
    further: tuple[FurtherHost, ...] = ()
    """The further hostnames of `ingress`, in their order."""
    pointed_at: frozenset[str] = frozenset()
    """Ids of the tunnels that a CNAME of ours points to, for one of the hostnames."""
    derived_left: tuple[str, ...] = ()
    """What exists only because of this Tunnel, in words: the last one keeps its finalizer for them."""
    problem: Problem | None = None
    """Why Cloudflare cannot be asked at all."""


@dataclass(frozen=True, slots=True)
class MonitorSnapshot:
    """What the reconciliation of a HealthCheck sees."""

    namespace: str
    name: str
    health_check: HealthCheck | None
    raw: Raw | None
    observed: tuple[Observed[Monitor], ...] = ()
    """Every monitor with our mark for this HealthCheck; more than one after a lost answer."""
    used_by: tuple[LBPool, ...] = ()
    in_use: frozenset[str] = frozenset()
    """Ids of monitors that a pool at Cloudflare refers to."""
    tunnel_hostnames: frozenset[str] = frozenset()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class HealthCheckView:
    """A pool's health check: the object if there is one, and its monitor once that exists."""

    name: str
    health_check: HealthCheck | None
    monitor_id: str = ""


@dataclass(frozen=True, slots=True)
class Fleet:
    """All tunnels of ours in an account: how many Cloudflare can call down, and which it does."""

    tunnels: int = 0
    """Those that have ever been connected."""
    called_down: tuple[Slot, ...] = ()
    """Without what the cluster holds of them but for their pods."""
    out: frozenset[str] = frozenset()
    """Names of the origins that the operator has taken out, of all pools."""


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """What the reconciliation of a pool sees."""

    name: str
    namespace: str = ""
    """Where the oldest claim to the remote name is: nobody elsewhere has a say."""
    claimant: str = ""
    """That claim in words."""
    lbpools: tuple[LBPool, ...] = ()
    """Those that claim the remote name, the winner first."""
    raws: Mapping[tuple[str, str], Raw] = field(default_factory=dict)
    members: tuple[Member, ...] = ()
    fleet: Fleet = Fleet()
    observed: ObservedPool | None = None
    services: Mapping[str, Raw] = field(default_factory=dict)
    """By name, the Services whose addresses are origins; without those that do not exist."""
    room: int | None = None
    """How many origins the pool may have; None if no limit was met."""
    address_ranges: tuple[str, ...] | None = None
    """Where Cloudflare's requests come from; None while that is not known."""
    duplicates: tuple[ObservedPool, ...] = ()
    """Younger ones of the same name: two clusters have begun at the same moment."""
    health_check: HealthCheckView | None = None
    referrers: tuple[Observed[RemoteLoadBalancer], ...] = ()
    """Load balancers at Cloudflare that refer to the pool."""
    serving: frozenset[str] = frozenset()
    """Ids of the pools that answer for one of them."""
    alternatives: bool = False
    """Every one of them has another usable pool or another fallback."""
    used_as_fallback: bool = False
    ssl_modes: Mapping[str, str | None] = field(default_factory=dict)
    """SSL mode by zone, of the zones in which the pool is a fallback; None where it cannot be read."""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """What the reconciliation of a host name sees."""

    hostname: str
    namespace: str = ""
    """Where the oldest claim to the host name is: nobody elsewhere has a say."""
    claimant: str = ""
    """That claim in words."""
    load_balancers: tuple[LoadBalancer, ...] = ()
    """Those that claim the host name, the oldest first."""
    raws: Mapping[tuple[str, str], Raw] = field(default_factory=dict)
    members: tuple[Member, ...] = ()
    """Tunnels of that host name in the winner's namespace, oldest first."""
    zone: Zone | None = None
    observed: Observed[RemoteLoadBalancer] | None = None
    duplicates: tuple[Observed[RemoteLoadBalancer], ...] = ()
    """Younger ones of the same name."""
    referred: tuple[PoolKey, ...] = ()
    """Pools that the observed load balancer refers to, also those that no resource names any more."""
    records: tuple[Observed[DnsRecord], ...] = ()
    """DNS records of that name."""
    pools: Mapping[str, PoolView] = field(default_factory=dict)
    """By the name that the resources use."""
    refusals: Mapping[str, Problem] = field(default_factory=dict)
    """By namespace, why claims of the host name from there do not count."""
    problem: Problem | None = None
