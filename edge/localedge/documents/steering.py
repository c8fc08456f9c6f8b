"""Which pools a load balancer tries: its lists, its policy, and what goes with that."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from localedge.documents.fields import Field, Reader, array, boolean, choice, nested, number, table, text
from localedge.documents.refusal import InvalidError, NotEmulatedError
from localedge.documents.regions import REGIONS
from localedge.plan import Plan

GEO_MAPS: Final = ("pop_pools", "country_pools", "region_pools")
"""In the order in which they are asked."""
_EMULATED: Final = frozenset({"off", "geo", "random", "least_outstanding_requests"})
_EVERY: Final = (
    "off", "geo", "random", "dynamic_latency", "proximity", "least_outstanding_requests", "least_connections",
)  # fmt: skip
_RANDOM: Final = {
    "default_weight": Field(number(0, 1), 1),
    "pool_weights": Field(table(number(0, 1_000_000)), dict),
}
_ADAPTIVE: Final = {"failover_across_pools": Field(boolean, default=False)}
_LOCATION: Final = {
    "mode": Field(choice("pop", "resolver_ip"), "pop"),
    "prefer_ecs": Field(choice("always", "never", "proximity", "geo"), "proximity"),
}
DEFAULTS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "random_steering": lambda: {"default_weight": 1, "pool_weights": {}},
    "adaptive_routing": lambda: {"failover_across_pools": False},
    "location_strategy": lambda: {"mode": "pop", "prefer_ecs": "proximity"},
}


def steering_readers(plan: Plan) -> dict[str, Reader]:
    """Make the readers of the fields that say which pools are tried."""
    may_steer = "geo" in plan.steering_policies
    return {
        "default_pools": array(text(32), shortest=1),
        "fallback_pool": text(32),
        "steering_policy": lambda where, value: _policy(where, value, plan),
        "region_pools": _places(re.compile("|".join(REGIONS)), may_steer=may_steer),
        "country_pools": _places(re.compile("[A-Z]{2}"), may_steer=may_steer),
        "pop_pools": _places(re.compile("[A-Z]{3}"), may_steer=may_steer),
        "random_steering": nested(_RANDOM),
        "adaptive_routing": nested(_ADAPTIVE),
        "location_strategy": nested(_LOCATION),
    }


def settle_steering(balancer: dict[str, Any]) -> None:
    """Decide the policy where none is said: `geo` if there is any geographic map, else `off`.

    Raises:
        InvalidError: a pool that stands twice in one list.

    """
    maps = [balancer[name] for name in GEO_MAPS]
    balancer["steering_policy"] = balancer["steering_policy"] or ("geo" if any(maps) else "off")
    for pools in (balancer["default_pools"], *(pools for places in maps for pools in places.values())):
        if len(set(pools)) < len(pools):
            raise InvalidError("default_pools must not name a pool twice")


def _places(codes: re.Pattern[str], *, may_steer: bool) -> Reader:
    read_table = table(array(text(32), shortest=1))

    def read(where: str, value: Any) -> dict[str, Any]:
        places: dict[str, Any] = read_table(where, value)
        if places and not may_steer:
            raise InvalidError(f"{where} is not allowed with this subscription")
        for code in places:
            if not codes.fullmatch(code):
                raise InvalidError(f"{where}.{code} is not a valid code")
        return places

    return read


def _policy(where: str, value: Any, plan: Plan) -> str:
    if value == "":
        return ""
    policy: str = choice(*_EVERY)(where, value)
    if policy not in plan.steering_policies:
        raise InvalidError(f"{where} {policy} is not allowed with this subscription")
    if policy not in _EMULATED:
        raise NotEmulatedError(f"{where} {policy!r}")
    return policy
