"""Session affinity of a load balancer: kind, time to live, attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from localedge.documents.fields import Field, array, boolean, choice, integer, nested
from localedge.documents.refusal import InvalidError
from localedge.plan import Plan

KINDS: Final = ("none", "cookie", "ip_cookie", "header")
_TTL_S: Final = {
    "cookie": (1800, 604_800, 82_800),
    "ip_cookie": (1800, 604_800, 82_800),
    "header": (30, 3600, 1800),
}
"""Shortest, longest and default seconds by kind. Of a header's session they count from its last use."""
_HEADER = re.compile(r"[a-zA-Z0-9_-]{1,100}|cookie:[a-zA-Z0-9_-]+(,[a-zA-Z0-9_-]+)*")


def affinity_readers(plan: Plan) -> dict[str, Any]:
    """Make the readers of the three fields of a load balancer."""
    attributes = {
        "samesite": Field(choice("Auto", "Lax", "None", "Strict"), "Auto"),
        "secure": Field(choice("Auto", "Always", "Never"), "Auto"),
        "zero_downtime_failover": Field(choice("none", "temporary", "sticky"), "none"),
        "require_all_headers": Field(boolean),
        "headers": Field(array(_header, longest=plan.affinity_headers)),
        "drain_duration": Field(integer(0, 604_800)),
    }
    return {
        "session_affinity": choice(*KINDS, ""),
        "session_affinity_ttl": integer(30, 604_800),
        "session_affinity_attributes": nested(attributes),
    }


def default_attributes() -> dict[str, Any]:
    """Make the attributes that the server sets."""
    return {"samesite": "Auto", "secure": "Auto", "zero_downtime_failover": "none"}


def settle_affinity(balancer: dict[str, Any]) -> None:
    """Fill in the time to live and check what stands together.

    Raises:
        InvalidError: attributes or a time to live that the kind does not take.

    """
    kind = balancer["session_affinity"] = balancer["session_affinity"] or "none"
    attributes: Mapping[str, Any] = balancer["session_affinity_attributes"]
    if attributes["samesite"] == "None" and attributes["secure"] == "Never":
        raise InvalidError("session_affinity_attributes.secure must not be Never where samesite is None")
    if kind == "none":
        return
    shortest, longest, default = _TTL_S[kind]
    if not shortest <= balancer.setdefault("session_affinity_ttl", default) <= longest:
        raise InvalidError(f"session_affinity_ttl is not in range [{shortest}, {longest}]")
    if kind == "header" and attributes["zero_downtime_failover"] == "sticky":
        raise InvalidError("zero_downtime_failover sticky is not for session affinity by header")
    names = attributes.get("headers", ())
    if kind == "header" and not names:
        raise InvalidError("session_affinity_attributes.headers must not be empty")
    if len({name.lower() for name in names}) < len(names):
        raise InvalidError("session_affinity_attributes.headers must be unique")


def _header(where: str, value: Any) -> str:
    if not isinstance(value, str) or not _HEADER.fullmatch(value):
        raise InvalidError(f"{where} must be the name of a header, or 'cookie:' and names of cookies")
    return value
