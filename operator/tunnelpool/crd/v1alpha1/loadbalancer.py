"""LoadBalancer: which pools answer for a hostname, in which order and by which policy."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from tunnelpool.crd.base import (
    AGE_COLUMN,
    CLUSTERS_COLUMN,
    READY_COLUMNS,
    Column,
    Model,
    Names,
    Resource,
    SharedSpec,
    SharedStatus,
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
from tunnelpool.crd.v1alpha1.balancer_rules import BalancerRules
from tunnelpool.crd.v1alpha1.steering import (
    AFFINITY_RULES,
    RANDOM_STEERING_RULE,
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


class LoadBalancerSpec(SharedSpec):
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
        RANDOM_STEERING_RULE,
        Rule(
            "!has(self.randomSteering) || !has(self.randomSteering.poolWeights) || "
            "self.randomSteering.poolWeights.all(name, name in self.pools || (has(self.rules) && "
            "self.rules.exists(rule, has(rule.overrides) && has(rule.overrides.pools) && "
            "name in rule.overrides.pools)))",
            "must name pools of `pools`, or of the rules' `overrides.pools`",
            ".randomSteering.poolWeights",
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
        *AFFINITY_RULES,
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
        Rule(
            "!has(self.rules) || size(self.rules) == 0 || (!has(self.regionPools) && !has(self.countryPools) "
            "&& !has(self.popPools))",
            "must not be set beside `regionPools`, `countryPools` or `popPools`: Cloudflare takes no rules "
            "with 'geo' steering",
            ".rules",
        ),
        Rule(
            "self.proxied || !has(self.rules) || self.rules.all(rule, !has(rule.fixedResponse) && "
            "(!has(rule.overrides) || (!has(rule.overrides.sessionAffinity) && "
            "!has(rule.overrides.adaptiveRouting))))",
            "must not have `fixedResponse`, `overrides.sessionAffinity` or `overrides.adaptiveRouting` where "
            "`proxied` is false: Cloudflare sees no request",
            ".rules",
        ),
        Rule(
            "!self.proxied || !has(self.rules) || self.rules.all(rule, !has(rule.overrides) || "
            "(!has(rule.overrides.ttlSeconds) && !has(rule.overrides.locationStrategy)))",
            "must not have `overrides.ttlSeconds` or `overrides.locationStrategy` unless `proxied` is false",
            ".rules",
        ),
    )

    hostname: Annotated[
        Hostname,
        Rule("self == oldSelf", "must not change: create another LoadBalancer for another hostname"),
    ]
    """Public host name, in a zone of the Cloudflare account. It cannot be changed."""
    pools: PoolList
    """The pools in the order of failover: LBPools of the namespace by the name of the object (their
    `spec.name` may differ), else pools that Tunnels name by `pool`."""
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
    rules: BalancerRules = ()
    """What differs for some of the requests: other pools, or an answer of Cloudflare's own. Below Enterprise
    one rule is allowed."""
    enabled: bool = True
    """Whether the load balancer answers. If not, other DNS records of the name do."""
    description: Description = ""
    """Text for people; the operator's mark of ownership is put behind it."""
    credentials_ref: CredentialsRef | None = None
    """The Secret with the API token and the account. Default: the operator's own credentials."""

    @property
    def pool_names(self) -> tuple[str, ...]:
        """Every pool that is named, the default ones first, without the fallback."""
        named = dict.fromkeys(self.pools)
        for places in (self.region_pools, self.country_pools, self.pop_pools):
            named |= dict.fromkeys(name for names in (places or {}).values() for name in names)
        for rule in self.rules:
            if rule.overrides is not None:
                named |= dict.fromkeys(rule.overrides.pool_names)
        return tuple(named)

    @property
    def fallback_names(self) -> tuple[str, ...]:
        """The LBPools that are named as a fallback, of the load balancer itself and of its rules."""
        refs = (self.fallback_ref, *(one.overrides.fallback_ref for one in self.rules if one.overrides))
        return tuple(dict.fromkeys(ref.name for ref in refs if ref is not None))

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


class LoadBalancerStatus(SharedStatus):
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
            CLUSTERS_COLUMN,
            Column("ID", ".status.id", description="Cloudflare's id of the load balancer.", priority=1),
            AGE_COLUMN,
        ),
    )

    spec: LoadBalancerSpec
    status: LoadBalancerStatus = LoadBalancerStatus()
