"""Cloudflare's JSON → canonical values. Pure.

What a listing shows of an object does not depend on who wrote it: absent, null and default are the same,
origins and regions are sorted, host names are lower case, entries of maps that say nothing are left out.
A field that tunnelpool does not manage is passed over. All functions raise `ValueError` for JSON that is
not what it should be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from tunnelpool.domain.canonical import (
    canonical_address,
    canonical_affinity_attributes,
    canonical_notification_filter,
    canonical_rules,
)
from tunnelpool.domain.hostnames import canonical_hostname
from tunnelpool.domain.json import EMPTY, FrozenJson, freeze, with_defaults
from tunnelpool.domain.remote import (
    ADAPTIVE_ROUTING_DEFAULTS,
    LOAD_SHEDDING_DEFAULTS,
    LOCATION_STRATEGY_DEFAULTS,
    RANDOM_STEERING_DEFAULTS,
    DnsRecord,
    LoadBalancer,
    Monitor,
    Observed,
    ObservedPool,
    ObservedTunnel,
    Origin,
    Pool,
    PoolHealth,
    Tunnel,
    TunnelStatus,
    Zone,
)

Json = Mapping[str, Any]
HTTP_TYPES: Final = frozenset({"http", "https"})

_STATUSES: Final = {status.value: status for status in TunnelStatus}
_UNMANAGED_ORIGIN_FIELDS: Final = ("virtual_network_id",)
_TOLD_OF_ORIGINS: Final = frozenset({"healthy", "disabled_at"})
"""What Cloudflare says of an origin and nobody writes."""

_OVERRIDING_OBJECTS: Final = (
    "adaptive_routing",
    "country_pools",
    "location_strategy",
    "pop_pools",
    "random_steering",
    "region_pools",
    "session_affinity_attributes",
)


def read_monitor(raw: Json) -> Observed[Monitor]:
    """Read a monitor; what only HTTP has is empty for other types."""
    kind = _text(raw, "type", "http")
    http = kind in HTTP_TYPES
    method = "GET" if http else "connection_established" if kind == "tcp" else ""
    value = Monitor(
        description=_text(raw, "description"),
        type=kind,
        method=_text(raw, "method", method) if http else method,
        path=_text(raw, "path", "/") if http else "",
        port=_whole(raw, "port"),
        interval=_whole(raw, "interval", 60),
        timeout=_whole(raw, "timeout", 5),
        retries=_whole(raw, "retries", 2),
        consecutive_up=_whole(raw, "consecutive_up"),
        consecutive_down=_whole(raw, "consecutive_down"),
        expected_codes=_text(raw, "expected_codes").replace(" ", "") if http else "",
        expected_body=_text(raw, "expected_body") if http else "",
        header=freeze({name: list(values) for name, values in _map(raw, "header").items() if values})
        if http
        else EMPTY,
        follow_redirects=_flag(raw, "follow_redirects") if http else False,
        allow_insecure=_flag(raw, "allow_insecure") if http else False,
        probe_zone=canonical_hostname(_text(raw, "probe_zone")) if http else "",
    )
    return Observed(_text(raw, "id"), value)


def read_pool(raw: Json) -> ObservedPool:
    """Read a pool and the health that its listing tells."""
    origins = [_object(origin, "origins") for origin in _list(raw, "origins")]
    value = Pool(
        name=_text(raw, "name"),
        origins=tuple(sorted((read_origin(origin) for origin in origins), key=lambda o: (o.name, o.address))),
        description=_text(raw, "description"),
        enabled=_flag(raw, "enabled", default=True),
        minimum_origins=_whole(raw, "minimum_origins", 1),
        monitor=_text(raw, "monitor"),
        check_regions=tuple(sorted({str(region) for region in _list(raw, "check_regions")})),
        health_sources=_health_sources(raw),
        latitude=_number(raw, "latitude"),
        longitude=_number(raw, "longitude"),
        load_shedding=with_defaults(_map(raw, "load_shedding"), LOAD_SHEDDING_DEFAULTS),
        origin_steering=with_defaults(_map(raw, "origin_steering"), {"policy": "random"}),
        notification_filter=canonical_notification_filter(_map(raw, "notification_filter")),
    )
    health = PoolHealth(
        healthy=_verdict(raw),
        origins={_text(origin, "name"): _verdict(origin) for origin in origins},
        disabled_at={
            _text(origin, "name"): _time(origin["disabled_at"])
            for origin in origins
            if origin.get("disabled_at")
        },
    )
    return ObservedPool(_text(raw, "id"), value, created_on=_text(raw, "created_on"), health=health)


def origins_as_written(raw: Json) -> dict[str, dict[str, Any]]:
    """List a pool's origins as somebody has written them, by address.

    Origins are replaced whole: what another writer has put there is written back as it was.
    """
    return {
        canonical_address(_text(origin, "address")): {
            name: value for name, value in origin.items() if name not in _TOLD_OF_ORIGINS
        }
        for origin in _list(raw, "origins")
    }


def unmanaged_origin_fields(raw: Json) -> dict[str, Any]:
    """Pick what tunnelpool does not manage in an origin."""
    return {name: raw[name] for name in _UNMANAGED_ORIGIN_FIELDS if raw.get(name) is not None}


def read_load_balancer(raw: Json, zone_id: str) -> Observed[LoadBalancer]:
    """Read a load balancer; times to live that the server has chosen stand there as it chose them."""
    proxied = _flag(raw, "proxied")
    geo = {name: _geo(raw, name) for name in ("region_pools", "country_pools", "pop_pools")}
    affinity = _text(raw, "session_affinity", "none")
    value = LoadBalancer(
        name=canonical_hostname(_text(raw, "name")),
        default_pools=tuple(str(pool) for pool in _list(raw, "default_pools")),
        fallback_pool=_text(raw, "fallback_pool"),
        description=_text(raw, "description"),
        enabled=_flag(raw, "enabled", default=True),
        proxied=proxied,
        ttl=0 if proxied else _whole(raw, "ttl"),
        steering_policy=_text(raw, "steering_policy", "geo" if any(geo.values()) else "off"),
        region_pools=geo["region_pools"],
        country_pools=geo["country_pools"],
        pop_pools=geo["pop_pools"],
        random_steering=with_defaults(_without_nulls(_map(raw, "random_steering")), RANDOM_STEERING_DEFAULTS),
        session_affinity=affinity,
        session_affinity_ttl=0 if affinity == "none" else _whole(raw, "session_affinity_ttl"),
        session_affinity_attributes=canonical_affinity_attributes(_map(raw, "session_affinity_attributes")),
        adaptive_routing=with_defaults(_map(raw, "adaptive_routing"), ADAPTIVE_ROUTING_DEFAULTS),
        location_strategy=with_defaults(_map(raw, "location_strategy"), LOCATION_STRATEGY_DEFAULTS),
        rules=canonical_rules([_rule(rule) for rule in _list(raw, "rules")]),
    )
    return Observed(_text(raw, "id"), value, zone_id, _text(raw, "created_on"))


def read_tunnel(raw: Json) -> ObservedTunnel:
    """Read a tunnel; a status that is not known counts as never connected, which nothing is built on."""
    status = _text(raw, "status")
    return ObservedTunnel(
        _text(raw, "id"),
        Tunnel(_text(raw, "name")),
        status=_STATUSES.get(status, TunnelStatus.INACTIVE),
        remotely_managed=raw.get("config_src") == "cloudflare" or raw.get("remote_config") is True,
    )


def read_dns_record(raw: Json, zone_id: str) -> Observed[DnsRecord]:
    """Read a DNS record; a proxied one has no time to live of its own."""
    kind = _text(raw, "type").upper()
    proxied = _flag(raw, "proxied")
    content = _text(raw, "content")
    value = DnsRecord(
        name=canonical_hostname(_text(raw, "name")),
        type=kind,
        content=canonical_address(content) if kind in {"A", "AAAA", "CNAME"} else content,
        proxied=proxied,
        ttl=1 if proxied else _whole(raw, "ttl", 1),
        comment=_text(raw, "comment"),
    )
    return Observed(_text(raw, "id"), value, zone_id)


def read_zone(raw: Json) -> Zone:
    """Read a zone."""
    return Zone(_text(raw, "id"), canonical_hostname(_text(raw, "name")))


def read_origin(raw: Json) -> Origin:
    """Read an origin of a pool."""
    weight = _number(raw, "weight")
    hosts = [
        value
        for name, values in _map(raw, "header").items()
        if name.lower() == "host"
        for value in ([values] if isinstance(values, str) else values or ())
    ]
    return Origin(
        name=_text(raw, "name"),
        address=canonical_address(_text(raw, "address")),
        enabled=_flag(raw, "enabled", default=True),
        weight=1 if weight is None else round(weight, 2),
        port=_whole(raw, "port"),
        host=canonical_hostname(str(hosts[0])) if hosts else "",
        flatten_cname=_flag(raw, "flatten_cname", default=True),
    )


def _health_sources(raw: Json) -> tuple[str, ...]:
    """Read who decides; what is no list of regions says nothing of regions."""
    sources = tuple(sorted({str(source) for source in _list(raw, "health_sources")}))
    return sources if "regional" in sources else ()


def _geo(raw: Json, name: str) -> FrozenJson:
    return freeze({str(place).upper(): list(pools) for place, pools in _map(raw, name).items() if pools})


def _rule(raw: Any) -> dict[str, Any]:
    rule = _without_nulls(_object(raw, "rules"))
    overrides = _map(rule, "overrides")
    for part, names in ((rule, ("fixed_response",)), (overrides, _OVERRIDING_OBJECTS)):
        for name in names:
            _map(part, name)  # raises where it is none
    return rule


def _without_nulls(raw: Json) -> dict[str, Any]:
    return {
        name: _without_nulls(value) if isinstance(value, Mapping) else value
        for name, value in raw.items()
        if value is not None
    }


def _verdict(raw: Json) -> bool | None:
    healthy = raw.get("healthy")
    return healthy if isinstance(healthy, bool) else None


def _time(text: Any) -> datetime:
    return datetime.fromisoformat(str(text))


def _text(raw: Json, name: str, default: str = "") -> str:
    value = raw.get(name)
    if value is None or value == "":
        return default
    if not isinstance(value, str):
        raise _unexpected(name, value)
    return value


def _whole(raw: Json, name: str, default: int = 0) -> int:
    value = raw.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise _unexpected(name, value)
    return int(value)


def _number(raw: Json, name: str) -> float | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unexpected(name, value)
    return value


def _flag(raw: Json, name: str, *, default: bool = False) -> bool:
    value = raw.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _unexpected(name, value)
    return value


def _map(raw: Json, name: str) -> Json:
    value = raw.get(name)
    return {} if value is None else _object(value, name)


def _object(value: Any, name: str) -> Json:
    if not isinstance(value, Mapping):
        raise _unexpected(name, value)
    return value


def _list(raw: Json, name: str) -> Iterable[Any]:
    value = raw.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _unexpected(name, value)
    return value


def _unexpected(name: str, value: Any) -> ValueError:
    return ValueError(f"{name} is not expected to be {type(value).__name__}")
