"""The pool and its origins (`/load_balancers/pools`)."""

from __future__ import annotations

import re
from collections.abc import Collection
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
    text,
)
from localedge.documents.hostnames import hostname, origin_address, zone_of
from localedge.documents.refusal import InvalidError
from localedge.documents.regions import REGIONS
from localedge.plan import Plan

READ_ONLY = frozenset({"id", "created_on", "modified_on", "disabled_at", "healthy", "networks"})
ORIGIN_READ_ONLY = frozenset({"disabled_at", "healthy"})

NO_REGIONS = (
    "Probing from every data centre is not allowed with this subscription. "
    "Please choose regions to probe from."
)

_LOAD_SHEDDING = {
    "default_percent": Field(number(0, 100), 0),
    "default_policy": Field(choice("random", "hash"), "random"),
    "session_percent": Field(number(0, 100), 0),
    "session_policy": Field(choice("hash"), "hash"),
}
_FILTER = {"disable": Field(boolean, default=False), "healthy": Field(boolean)}
_ORIGIN_STEERING = {
    "policy": Field(
        choice("random", "hash", "least_outstanding_requests", absent=("least_connections",)), "random"
    )
}
_ORIGIN = {
    "name": Field(text(255), required=True),
    "address": Field(origin_address, required=True),
    "enabled": Field(boolean, default=True),
    "weight": Field(number(0, 1), 1),
    "port": Field(integer(0, 65535)),
    "header": Field(nested({"Host": Field(array(hostname, shortest=1, longest=1))})),
    "virtual_network_id": Field(only("")),
    "flatten_cname": Field(only(True)),  # noqa: FBT003 - the one value emulated: it is for unproxied names
}


def read_pool(body: Any, plan: Plan, zones: Collection[str]) -> dict[str, Any]:
    """Read a whole pool, defaults filled in, origins sorted by name as the API returns them.

    Raises:
        InvalidError: what Cloudflare refuses, the plan's limits among it.
        NotEmulatedError: private networks, monitor groups, regional health, steering by connections.

    """
    fields = {
        "name": Field(_name, required=True),
        "description": Field(text(1024), ""),
        "enabled": Field(boolean, default=True),
        "minimum_origins": Field(integer(0, 1_000_000), 1),
        "monitor": Field(text(32)),
        "monitor_group": Field(only("")),
        "check_regions": Field(array(choice(*REGIONS, "ALL_REGIONS", absent=("CHINA",)))),
        "health_sources": Field(only()),
        "latitude": Field(number(-90, 90)),
        "longitude": Field(number(-180, 180)),
        "load_shedding": Field(nested(_LOAD_SHEDDING), lambda: read_object("", {}, _LOAD_SHEDDING)),
        "origin_steering": Field(nested(_ORIGIN_STEERING), lambda: {"policy": "random"}),
        "notification_email": Field(text(1024), ""),
        "notification_filter": Field(
            nested({"origin": Field(nested(_FILTER)), "pool": Field(nested(_FILTER))})
        ),
        "origins": Field(array(_origin), list),
    }
    pool = read_object("", body, fields, ignored=READ_ONLY)
    _check_origins(pool["origins"], plan, zones)
    pool["origins"].sort(key=lambda origin: origin["name"])
    if not pool.get("monitor"):
        pool.pop("monitor", None)
    pool.pop("monitor_group", None)
    if ("latitude" in pool) != ("longitude" in pool):
        raise InvalidError("latitude and longitude must be set together")
    regions = pool.setdefault("check_regions", None) or None
    if not plan.may_probe_everywhere and (regions is None or "ALL_REGIONS" in regions):
        raise InvalidError(NO_REGIONS)
    pool["check_regions"] = regions
    return pool


def _name(where: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[-_a-zA-Z0-9]{1,255}", value):
        raise InvalidError(f"{where} must consist of letters, digits, hyphens and underscores")
    return value


def _origin(where: str, value: Any) -> dict[str, Any]:
    origin = read_object(where, value, _ORIGIN, ignored=ORIGIN_READ_ONLY)
    if not origin["name"]:
        raise InvalidError(f"{where}.name must not be empty")
    if not origin.get("header"):
        origin.pop("header", None)
    if not origin.get("port"):
        origin.pop("port", None)
    origin.pop("virtual_network_id", None)
    return origin


def _check_origins(origins: list[dict[str, Any]], plan: Plan, zones: Collection[str]) -> None:
    if not 1 <= len(origins) <= plan.origins:
        raise InvalidError(f"the origin list length must be in range [1, {plan.origins}]")
    names = [origin["name"] for origin in origins]
    addresses = [origin["address"] for origin in origins]
    if len(set(names)) < len(names):
        raise InvalidError("origin names must be unique within the pool")
    if len(set(addresses)) < len(addresses):
        raise InvalidError("origin addresses must be unique within the pool")
    for origin in origins:
        for host in origin.get("header", {}).get("Host", ()):
            if host != origin["address"] and zone_of(host, zones) is None:
                raise InvalidError(
                    f'Host header "{host}" not allowed for origin domain "{origin["address"]}"'
                )
