"""A connector's configuration as a file beside its token.

cloudflared is connected, ready and asked before Cloudflare has sent it its configuration, and answers 503
until then (cloudflared #1258): each rollout would lose requests. What stands in the file holds from the first
moment; what is sent later takes its place.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tunnelpool.domain.json import FrozenObject, thaw

NAME: Final = "config.yaml"
_DURATIONS: Final = frozenset({"connectTimeout", "tlsTimeout", "tcpKeepAlive", "keepAliveTimeout"})
"""Seconds in Cloudflare's API; in the file, a bare number would be nanoseconds."""


def config_file(configuration: FrozenObject) -> str:
    """Write a tunnel's configuration as cloudflared reads it from a file: JSON, which is YAML as well."""
    rules = thaw(configuration)["ingress"]
    return json.dumps({"ingress": [_rule(rule) for rule in rules]}, sort_keys=True, separators=(",", ":"))


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    if "originRequest" not in rule:
        return rule
    settings = {
        name: f"{value}s" if name in _DURATIONS else value for name, value in rule["originRequest"].items()
    }
    return {**rule, "originRequest": settings}
