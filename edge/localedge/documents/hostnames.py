"""Host names and the zones that they belong to."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from localedge.documents.refusal import InvalidError

_LABEL = re.compile(r"[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?")


def hostname(where: str, value: Any) -> str:
    """Read a host name; lower case, without the trailing dot. A first label `*` is allowed."""
    if not isinstance(value, str):
        raise InvalidError(f"{where} must be a string")
    name = value.lower().rstrip(".")
    labels = name.removeprefix("*.").split(".")
    if len(name) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - lengths of RFC 1035
        raise InvalidError(f"invalid hostname: {value}")
    return name


def origin_address(where: str, value: Any) -> str:
    """Read the address of an origin: an IP address or a host name."""
    if not isinstance(value, str) or not value:
        raise InvalidError(f"{where} must be an IP address or a hostname")
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return hostname(where, value)


def zone_of(name: str, zones: Iterable[str]) -> str | None:
    """Tell the zone that a host name belongs to: the most specific one."""
    matching = [zone for zone in zones if name == zone or name.endswith(f".{zone}")]
    return max(matching, key=len, default=None)


def without_port(authority: str) -> str:
    """Tell the host of a Host header, in lower case."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].lower().rstrip(".")
