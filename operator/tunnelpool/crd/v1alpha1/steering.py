"""How pools are chosen and visitors kept: the parts of a load balancer that its rules may change as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from tunnelpool.crd.base import Model
from tunnelpool.crd.fields import PoolName, PoolWeight
from tunnelpool.crd.rules import Check, Rule, keys_matching, matching

SteeringPolicy: TypeAlias = Literal[
    "off",
    "geo",
    "random",
    "dynamic_latency",
    "proximity",
    "least_outstanding_requests",
    "least_connections",
]
SessionAffinity: TypeAlias = Literal["none", "cookie", "ip_cookie", "header"]

REGION_KEYS: Final = (
    "WNAM|ENAM|WEU|EEU|NSAM|SSAM|OC|ME|NAF|SAF|SAS|SEAS|NEAS",
    "must have regions of Cloudflare as keys: WNAM, ENAM, WEU, EEU and so on",
)
COUNTRY_KEYS: Final = (
    "[A-Z]{2}",
    "must have countries as keys: two capital letters of ISO 3166-1; in YAML write 'NO' in quotes",
)
POP_KEYS: Final = (
    "[A-Z]{3}",
    "must have data centres as keys: three capital letters of IATA, such as LHR",
)
PoolList: TypeAlias = Annotated[
    tuple[PoolName, ...],
    Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    Check(
        "self.all(one, self.exists_one(other, other == one))",
        "must name each pool once",
        accepts=lambda pools: len(set(pools)) == len(pools),
    ),
]
RegionPools: TypeAlias = Annotated[
    Mapping[str, PoolList],
    Field(max_length=13),
    keys_matching(*REGION_KEYS),
]
CountryPools: TypeAlias = Annotated[
    Mapping[str, PoolList],
    Field(max_length=64),
    keys_matching(*COUNTRY_KEYS),
]
PopPools: TypeAlias = Annotated[
    Mapping[str, PoolList],
    Field(max_length=64),
    keys_matching(*POP_KEYS),
]
AffinityHeader: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=100),
    matching(
        r"[a-zA-Z0-9_-]+|cookie:[a-zA-Z0-9_-]+(?:,[a-zA-Z0-9_-]+)*",
        "must be the name of a header, or 'cookie:' and the names of cookies separated by ','",
    ),
]


class RandomSteering(Model):
    """Weights of the pools for `random`, `least_outstanding_requests` and `least_connections`."""

    default_weight: PoolWeight = 1
    """Weight of the pools that `poolWeights` does not name: 0 to 1 in steps of 0.1."""
    pool_weights: (
        Annotated[Mapping[str, Annotated[float, Field(ge=0, le=1)]], Field(max_length=32)] | None
    ) = None
    """Weight of each pool by its name: 0 to 1, relative to the others."""


class SessionAffinityAttributes(Model):
    """Fine points of session affinity."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.samesite != 'None' || self.secure != 'Never'",
            "must not be 'Never' where `samesite` is 'None': browsers refuse such a cookie",
            ".secure",
        ),
    )

    samesite: Literal["Auto", "Lax", "None", "Strict"] = "Auto"
    """SameSite attribute of the cookie."""
    secure: Literal["Auto", "Always", "Never"] = "Auto"
    """Secure attribute of the cookie. `Auto`: set where the zone always uses HTTPS."""
    drain_duration_seconds: int | None = Field(default=None, ge=0, le=86400)
    """How long sessions stay on an origin that was disabled, in seconds. An origin that leaves for good, with
    its Tunnel or a replica, stays disabled for as long before it goes, and for its Tunnel's `drainSeconds` at
    least."""
    zero_downtime_failover: Literal["none", "temporary", "sticky"] = "none"
    """Where a session goes whose origin cannot be reached. `temporary`: elsewhere for this request. `sticky`:
    elsewhere for good. `none`: nowhere, the visitor gets the error."""
    headers: tuple[AffinityHeader, ...] = Field(
        default=(), max_length=5, json_schema_extra={"x-kubernetes-list-type": "set"}
    )
    """Headers that make a session, with `sessionAffinity: header`."""
    require_all_headers: bool = False
    """Whether a request must carry all `headers` to belong to a session."""


class AdaptiveRouting(Model):
    """Where a single failed request goes."""

    failover_across_pools: bool = False
    """Whether it is tried again in the next pool, beyond the origins of its own."""


class LocationStrategy(Model):
    """How a visitor is located when only DNS is answered."""

    mode: Literal["pop", "resolver_ip"] = "pop"
    """By the data centre that was asked, or by the resolver's address."""
    prefer_ecs: Literal["always", "never", "proximity", "geo"] = Field(default="proximity", alias="preferECS")
    """When the visitor's network, as the resolver passes it on (EDNS Client Subnet), is used instead."""


RANDOM_STEERING_RULE: Final = Rule(
    "!has(self.randomSteering) || (has(self.steeringPolicy) && self.steeringPolicy in "
    "['random', 'least_outstanding_requests', 'least_connections'])",
    "must not be set unless `steeringPolicy` is 'random', 'least_outstanding_requests' or "
    "'least_connections'",
    ".randomSteering",
)
AFFINITY_RULES: Final = (
    Rule(
        "!has(self.sessionAffinity) || self.sessionAffinity != 'none' || "
        "(!has(self.sessionAffinityTTLSeconds) && !has(self.sessionAffinityAttributes))",
        "must not have `sessionAffinityTTLSeconds` or `sessionAffinityAttributes` where "
        "`sessionAffinity` is 'none'",
    ),
    Rule(
        "!has(self.sessionAffinity) || !has(self.sessionAffinityTTLSeconds) || "
        "!(self.sessionAffinity in ['cookie', 'ip_cookie']) || "
        "(self.sessionAffinityTTLSeconds >= 1800 && self.sessionAffinityTTLSeconds <= 604800)",
        "must be 1800 to 604800 where `sessionAffinity` is 'cookie' or 'ip_cookie'",
        ".sessionAffinityTTLSeconds",
    ),
    Rule(
        "!has(self.sessionAffinity) || !has(self.sessionAffinityTTLSeconds) || "
        "self.sessionAffinity != 'header' || "
        "(self.sessionAffinityTTLSeconds >= 30 && self.sessionAffinityTTLSeconds <= 3600)",
        "must be 30 to 3600 where `sessionAffinity` is 'header'",
        ".sessionAffinityTTLSeconds",
    ),
    Rule(
        "!has(self.sessionAffinity) || (self.sessionAffinity == 'header') == "
        "(has(self.sessionAffinityAttributes) && has(self.sessionAffinityAttributes.headers) "
        "&& size(self.sessionAffinityAttributes.headers) > 0)",
        "must have `sessionAffinityAttributes.headers` where `sessionAffinity` is 'header', else none",
    ),
    Rule(
        "!has(self.sessionAffinity) || self.sessionAffinity == 'header' || "
        "!has(self.sessionAffinityAttributes) || !self.sessionAffinityAttributes.requireAllHeaders",
        "must not be true unless `sessionAffinity` is 'header'",
        ".sessionAffinityAttributes.requireAllHeaders",
    ),
    Rule(
        "!has(self.sessionAffinity) || self.sessionAffinity != 'header' || "
        "!has(self.sessionAffinityAttributes) "
        "|| self.sessionAffinityAttributes.zeroDowntimeFailover != 'sticky'",
        "must not be 'sticky' where `sessionAffinity` is 'header'",
        ".sessionAffinityAttributes.zeroDowntimeFailover",
    ),
)
"""Of an object that has `sessionAffinity`, by default or where a rule changes it."""
