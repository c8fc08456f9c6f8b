"""Host names as Cloudflare compares them."""

from __future__ import annotations

from collections.abc import Iterable

from tunnelpool.domain.remote import Zone


def canonical_hostname(hostname: str) -> str:
    """Lower case, no trailing dot."""
    return hostname.rstrip(".").lower()


def zone_of(hostname: str, zones: Iterable[Zone]) -> Zone | None:
    """Find the zone that holds a host name: the longest name that it ends in."""
    name = canonical_hostname(hostname)
    holding = [zone for zone in zones if name == zone.name or name.endswith(f".{zone.name}")]
    return max(holding, key=lambda zone: len(zone.name), default=None)
