"""The one way to write down settings that can be written in several: for `build` and for what is read."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from tunnelpool.domain.hostnames import canonical_hostname
from tunnelpool.domain.json import FrozenJson, freeze, with_defaults
from tunnelpool.domain.remote import SESSION_AFFINITY_ATTRIBUTES_DEFAULTS

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
