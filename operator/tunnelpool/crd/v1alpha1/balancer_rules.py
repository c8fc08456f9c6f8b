"""Rules of a LoadBalancer: for which requests, and what differs for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import Field

from tunnelpool.crd.base import Model
from tunnelpool.crd.fields import PoolName, PoolRef
from tunnelpool.crd.rules import Check, Rule, keys_matching
from tunnelpool.crd.v1alpha1.steering import (
    AFFINITY_RULES,
    COUNTRY_KEYS,
    POP_KEYS,
    RANDOM_STEERING_RULE,
    REGION_KEYS,
    AdaptiveRouting,
    LocationStrategy,
    RandomSteering,
    SessionAffinity,
    SessionAffinityAttributes,
    SteeringPolicy,
)

_AT_MOST: Final = 16
"""Rules of a load balancer; what each may hold is bounded as well, since CEL has a price by the bounds."""
_Pools: TypeAlias = Annotated[
    tuple[PoolName, ...],
    Field(min_length=1, max_length=_AT_MOST, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    Check(
        "self.all(one, self.exists_one(other, other == one))",
        "must name each pool once",
        accepts=lambda pools: len(set(pools)) == len(pools),
    ),
]


class FixedResponse(Model):
    """An answer of Cloudflare's own."""

    status_code: int = Field(ge=200, le=599)
    """Status code of the answer."""
    content_type: Annotated[str, Field(min_length=1, max_length=32)] | None = None
    """`Content-Type` of the answer, such as `text/plain`."""
    location: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    """`Location` of a redirection."""
    message_body: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Body of the answer."""


class RuleOverrides(Model):
    """What is different for the requests that a rule is for; the rest is as the load balancer has it."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        *(
            Rule(
                f"!has(self.{field}) || (has(self.steeringPolicy) && self.steeringPolicy == 'geo')",
                "must not be set unless `steeringPolicy` beside it is 'geo'",
                f".{field}",
            )
            for field in ("regionPools", "countryPools", "popPools")
        ),
        RANDOM_STEERING_RULE,
        Rule(
            "has(self.sessionAffinity) || (!has(self.sessionAffinityTTLSeconds) && "
            "!has(self.sessionAffinityAttributes))",
            "must have `sessionAffinity` where `sessionAffinityTTLSeconds` or `sessionAffinityAttributes` is "
            "set",
        ),
        *AFFINITY_RULES,
    )

    pools: _Pools | None = None
    """Names of the pools in the order of failover, instead of the load balancer's `pools`. Those without
    origins are passed over; if none has any, the fallback answers."""
    fallback_ref: PoolRef | None = None
    """The LBPool that answers when every other is down, instead of the load balancer's."""
    steering_policy: SteeringPolicy | None = None
    """How a pool is chosen, as in the load balancer."""
    region_pools: (
        Annotated[Mapping[str, _Pools], Field(max_length=13), keys_matching(*REGION_KEYS)] | None
    ) = None
    """Names of pools for each region of Cloudflare, in the order of failover."""
    country_pools: (
        Annotated[Mapping[str, _Pools], Field(max_length=_AT_MOST), keys_matching(*COUNTRY_KEYS)] | None
    ) = None
    """Names of pools for each country (ISO 3166-1, two letters), in the order of failover."""
    pop_pools: (
        Annotated[Mapping[str, _Pools], Field(max_length=_AT_MOST), keys_matching(*POP_KEYS)] | None
    ) = None
    """Names of pools for each data centre (IATA, 3 letters), in the order of failover; for Enterprise."""
    random_steering: RandomSteering | None = None
    """Weights of the pools."""
    session_affinity: SessionAffinity | None = None
    """Whether a visitor stays with an origin, as in the load balancer."""
    session_affinity_ttl_seconds: int | None = Field(
        default=None, ge=30, le=604800, alias="sessionAffinityTTLSeconds"
    )
    """How long a session lives, in seconds: 1800 to 604800 for cookies, 30 to 3600 for headers."""
    session_affinity_attributes: SessionAffinityAttributes | None = None
    """Fine points of session affinity."""
    adaptive_routing: AdaptiveRouting | None = None
    """Where a single failed request goes."""
    location_strategy: LocationStrategy | None = None
    """How a visitor is located, where the load balancer's `proxied` is false."""
    ttl_seconds: int | None = Field(default=None, ge=10, le=86400)
    """TTL of the DNS answer, where the load balancer's `proxied` is false, in seconds."""

    @property
    def pool_names(self) -> tuple[str, ...]:
        """Every pool that is named, without the fallback."""
        named = dict.fromkeys(self.pools or ())
        for places in (self.region_pools, self.country_pools, self.pop_pools):
            named |= dict.fromkeys(name for names in (places or {}).values() for name in names)
        return tuple(named)


class BalancerRule(Model):
    """For some requests: other pools, or an answer of Cloudflare's own."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.fixedResponse) || !has(self.overrides)",
            "must not be set beside `fixedResponse`: such a request reaches no pool",
            ".overrides",
        ),
        Rule(
            "has(self.fixedResponse) || has(self.overrides) || self.terminates",
            "must have `fixedResponse`, `overrides` or `terminates`: it changes nothing else",
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """Name of the rule, for people."""
    condition: Annotated[str, Field(max_length=4096)] = ""
    """For which requests, in the language of Cloudflare's rules, which is handed on as it stands:
    `http.request.uri.path contains "/shop/"`. Absent: for all."""
    priority: int | None = Field(default=None, ge=0, le=1_000_000_000)
    """Rules are asked from the lowest to the highest. Default: their order; either all have one, or none."""
    disabled: bool = False
    """Whether the rule is not asked."""
    terminates: bool = False
    """Whether no later rule is asked where this one holds. A `fixedResponse` always ends it."""
    fixed_response: FixedResponse | None = None
    """The answer, instead of that of a pool."""
    overrides: RuleOverrides | None = None
    """What is different."""


BalancerRules: TypeAlias = Annotated[
    tuple[BalancerRule, ...],
    Field(max_length=_AT_MOST, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    Rule(
        "self.all(one, self.exists_one(other, other.name == one.name))",
        "must have a different `name` for each rule",
    ),
    Rule(
        "self.all(one, !has(one.priority)) || "
        "self.all(one, has(one.priority) && "
        "self.exists_one(other, has(other.priority) && other.priority == one.priority))",
        "must have a different `priority` for each rule, or none at all",
    ),
]
