"""The load balancing configuration in the form in which choices are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from localedge.state.records import Document, State, host_of_origin, tunnel_of_address


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
    origin_steering: Literal["random", "hash"]
    shed_percent: float
    shed_policy: Literal["random", "hash"]
    check_regions: tuple[str, ...]
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """A name and its pools in failover order."""

    id: str
    name: str
    zone_id: str
    pools: tuple[Pool, ...]
    fallback: Pool
    steering_policy: Literal["off", "random"]
    pool_weights: tuple[float, ...]
    """One for each of `pools`."""
    failover_across_pools: bool


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


@dataclass(frozen=True)
class Topology:
    """Names to load balancers and records; built from a state, once for each version."""

    state: State
    before: Mapping[str, tuple[Document, Pool]] = field(default_factory=dict, repr=False)
    """Pools of an earlier version with the documents that they were built from."""

    def successor(self, state: State) -> Topology:
        """Make the topology of a newer state; what has not changed is not built again."""
        return Topology(state, self._documented)

    @cached_property
    def _documented(self) -> dict[str, tuple[Document, Pool]]:
        made = {}
        for key, document in self.state.pools.items():
            known = self.before.get(key)
            # Documents are replaced, never changed: the same one means the same pool.
            made[key] = known if known and known[0] is document else (document, pool_from(document))
        return made

    @cached_property
    def pools(self) -> dict[str, Pool]:
        """All pools by id."""
        return {key: pool for key, (_, pool) in self._documented.items()}

    @cached_property
    def _balancers(self) -> dict[str, str]:
        return {b["name"]: key for key, b in self.state.load_balancers.items() if b["enabled"]}

    @cached_property
    def _records(self) -> dict[str, Record]:
        proxied = [r for r in self.state.dns_records.values() if r["proxied"]]
        return {r["name"]: Record(r["name"], r["type"], r["content"], r["zone_id"]) for r in proxied}

    @cached_property
    def _built(self) -> dict[str, LoadBalancer]:
        return {}

    def lookup(self, host: str) -> LoadBalancer | Record | None:
        """Tell what answers a name: a load balancer beats an equally specific DNS record."""
        wildcard = f"*.{host.partition('.')[2]}"
        for name in (host, wildcard):
            if (balancer := self._balancers.get(name)) is not None:
                return self._balancer(balancer)
            if (record := self._records.get(name)) is not None:
                return record
        return None

    def ssl_mode(self, zone_id: str) -> str:
        """Tell how the zone speaks to address origins."""
        return str(self.state.zones[zone_id]["ssl"])

    def _balancer(self, key: str) -> LoadBalancer:
        if key not in self._built:
            self._built[key] = balancer_from(self.state.load_balancers[key], self.pools)
        return self._built[key]


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
        check_regions=tuple(document["check_regions"] or ()),
        origins=tuple(
            Origin(
                name=origin["name"],
                address=origin["address"],
                enabled=origin["enabled"],
                weight=origin["weight"],
                port=origin.get("port", 0),
                host=host_of_origin(origin),
            )
            for origin in document["origins"]
        ),
    )


def balancer_from(document: Document, pools: dict[str, Pool]) -> LoadBalancer:
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
    )
