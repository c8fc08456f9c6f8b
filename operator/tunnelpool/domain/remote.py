"""Cloudflare's objects in canonical form.

Two equal values mean the same object at Cloudflare, whoever wrote it down: defaults of the server are
filled in, what has no order is sorted, host names are lower case. A field that stands here is managed
by tunnelpool; one that does not is never compared and never written. Field names are the names on the
wire (see https://developers.cloudflare.com/api/), so that a difference can be written as a PATCH.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from tunnelpool.domain.json import EMPTY, NONE, FrozenArray, FrozenJson, FrozenObject, freeze

TUNNEL_DOMAIN: Final = "cfargotunnel.com"


class RemoteKind(StrEnum):
    """The kinds of remote objects that tunnelpool owns, by the names that a person would use."""

    MONITOR = "monitor"
    POOL = "pool"
    LOAD_BALANCER = "load balancer"
    TUNNEL = "tunnel"
    DNS_RECORD = "DNS record"


REGIONAL_HEALTH: Final = ("global", "regional")
"""`health_sources` where each region decides by its own probes; Cloudflare takes no other list."""
LOAD_SHEDDING_DEFAULTS: Final = {
    "default_percent": 0,
    "default_policy": "random",
    "session_percent": 0,
    "session_policy": "hash",
}
RANDOM_STEERING_DEFAULTS: Final = {"default_weight": 1, "pool_weights": {}}
ADAPTIVE_ROUTING_DEFAULTS: Final = {"failover_across_pools": False}
LOCATION_STRATEGY_DEFAULTS: Final = {"mode": "pop", "prefer_ecs": "proximity"}
SESSION_AFFINITY_ATTRIBUTES_DEFAULTS: Final = {
    "samesite": "Auto",
    "secure": "Auto",
    "zero_downtime_failover": "none",
}


@dataclass(frozen=True, slots=True)
class Monitor:
    """A health check. Times in seconds; port 0 is the default of the type."""

    description: str
    type: str = "https"
    method: str = "GET"
    path: str = "/"
    port: int = 0
    interval: int = 60
    timeout: int = 5
    retries: int = 2
    consecutive_up: int = 0
    consecutive_down: int = 0
    expected_codes: str = "200"
    expected_body: str = ""
    header: FrozenJson = EMPTY
    """`{name: [values]}`"""
    follow_redirects: bool = False
    allow_insecure: bool = False
    probe_zone: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """One endpoint of a pool. Weight 0 to 1; host is the Host header, empty for none; port 0 for none."""

    name: str
    address: str
    enabled: bool = True
    weight: float = 1
    port: int = 0
    host: str = ""
    flatten_cname: bool = True
    """Whether an unproxied load balancer answers with addresses, not with a CNAME to a host name."""

    @property
    def tunnel_id(self) -> str | None:
        """The tunnel that the origin is reached through, if it is one."""
        head, _, domain = self.address.partition(".")
        return head if domain == TUNNEL_DOMAIN else None


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool; origins sorted by name. `monitor` is the id of the monitor or empty."""

    name: str
    origins: tuple[Origin, ...]
    description: str = ""
    enabled: bool = True
    minimum_origins: int = 1
    monitor: str = ""
    check_regions: tuple[str, ...] = ()
    """Sorted; empty means every data centre."""
    health_sources: tuple[str, ...] = ()
    """Sorted; empty means that all regions decide together."""
    latitude: float | None = None
    longitude: float | None = None
    load_shedding: FrozenJson = field(default_factory=lambda: freeze(LOAD_SHEDDING_DEFAULTS))
    origin_steering: FrozenJson = field(default_factory=lambda: freeze({"policy": "random"}))
    notification_filter: FrozenJson = None


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """A load balancer; pools by id. `ttl` 0 where the server decides (proxied)."""

    name: str
    default_pools: tuple[str, ...]
    fallback_pool: str
    description: str = ""
    enabled: bool = True
    proxied: bool = True
    ttl: int = 0
    steering_policy: str = "off"
    region_pools: FrozenJson = EMPTY
    country_pools: FrozenJson = EMPTY
    pop_pools: FrozenJson = EMPTY
    random_steering: FrozenJson = field(default_factory=lambda: freeze(RANDOM_STEERING_DEFAULTS))
    session_affinity: str = "none"
    session_affinity_ttl: int = 0
    """0 where the server decides."""
    session_affinity_attributes: FrozenJson = field(
        default_factory=lambda: freeze(SESSION_AFFINITY_ATTRIBUTES_DEFAULTS)
    )
    adaptive_routing: FrozenJson = field(default_factory=lambda: freeze(ADAPTIVE_ROUTING_DEFAULTS))
    location_strategy: FrozenJson = field(default_factory=lambda: freeze(LOCATION_STRATEGY_DEFAULTS))
    rules: FrozenJson = NONE
    """As `canonical_rules` writes them."""

    @property
    def pools(self) -> frozenset[str]:
        """Ids of all pools that the load balancer refers to."""
        found = {*self.default_pools, self.fallback_pool}
        for places in (self.region_pools, self.country_pools, self.pop_pools):
            found |= _listed(places)
        for rule in self.rules if isinstance(self.rules, FrozenArray) else ():
            overrides = _member(rule, "overrides")
            found |= {one for name in _POOL_LISTS for one in _listed(_member(overrides, name))}
            fallback = _member(overrides, "fallback_pool")
            found |= {fallback} if isinstance(fallback, str) else set()
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A remotely managed tunnel: at Cloudflare it is little more than its name."""

    name: str


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A DNS record; ttl 1 is automatic."""

    name: str
    type: str
    content: str
    proxied: bool = True
    ttl: int = 1
    comment: str = ""


RemoteValue = Monitor | Pool | LoadBalancer | Tunnel | DnsRecord
T_co = TypeVar("T_co", bound=RemoteValue, covariant=True)
Seen = TypeVar("Seen", bound="Observed[Any]")


@dataclass(frozen=True, slots=True)
class Observed(Generic[T_co]):
    """A remote object as a listing shows it."""

    id: str
    value: T_co
    zone_id: str = ""
    """Of load balancers and DNS records."""
    created_on: str = field(default="", compare=False)
    """Of pools and load balancers, as Cloudflare writes times: of two of one name the older counts."""

    @property
    def title(self) -> str:
        """Name for people: monitors have none, so it is their description."""
        return self.value.description if isinstance(self.value, Monitor) else self.value.name


@dataclass(frozen=True, slots=True)
class PoolHealth:
    """What the listing of pools says of one of them; None where there is no verdict."""

    healthy: bool | None = None
    origins: Mapping[str, bool | None] = field(default_factory=dict)
    """By origin name."""
    disabled_at: Mapping[str, datetime] = field(default_factory=dict)
    """By origin name, of the disabled ones."""


@dataclass(frozen=True, slots=True)
class ObservedPool(Observed[Pool]):
    """A pool and its health, which the same listing tells."""

    health: PoolHealth = field(default_factory=PoolHealth)


class TunnelStatus(StrEnum):
    """What Cloudflare says of a tunnel's connections."""

    INACTIVE = "inactive"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class CalledDown:
    """Which listings in a row have called a tunnel down: when the first and the latest were asked for.

    Seconds since the epoch. A process knows of those only that it has read itself.
    """

    since: float
    latest: float


@dataclass(frozen=True, slots=True)
class ObservedTunnel(Observed[Tunnel]):
    """A tunnel and the state of its connections."""

    status: TunnelStatus = TunnelStatus.INACTIVE
    remotely_managed: bool = True
    called_down: CalledDown | None = field(default=None, compare=False)
    """While the status is `down`; no difference in itself, since each listing moves it."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of the account, by its name in lower case."""

    id: str
    name: str


KIND_OF: Final[Mapping[type, RemoteKind]] = {
    Monitor: RemoteKind.MONITOR,
    Pool: RemoteKind.POOL,
    LoadBalancer: RemoteKind.LOAD_BALANCER,
    Tunnel: RemoteKind.TUNNEL,
    DnsRecord: RemoteKind.DNS_RECORD,
}


_POOL_LISTS: Final = ("default_pools", "region_pools", "country_pools", "pop_pools", "pools")
"""Where an override of a rule names pools."""


def _member(value: FrozenJson, name: str) -> FrozenJson:
    return dict(value).get(name) if isinstance(value, FrozenObject) else None


def _listed(pools: FrozenJson) -> set[str]:
    """Collect the ids of a list of pools, or of such lists by place."""
    if isinstance(pools, FrozenObject):
        return {one for _, listed in pools for one in _listed(listed)}
    return {str(pool) for pool in pools} if isinstance(pools, FrozenArray) else set()


def tunnel_address(tunnel_id: str) -> str:
    """Name under which a pool reaches a tunnel."""
    return f"{tunnel_id}.{TUNNEL_DOMAIN}"


def by_age(found: Iterable[Seen]) -> tuple[Seen, ...]:
    """Order objects of one name: should two clusters have made one each, all must choose alike."""
    return tuple(sorted(found, key=lambda one: (one.created_on, one.id)))
