"""LoadBalancer: which pools answer for a hostname, in which order and by which policy."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from tunnelpool.crd.base import (
    AGE_COLUMN,
    READY_COLUMNS,
    Column,
    DriftingSpec,
    Model,
    Names,
    Resource,
    Status,
)
from tunnelpool.crd.fields import (
    CredentialsRef,
    Description,
    Health,
    Hostname,
    PoolRef,
    RemoteId,
    StatusName,
)
from tunnelpool.crd.rules import Rule
from tunnelpool.crd.v1alpha1.steering import (
    AdaptiveRouting,
    CountryPools,
    LocationStrategy,
    PoolList,
    PopPools,
    RandomSteering,
    RegionPools,
    SessionAffinity,
    SessionAffinityAttributes,
    SteeringPolicy,
)


class LoadBalancerSpec(DriftingSpec):
    """What is wanted of a LoadBalancer."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        *(
            Rule(
                f"!has(self.{field}) || !has(self.steeringPolicy) || self.steeringPolicy == 'geo'",
                "must not be set unless `steeringPolicy` is 'geo' or absent",
                f".{field}",
            )
            for field in ("regionPools", "countryPools", "popPools")
        ),
        Rule(
            "!has(self.steeringPolicy) || self.steeringPolicy != 'geo' || has(self.regionPools) "
            "|| has(self.countryPools) || has(self.popPools)",
            "must not be 'geo' without `regionPools`, `countryPools` or `popPools`",
            ".steeringPolicy",
        ),
        Rule(
            "!has(self.randomSteering) || (has(self.steeringPolicy) && self.steeringPolicy in "
            "['random', 'least_outstanding_requests', 'least_connections'])",
            "must not be set unless `steeringPolicy` is 'random', 'least_outstanding_requests' or "
            "'least_connections'",
            ".randomSteering",
        ),
        Rule(
            "self.proxied || !has(self.steeringPolicy) || !(self.steeringPolicy in "
            "['least_outstanding_requests', 'least_connections'])",
            "must not count requests or connections where `proxied` is false: Cloudflare sees none",
            ".steeringPolicy",
        ),
        Rule(
            "self.proxied || self.sessionAffinity == 'none'",
            "must be 'none' where `proxied` is false",
            ".sessionAffinity",
        ),
        Rule(
            "self.sessionAffinity != 'none' || (!has(self.sessionAffinityTTLSeconds) "
            "&& !has(self.sessionAffinityAttributes))",
            "must not have `sessionAffinityTTLSeconds` or `sessionAffinityAttributes` where "
            "`sessionAffinity` is 'none'",
        ),
        Rule(
            "!has(self.sessionAffinityTTLSeconds) || !(self.sessionAffinity in ['cookie', 'ip_cookie']) || "
            "(self.sessionAffinityTTLSeconds >= 1800 && self.sessionAffinityTTLSeconds <= 604800)",
            "must be 1800 to 604800 where `sessionAffinity` is 'cookie' or 'ip_cookie'",
            ".sessionAffinityTTLSeconds",
        ),
        Rule(
            "!has(self.sessionAffinityTTLSeconds) || self.sessionAffinity != 'header' || "
            "(self.sessionAffinityTTLSeconds >= 30 && self.sessionAffinityTTLSeconds <= 3600)",
            "must be 30 to 3600 where `sessionAffinity` is 'header'",
            ".sessionAffinityTTLSeconds",
        ),
        Rule(
            "(self.sessionAffinity == 'header') == (has(self.sessionAffinityAttributes) "
            "&& has(self.sessionAffinityAttributes.headers) "
            "&& size(self.sessionAffinityAttributes.headers) > 0)",
            "must have `sessionAffinityAttributes.headers` where `sessionAffinity` is 'header', else none",
        ),
        Rule(
            "self.sessionAffinity == 'header' || !has(self.sessionAffinityAttributes) "
            "|| !self.sessionAffinityAttributes.requireAllHeaders",
            "must not be true unless `sessionAffinity` is 'header'",
            ".sessionAffinityAttributes.requireAllHeaders",
        ),
        Rule(
            "self.sessionAffinity != 'header' || !has(self.sessionAffinityAttributes) "
            "|| self.sessionAffinityAttributes.zeroDowntimeFailover != 'sticky'",
            "must not be 'sticky' where `sessionAffinity` is 'header'",
            ".sessionAffinityAttributes.zeroDowntimeFailover",
        ),
        Rule(
            "self.proxied || !has(self.adaptiveRouting) || !self.adaptiveRouting.failoverAcrossPools",
            "must not be true where `proxied` is false: Cloudflare sees no request to try again",
            ".adaptiveRouting.failoverAcrossPools",
        ),
        Rule(
            "!self.proxied || !has(self.locationStrategy)",
            "must not be set unless `proxied` is false: a proxied request tells where it comes from",
            ".locationStrategy",
        ),
        Rule(
            "!self.proxied || !has(self.ttlSeconds)",
            "must not be set unless `proxied` is false: Cloudflare sets the TTL of a proxied name",
            ".ttlSeconds",
        ),
    )

    hostname: Annotated[
        Hostname,
        Rule("self == oldSelf", "must not change: create another LoadBalancer for another hostname"),
    ]
    """Public host name, in a zone of the Cloudflare account. It cannot be changed."""
    pools: PoolList
    """Names of the pools in the order of failover, as `name` of an LBPool or `pool` of a Tunnel."""
    fallback_ref: PoolRef | None = None
    """The LBPool that answers when every other is down; its health is not asked. Default: the `fallbackRef`
    of the first pool's LBPool, else the first pool itself."""
    steering_policy: SteeringPolicy | None = None
    """How a pool is chosen. `off`: the first that is up, in order (in YAML write `"off"` in quotes). `geo`:
    by `regionPools`, `countryPools`, `popPools`. `random`: by weight. `dynamic_latency`: the nearest by
    measured time. `proximity`: the nearest by `latitude` and `longitude` of the pools.
    `least_outstanding_requests`, `least_connections`: by weight and load. Default: `geo` where such pools
    are given, else `off`. Plans without traffic steering take `off` and `random` only."""
    region_pools: RegionPools | None = None
    """Names of pools for each region of Cloudflare, in the order of failover."""
    country_pools: CountryPools | None = None
    """Names of pools for each country (ISO 3166-1, two letters), in the order of failover."""
    pop_pools: PopPools | None = None
    """Names of pools for each data centre (IATA, 3 letters), in the order of failover; for Enterprise."""
    random_steering: RandomSteering | None = None
    """Weights of the pools. Default: all alike."""
    session_affinity: SessionAffinity = "none"
    """Whether a visitor stays with an origin: by a `cookie`, by a cookie whose first choice is the visitor's
    address (`ip_cookie`), by a `header`, or not at all (`none`)."""
    session_affinity_ttl_seconds: int | None = Field(
        default=None, ge=30, le=604800, alias="sessionAffinityTTLSeconds"
    )
    """How long a session lives, in seconds: 1800 to 604800 for cookies (default 82800), 30 to 3600 without
    use for headers (default 1800)."""
    session_affinity_attributes: SessionAffinityAttributes | None = None
    """Fine points of session affinity."""
    adaptive_routing: AdaptiveRouting | None = None
    """Where a single failed request goes."""
    location_strategy: LocationStrategy | None = None
    """How a visitor is located where `proxied` is false."""
    proxied: bool = True
    """Whether requests pass through Cloudflare. Pools of Tunnels need it."""
    ttl_seconds: int | None = Field(default=None, ge=10, le=86400)
    """TTL of the DNS answer where `proxied` is false, in seconds. Default: Cloudflare's, 30."""
    enabled: bool = True
    """Whether the load balancer answers. If not, other DNS records of the name do."""
    description: Description = ""
    """Text for people; the operator's mark of ownership is put behind it."""
    credentials_ref: CredentialsRef | None = None
    """The Secret with the API token and the account. Default: the operator's own credentials."""

    @property
    def effective_steering_policy(self) -> SteeringPolicy:
        """The policy with its default."""
        if self.steering_policy is not None:
            return self.steering_policy
        return "geo" if self.region_pools or self.country_pools or self.pop_pools else "off"


class PoolStatus(Model):
    """One pool of the load balancer."""

    name: StatusName
    """Name of the pool."""
    id: RemoteId | None = None
    """Cloudflare's id of the pool; absent while there is none."""
    health: Health = "unknown"
    """Health of the pool as Cloudflare reports it."""


class LoadBalancerStatus(Status):
    """How a LoadBalancer stands."""

    id: RemoteId | None = None
    """Cloudflare's id of the load balancer."""
    serving_pool: StatusName | None = None
    """The pool that answers now, by the health that Cloudflare reports."""
    on_fallback: bool | None = None
    """Whether the fallback pool answers because every other pool is down."""
    pools: tuple[PoolStatus, ...] = Field(
        default=(),
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """The pools in the order of failover."""


class LoadBalancer(Resource):
    """Which pools answer for a hostname, in which order and by which policy."""

    VERSION = "v1alpha1"
    NAMES = Names(
        kind="LoadBalancer",
        plural="loadbalancers",
        singular="loadbalancer",
        short="tlb",
        columns=(
            Column("Hostname", ".spec.hostname", description="The public host name."),
            Column("Serving", ".status.servingPool", description="The pool that answers now."),
            Column("Fallback", ".status.onFallback", "boolean", "Whether that is the fallback pool."),
            *READY_COLUMNS,
            Column("ID", ".status.id", description="Cloudflare's id of the load balancer.", priority=1),
            AGE_COLUMN,
        ),
    )

    spec: LoadBalancerSpec
    status: LoadBalancerStatus = LoadBalancerStatus()
