"""Cloudflare's refusals (code 1002 and others) in words that say what to do.

Matched are texts that have been seen. For limits on the number of objects and for what a plan lacks none is
published, so whatever speaks of a limit, or of what is allowed with the subscription, is taken for that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tunnelpool.domain.errors import (
    HostHeaderError,
    InvalidError,
    NotBoughtError,
    PlanError,
    TooManyOriginsError,
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a refusal is, and what to do about it."""

    kind: type[InvalidError]
    message: str
    limit: int | None = None
    """How many origins are allowed, of a refusal that says so."""


_DASHBOARD: Final = "in the dashboard under Traffic > Load Balancing"
_STEERING: Final = (
    "needs Traffic Steering, which this account's subscription does not include: use `steeringPolicy` 'off' "
    f"or 'random' without places, or add it {_DASHBOARD}"
)
_LACKING: Final = (
    "not allowed (?:with|on|for) (?:this|your) (?:subscription|plan)|not entitled|exceeds? .*(?:limit|quota)"
)
_TEXTS: Final[Mapping[type[InvalidError], Mapping[str, str]]] = {
    NotBoughtError: {
        r"list length must be in range \[1, 0\]": (
            f"Load Balancing is not enabled for this account: enable it {_DASHBOARD}"
        ),
    },
    TooManyOriginsError: {
        r"origin list length must be in range \[\d+, (\d+)\]": (
            r"Cloudflare allows at most \1 origins with this account's Load Balancing subscription: "
            f"use fewer, or raise the number of endpoints {_DASHBOARD}"
        ),
        r"limited to (\d+) origins": (
            r"the account may have at most \1 origins in all pools: run fewer connectors, or raise the "
            f"number of endpoints {_DASHBOARD}"
        ),
    },
    PlanError: {
        r"limited to (\d+) (pools|monitors|load balancers)": (
            r"the account may have at most \1 \2: delete some that nobody needs, or raise the number "
            f"{_DASHBOARD}"
        ),
        r"interval is not in range \[(\d+), (\d+)\]": (
            r"`intervalSeconds` must lie between \1 and \2 on this account's plan"
        ),
        r"Probing from every data cent(?:re|er) is not allowed": (
            "probing from every data centre needs the Enterprise plan: "
            "choose `checkRegions`, for example WNAM alone"
        ),
        r"number of rules must be in range \[\d+, (\d+)\]": (
            r"a load balancer may have at most \1 `rules` on this account's plan: take some away, or join "
            "them by `or` in one `condition`"
        ),
        r"headers must not hold more than (\d+) entries": (
            r"sessions may go by at most \1 `headers` on this account's plan: take some away"
        ),
        r"steering_policy (\S+) is not allowed with this subscription": rf"`steeringPolicy` '\1' {_STEERING}",
        r"(region|country|pop)_pools is not allowed with this subscription": rf"`\1Pools` {_STEERING}",
        rf"^(.*?(?:{_LACKING}).*?)\.?(?:: validation failed)?$": (
            r"the account's plan does not allow it: \1. Take that away, or upgrade the plan"
        ),
    },
    HostHeaderError: {
        r'Host header "([^"]*)" not allowed for origin domain "([^"]*)"': (
            r"the Host header '\1' of origin '\2' must be a host name in a zone of this account, "
            "or the origin's own address"
        ),
    },
    InvalidError: {
        r"invalid hostname: ?(\S+?)(?:: validation failed)?$": r"'\1' is not a host name in this zone",
        r"^value not unique\.?$": (
            "two `rules` of the load balancer have the same `priority`: give each its own, or none to any"
        ),
        r"doesn't contain any ingress rules": (
            "the configuration of a tunnel must have at least one ingress rule"
        ),
        r"last ingress rule must match all URLs": (
            "the last ingress rule of a tunnel must match everything: it may have neither host name nor path"
        ),
    },
}
"""By what Cloudflare's message holds; the first that matches counts."""

_EXPLANATIONS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), kind, text)
    for kind, texts in _TEXTS.items()
    for pattern, text in texts.items()
)


def explain(message: str) -> Explanation:
    """Say what to do about a refusal; an unknown one is passed on as Cloudflare words it."""
    for pattern, kind, text in _EXPLANATIONS:
        if match := pattern.search(message.strip()):
            limit = int(match[1]) if kind is TooManyOriginsError else None
            return Explanation(kind, match.expand(text), limit)
    detail = message.strip().removesuffix(": validation failed").rstrip(". ")
    told = f"Cloudflare refuses it: {detail}" if detail else "Cloudflare refuses it and does not say why"
    return Explanation(InvalidError, told)
