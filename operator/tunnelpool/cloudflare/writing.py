"""Canonical values → the bodies of Cloudflare's POST and PATCH. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

from tunnelpool.cloudflare.reading import HTTP_TYPES, read_origin, unmanaged_origin_fields
from tunnelpool.domain.json import FrozenArray, FrozenObject, thaw
from tunnelpool.domain.remote import (
    DnsRecord,
    LoadBalancer,
    Monitor,
    Origin,
    Pool,
    RemoteValue,
    Tunnel,
)
from tunnelpool.plan.steps import Change

WrittenOrigins = Mapping[str, Mapping[str, Any]]
"""Origins as they stand at Cloudflare, by address: `reading.origins_as_written`."""

_AFFINITY_TTL: Final = {"cookie": 82800, "ip_cookie": 82800, "header": 1800}
"""What the server chooses on creation, in seconds; a PATCH has to say it."""
_UNPROXIED_TTL: Final = 30

_OUTSIDE_HTTP: Final = frozenset(
    {
        "path",
        "expected_codes",
        "expected_body",
        "header",
        "follow_redirects",
        "allow_insecure",
        "probe_zone",
    }
)
"""Fields that a monitor has only if it probes by HTTP."""

_ALWAYS: Final[Mapping[type, frozenset[str]]] = {
    Monitor: frozenset(
        {"type", "method", "path", "interval", "timeout", "retries", "expected_codes", "description"}
    ),
    Pool: frozenset({"name", "origins", "minimum_origins"}),
    LoadBalancer: frozenset({"name", "default_pools", "fallback_pool", "proxied", "steering_policy"}),
    DnsRecord: frozenset({"name", "type", "content", "proxied", "ttl"}),
    Tunnel: frozenset({"name"}),
}
"""Fields that every creation says. The others are left out at their default: some plans refuse to hear
of a feature that they lack, even if it is to be off."""

_DEFAULTS: Final[Mapping[type, RemoteValue]] = {
    Monitor: Monitor(description=""),
    Pool: Pool(name="", origins=()),
    LoadBalancer: LoadBalancer(name="", default_pools=(), fallback_pool=""),
    DnsRecord: DnsRecord(name="", type="", content=""),
    Tunnel: Tunnel(name=""),
}


def to_wire(value: RemoteValue) -> dict[str, Any]:
    """Write the body of a creation: whatever is not at the server's default."""
    kind = type(value)
    always, defaults = _ALWAYS[kind], _DEFAULTS[kind]
    body = {
        field.name: _field(value, field.name, {})
        for field in fields(value)
        if _applies(value, field.name)
        and (field.name in always or getattr(value, field.name) != getattr(defaults, field.name))
    }
    if isinstance(value, Tunnel):
        body["config_src"] = "cloudflare"
    return body


def changes_to_wire(
    value: RemoteValue, changes: Iterable[Change], there: WrittenOrigins | None = None
) -> dict[str, Any]:
    """Write the body of a PATCH: the changed fields as `value` has them, null for what is cleared.

    The server merges maps: an entry that is gone has to be written as null. Lists it replaces: an origin that
    shall stay as it is `there` is written to the bit as it is, whoever has put it there.
    """
    body: dict[str, Any] = {}
    for change in changes:
        if not _applies(value, change.field):
            continue
        wire = _field(value, change.field, there or {})
        if isinstance(change.before, FrozenObject) and isinstance(wire, dict):
            wire = _merge_patch(thaw(change.before), wire)
        body[change.field] = wire
    if isinstance(value, LoadBalancer):
        _say_what_the_server_would_keep(value, body)
    return body


def _say_what_the_server_would_keep(value: LoadBalancer, body: dict[str, Any]) -> None:
    """Put in the time to live that belongs to a new kind of affinity or proxying, if none is chosen."""
    if body.keys() & {"session_affinity", "session_affinity_ttl"} and not value.session_affinity_ttl:
        body["session_affinity_ttl"] = _AFFINITY_TTL.get(value.session_affinity)
    if "ttl" in body and not value.ttl:
        body["ttl"] = None if value.proxied else _UNPROXIED_TTL


def _applies(value: RemoteValue, field: str) -> bool:
    if isinstance(value, Monitor) and value.type not in HTTP_TYPES:
        return field not in _OUTSIDE_HTTP and (field != "method" or bool(value.method))
    return True


def _field(value: RemoteValue, field: str, there: WrittenOrigins) -> Any:
    canonical = getattr(value, field)
    if field == "origins":
        return [_origin(origin, there.get(origin.address)) for origin in canonical]
    if field == "check_regions":
        return list(canonical) or None
    if field == "health_sources":
        return sorted(canonical, reverse=True) or None  # in this order only: regional, global
    if isinstance(canonical, FrozenObject | FrozenArray):
        return thaw(canonical)
    return list(canonical) if isinstance(canonical, tuple) else canonical


def _origin(origin: Origin, there: Mapping[str, Any] | None) -> dict[str, Any]:
    if there is not None and read_origin(there) == origin:
        return dict(there)
    body: dict[str, Any] = {
        **(unmanaged_origin_fields(there) if there is not None else {}),
        "name": origin.name,
        "address": origin.address,
        "enabled": origin.enabled,
        "weight": origin.weight,
    }
    if origin.port:
        body["port"] = origin.port
    if origin.host:
        body["header"] = {"Host": [origin.host]}
    if not origin.flatten_cname:
        body["flatten_cname"] = False
    return body


def _merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any] | None:
    """Write the map so that a server which merges it arrives at `after`; null clears it as a whole."""
    if not after:
        return None
    patch: dict[str, Any] = dict.fromkeys(before.keys() - after.keys())
    for name, value in after.items():
        old = before.get(name)
        merged = isinstance(value, dict) and isinstance(old, dict)
        patch[name] = _merge_patch(old or {}, value) if merged else value
    return patch
