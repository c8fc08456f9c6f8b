"""The one way to write down settings that can be written in several: for `build` and for what is read."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tunnelpool.domain.hostnames import canonical_hostname
from tunnelpool.domain.json import FrozenJson, freeze, with_defaults
from tunnelpool.domain.remote import (
    ADAPTIVE_ROUTING_DEFAULTS,
    LOCATION_STRATEGY_DEFAULTS,
    RANDOM_STEERING_DEFAULTS,
    SESSION_AFFINITY_ATTRIBUTES_DEFAULTS,
)

_IDLE_ATTRIBUTES: Final = frozenset({"drain_duration", "headers", "require_all_headers"})
"""Attributes without a default of their own: zero, empty and false say the same as nothing."""


def canonical_address(address: str) -> str:
    """Write an IP address the short way, a host name in lower case."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return canonical_hostname(address)


def canonical_affinity_attributes(given: Mapping[str, Any]) -> FrozenJson:
    """Fill the defaults of `session_affinity_attributes` in and leave out what says nothing."""
    said = {name: value for name, value in given.items() if name not in _IDLE_ATTRIBUTES or value}
    return with_defaults(said, SESSION_AFFINITY_ATTRIBUTES_DEFAULTS)


def canonical_notification_filter(given: Mapping[str, Any]) -> FrozenJson:
    """Leave out of a `notification_filter` what filters nothing; None if that is all."""
    said: dict[str, Any] = {}
    for name, choice in given.items():
        if not isinstance(choice, Mapping):
            continue
        disable, healthy = bool(choice.get("disable")), choice.get("healthy")
        if disable or healthy is not None:
            said[name] = {"disable": disable} | ({} if healthy is None else {"healthy": healthy})
    return freeze(said) if said else None


_OVERRIDE_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "adaptive_routing": ADAPTIVE_ROUTING_DEFAULTS,
    "location_strategy": LOCATION_STRATEGY_DEFAULTS,
    "random_steering": RANDOM_STEERING_DEFAULTS,
}


def canonical_rules(given: Sequence[Mapping[str, Any]]) -> FrozenJson:
    """Write the rules of a load balancer the one way: in their order, each with its priority and defaults.

    Where no rule has a priority their order is one; an override that says nothing is left out.
    """
    ordered = list(given)
    if any(rule.get("priority") is not None for rule in ordered):
        ordered.sort(key=lambda rule: rule.get("priority") or 0)
        priorities = [rule.get("priority") or 0 for rule in ordered]
    else:
        priorities = list(range(len(ordered)))
    return freeze([_rule(rule, priority) for rule, priority in zip(ordered, priorities, strict=True)])


def _rule(given: Mapping[str, Any], priority: int) -> dict[str, Any]:
    fixed = {name: value for name, value in (given.get("fixed_response") or {}).items() if value}
    overrides = given.get("overrides") or {}
    return {
        "name": given.get("name") or "",
        "condition": given.get("condition") or "",
        "priority": priority,
        "disabled": bool(given.get("disabled")),
        "terminates": bool(given.get("terminates")) or bool(fixed),
        **({"fixed_response": fixed} if fixed else {}),
        "overrides": {name: _override(name, value) for name, value in overrides.items() if value},
    }


def _override(name: str, value: Any) -> Any:
    if name == "session_affinity_attributes":
        return canonical_affinity_attributes(value)
    if name in _OVERRIDE_DEFAULTS:
        return with_defaults(value, _OVERRIDE_DEFAULTS[name])
    if name in {"region_pools", "country_pools", "pop_pools"}:
        return {str(place).upper(): pools for place, pools in value.items() if pools}
    return value
