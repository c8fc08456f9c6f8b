"""The load balancer of a zone (`/zones/{zone}/load_balancers`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localedge.documents.affinity import affinity_readers, default_attributes, settle_affinity
from localedge.documents.fields import ABSENT, Field, boolean, integer, only, read_object, text
from localedge.documents.hostnames import hostname, zone_of
from localedge.documents.refusal import InvalidError, NotEmulatedError
from localedge.documents.rules import rules_reader
from localedge.documents.steering import DEFAULTS, GEO_MAPS, settle_steering, steering_readers
from localedge.plan import Plan

READ_ONLY = frozenset({"id", "created_on", "modified_on", "zone_name", "networks"})
DNS_TTL_S: Final = 30
"""Of a DNS-only load balancer that names none; the examples of the docs have it."""

_DEFAULTS: Final[Mapping[str, Any]] = {
    **DEFAULTS,
    **dict.fromkeys(GEO_MAPS, dict),
    "steering_policy": "",
    "session_affinity": "none",
    "session_affinity_attributes": default_attributes,
}


def read_load_balancer(body: Any, plan: Plan, zone: str) -> dict[str, Any]:
    """Read a whole load balancer, defaults filled in. Whether its pools exist is for the caller.

    Raises:
        InvalidError: what Cloudflare refuses, steering that the plan lacks among it.
        NotUniqueError: two rules of one priority.
        NotEmulatedError: steering by latency, distance or connections, pool sets, conditions beyond the
            subset of `localedge.balance.wirefilter`.

    """
    overridable = {**steering_readers(plan), **affinity_readers(plan), "ttl": integer(0, 86_400)}
    required = {"default_pools", "fallback_pool"}
    fields = {
        "name": Field(hostname, required=True),
        "description": Field(text(1024), ""),
        "enabled": Field(boolean, default=True),
        "proxied": Field(boolean, default=False),
        **{
            name: Field(read, _DEFAULTS.get(name, ABSENT), required=name in required)
            for name, read in overridable.items()
        },
        "rules": Field(rules_reader(plan, overridable), list),
        "pool_sets": Field(only([])),
    }
    balancer = read_object("", body, fields, ignored=READ_ONLY)
    if zone_of(balancer["name"], [zone]) is None:
        raise InvalidError(f"invalid hostname: {balancer['name']}")
    settle_steering(balancer)
    settle_affinity(balancer)
    _check_dns_only(balancer)
    for rule in balancer["rules"]:
        _check_rule(balancer, rule)
    return balancer


def pools_of(balancer: Mapping[str, Any]) -> list[str]:
    """Every pool that a load balancer names, the fallback last."""
    sources = [balancer, *(rule["overrides"] for rule in balancer["rules"])]
    named: list[str] = []
    for source in sources:
        named += source.get("default_pools", ())
        named += (pool for name in GEO_MAPS for pools in source.get(name, {}).values() for pool in pools)
        named += (source["fallback_pool"],) if source is not balancer and "fallback_pool" in source else ()
    return list(dict.fromkeys((*named, balancer["fallback_pool"])))


def _check_dns_only(balancer: dict[str, Any]) -> None:
    if balancer["proxied"]:
        return
    balancer.setdefault("ttl", DNS_TTL_S)
    if balancer["session_affinity"] != "none":
        raise InvalidError("session_affinity is for proxied load balancers")
    if balancer["rules"]:
        raise NotEmulatedError("a rule of a DNS-only load balancer")


def _check_rule(balancer: Mapping[str, Any], rule: Mapping[str, Any]) -> None:
    if balancer["steering_policy"] == "geo":
        raise InvalidError("rules cannot be used with steering_policy geo")
    changed = {**balancer, **rule["overrides"]}
    if "session_affinity" in rule["overrides"] and "session_affinity_ttl" not in rule["overrides"]:
        changed.pop("session_affinity_ttl", None)
    settle_steering(changed)
    settle_affinity(changed)
