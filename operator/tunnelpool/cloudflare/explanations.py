"""Cloudflare's refusals (code 1002 and others) in words that say what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_TEXTS: Final[Mapping[str, str]] = {
    r"list length must be in range \[1, 0\]": (
        "Load Balancing is not enabled for this account: "
        "enable it in the dashboard under Traffic > Load Balancing"
    ),
    r"origin list length must be in range \[\d+, (\d+)\]": (
        r"Cloudflare allows at most \1 origins with this account's Load Balancing subscription: "
        "use fewer, or raise the number of endpoints in the dashboard under Traffic > Load Balancing"
    ),
    r"interval is not in range \[(\d+), (\d+)\]": (
        r"the interval between probes must lie between \1 and \2 seconds on this account's plan"
    ),
    r"Probing from every data cent(?:re|er) is not allowed": (
        "probing from every data centre needs the Enterprise plan: "
        "choose check regions, for example WNAM alone"
    ),
    r'Host header "([^"]*)" not allowed for origin domain "([^"]*)"': (
        r"the Host header '\1' of origin '\2' must be a host name in a zone of this account, "
        "or the origin's own address"
    ),
    r"invalid hostname: ?(\S+?)(?:: validation failed)?$": r"'\1' is not a host name in this zone",
    r"last ingress rule must match all URLs": (
        "the last ingress rule of a tunnel must match everything: it may have neither host name nor path"
    ),
}
"""By what Cloudflare's message holds; the first that matches counts."""

_EXPLANATIONS: Final = tuple((re.compile(pattern, re.IGNORECASE), text) for pattern, text in _TEXTS.items())


def explain(message: str) -> str:
    """Say what to do about a refusal; an unknown one is passed on as Cloudflare words it."""
    for pattern, text in _EXPLANATIONS:
        if match := pattern.search(message):
            return match.expand(text)
    detail = message.strip().removesuffix(": validation failed").rstrip(". ")
    return f"Cloudflare refuses it: {detail}" if detail else "Cloudflare refuses it and does not say why"
