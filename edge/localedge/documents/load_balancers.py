"""The load balancer of a zone (`/zones/{zone}/load_balancers`)."""

from __future__ import annotations

from typing import Any

from localedge.documents.fields import (
    Field,
    array,
    boolean,
    choice,
    integer,
    nested,
    number,
    only,
    read_object,
    table,
    text,
)
from localedge.documents.hostnames import hostname, zone_of
from localedge.documents.refusal import InvalidError, NotEmulatedError
from localedge.plan import Plan

READ_ONLY = frozenset({"id", "created_on", "modified_on", "zone_name", "networks"})

_EMULATED_STEERING = frozenset({"off", "random"})
_RANDOM_STEERING = {
    "default_weight": Field(number(0, 1), 1),
    "pool_weights": Field(table(number(0, 1_000_000)), dict),
}
_ADAPTIVE_ROUTING = {"failover_across_pools": Field(boolean, default=False)}
_LOCATION_STRATEGY = {
    "mode": Field(choice("pop", "resolver_ip"), "pop"),
    "prefer_ecs": Field(choice("always", "never", "proximity", "geo"), "proximity"),
}
_AFFINITY_ATTRIBUTES = {
    "samesite": Field(only("Auto"), "Auto"),
    "secure": Field(only("Auto"), "Auto"),
    "zero_downtime_failover": Field(only("none"), "none"),
    "require_all_headers": Field(only(False)),  # noqa: FBT003 - the one value emulated
    "headers": Field(only([])),
    "drain_duration": Field(only(0)),
}


def read_load_balancer(body: Any, plan: Plan, zone: str) -> dict[str, Any]:
    """Read a whole load balancer, defaults filled in. Whether its pools exist is for the caller.

    Raises:
        InvalidError: what Cloudflare refuses, steering that the plan lacks among it.
        NotEmulatedError: DNS-only names, geographic steering, session affinity, rules.

    """
    fields = {
        "name": Field(hostname, required=True),
        "description": Field(text(1024), ""),
        "enabled": Field(boolean, default=True),
        "proxied": Field(boolean, default=False),
        "ttl": Field(integer(0, 86_400)),
        "default_pools": Field(array(text(32), shortest=1), required=True),
        "fallback_pool": Field(text(32), required=True),
        "steering_policy": Field(lambda where, value: _steering(where, value, plan), "off"),
        "region_pools": Field(only({}), dict),
        "country_pools": Field(only({}), dict),
        "pop_pools": Field(only({}), dict),
        "random_steering": Field(nested(_RANDOM_STEERING), lambda: read_object("", {}, _RANDOM_STEERING)),
        "adaptive_routing": Field(nested(_ADAPTIVE_ROUTING), lambda: {"failover_across_pools": False}),
        "location_strategy": Field(
            nested(_LOCATION_STRATEGY), lambda: read_object("", {}, _LOCATION_STRATEGY)
        ),
        "session_affinity": Field(choice("none", "", absent=("cookie", "ip_cookie", "header")), "none"),
        "session_affinity_ttl": Field(integer(30, 604_800)),
        "session_affinity_attributes": Field(
            nested(_AFFINITY_ATTRIBUTES), lambda: read_object("", {}, _AFFINITY_ATTRIBUTES)
        ),
        "rules": Field(only([]), list),
        "pool_sets": Field(only([])),
    }
    balancer = read_object("", body, fields, ignored=READ_ONLY)
    if zone_of(balancer["name"], [zone]) is None:
        raise InvalidError(f"invalid hostname: {balancer['name']}")
    if not balancer["proxied"]:
        raise NotEmulatedError("a DNS-only load balancer (proxied false, the default)")
    if len(set(balancer["default_pools"])) < len(balancer["default_pools"]):
        raise InvalidError("default_pools must not name a pool twice")
    balancer["steering_policy"] = balancer["steering_policy"] or "off"
    balancer["session_affinity"] = balancer["session_affinity"] or "none"
    return balancer


def pools_of(balancer: dict[str, Any] | Any) -> list[str]:
    """Every pool that a load balancer names, the fallback last."""
    return list(dict.fromkeys((*balancer["default_pools"], balancer["fallback_pool"])))


def _steering(where: str, value: Any, plan: Plan) -> str:
    if value == "":
        return "off"
    every = (
        "off", "geo", "random", "dynamic_latency", "proximity", "least_outstanding_requests",
        "least_connections",
    )  # fmt: skip
    policy: str = choice(*every)(where, value)
    if policy not in plan.steering_policies:
        raise InvalidError(f"{where} {policy} is not allowed with this subscription")
    if policy not in _EMULATED_STEERING:
        raise NotEmulatedError(f"{where} {policy!r}")
    return policy
