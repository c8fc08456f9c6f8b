"""Load balancers, pools, origins and records in the form in which choices are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from localedge.balance.rules import Rule, rules_from
from localedge.balance.visitor import Location
from localedge.state.records import Document, host_of_origin, tunnel_of_address

Policy = Literal["off", "geo", "random", "least_outstanding_requests"]


@dataclass(frozen=True, slots=True)
class Origin:
    """An endpoint of a pool: a tunnel, or an address."""

    name: str
    address: str
    enabled: bool
    weight: float
    port: int
    host: str | None
    """The Host header that it asks for."""
    disabled_at: float | None = None
    """Seconds since 1970."""

    @property
    def tunnel_id(self) -> str | None:
        """The tunnel, None for an address."""
        return tunnel_of_address(self.address)


@dataclass(frozen=True, slots=True)
class Pool:
    """Origins, and how many of them must be healthy."""

    id: str
    name: str
    enabled: bool
    minimum_origins: int
    monitor_id: str | None
    origin_steering: Literal["random", "hash", "least_outstanding_requests"]
    shed_percent: float
    shed_policy: Literal["random", "hash"]
    check_regions: tuple[str, ...]
    origins: tuple[Origin, ...]
    shed_sessions_percent: float = 0
    """Share of the sessions that are to go elsewhere, chosen by hash."""


@dataclass(frozen=True, slots=True)
class Affinity:
    """How visitors stay with an origin."""

    kind: Literal["none", "cookie", "ip_cookie", "header"] = "none"
    ttl_s: int = 0
    samesite: Literal["Auto", "Lax", "None", "Strict"] = "Auto"
    secure: Literal["Auto", "Always", "Never"] = "Auto"
    failover: Literal["none", "temporary", "sticky"] = "none"
    drain_s: int = 0
    headers: tuple[str, ...] = ()
    require_all: bool = False


@dataclass(frozen=True, slots=True)
class GeoPools:
    """Pools in failover order by place."""

    pops: Mapping[str, tuple[Pool, ...]]
    countries: Mapping[str, tuple[Pool, ...]]
    regions: Mapping[str, tuple[Pool, ...]]

    def of(self, location: Location) -> tuple[Pool, ...] | None:
        """Find the list for a place: data centre, else country, else region. None is the default one."""
        return (
            self.pops.get(location.pop)
            or self.countries.get(location.country)
            or self.regions.get(location.region)
        )

    def every_pool(self) -> Iterator[Pool]:
        """All pools of all lists."""
        for places in (self.pops, self.countries, self.regions):
            for pools in places.values():
                yield from pools


NOWHERE = GeoPools({}, {}, {})


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """A name and its pools in failover order."""

    id: str
    name: str
    zone_id: str
    pools: tuple[Pool, ...]
    fallback: Pool
    steering_policy: Policy
    pool_weights: tuple[float, ...]
    """One for each of `pools`."""
    failover_across_pools: bool
    proxied: bool = True
    ttl_s: int = 30
    """Of the answer of a DNS-only one."""
    geo: GeoPools = NOWHERE
    affinity: Affinity = Affinity()
    rules: tuple[Rule, ...] = ()

    def every_pool(self) -> list[Pool]:
        """All pools once, the fallback last."""
        named = (*self.pools, *self.geo.every_pool(), self.fallback)
        return list({pool.id: pool for pool in named}.values())


@dataclass(frozen=True, slots=True)
class Record:
    """A proxied DNS record."""

    name: str
    kind: str
    content: str
    zone_id: str

    @property
    def tunnel_id(self) -> str | None:
        """The tunnel that it points to."""
        return tunnel_of_address(self.content) if self.kind == "CNAME" else None


def pool_from(document: Document) -> Pool:
    """Build a pool from the API's document."""
    shedding = document["load_shedding"]
    return Pool(
        id=document["id"],
        name=document["name"],
        enabled=document["enabled"],
        minimum_origins=document["minimum_origins"],
        monitor_id=document.get("monitor"),
        origin_steering=document["origin_steering"]["policy"],
        shed_percent=shedding["default_percent"],
        shed_policy=shedding["default_policy"],
        shed_sessions_percent=shedding["session_percent"],
        check_regions=tuple(document["check_regions"] or ()),
        origins=tuple(_origin(origin) for origin in document["origins"]),
    )


def balancer_from(document: Document, pools: Mapping[str, Pool]) -> LoadBalancer:
    """Build a load balancer from the API's document; its pools exist, the API sees to that."""
    weights = document["random_steering"]
    return LoadBalancer(
        id=document["id"],
        name=document["name"],
        zone_id=document["zone_id"],
        pools=tuple(pools[key] for key in document["default_pools"]),
        fallback=pools[document["fallback_pool"]],
        steering_policy=document["steering_policy"],
        pool_weights=tuple(
            weights["pool_weights"].get(key, weights["default_weight"]) for key in document["default_pools"]
        ),
        failover_across_pools=document["adaptive_routing"]["failover_across_pools"],
        proxied=document["proxied"],
        ttl_s=document.get("ttl", 0),
        geo=GeoPools(
            *(
                {place: tuple(pools[key] for key in keys) for place, keys in document[name].items()}
                for name in ("pop_pools", "country_pools", "region_pools")
            )
        ),
        affinity=_affinity(document),
        rules=rules_from(document),
    )


def overridden(document: Document, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Change a load balancer's document by what one rule overrides; its own rules are done with."""
    changed = {**document, **overrides, "rules": []}
    changed["steering_policy"] = changed["steering_policy"] or "off"
    return changed


def _origin(document: Document) -> Origin:
    since = document.get("disabled_at")
    return Origin(
        name=document["name"],
        address=document["address"],
        enabled=document["enabled"],
        weight=document["weight"],
        port=document.get("port", 0),
        host=host_of_origin(document),
        disabled_at=datetime.fromisoformat(since).timestamp() if since else None,
    )


def _affinity(document: Document) -> Affinity:
    attributes = document["session_affinity_attributes"]
    return Affinity(
        kind=document["session_affinity"],
        ttl_s=document.get("session_affinity_ttl", 0),
        samesite=attributes["samesite"],
        secure=attributes["secure"],
        failover=attributes["zero_downtime_failover"],
        drain_s=attributes.get("drain_duration", 0),
        headers=tuple(attributes.get("headers", ())),
        require_all=attributes.get("require_all_headers", False),
    )
