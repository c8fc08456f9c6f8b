"""Tunnels and their configurations (`/cfd_tunnel`)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from localedge.documents.fields import Field, choice, only, read_object, text
from localedge.documents.refusal import InvalidError

SHORTEST_SECRET = 32
_NO_RULES = "Validation failed: The config file doesn't contain any ingress rules\n"
_LAST_RULE = (
    "Validation failed: The last ingress rule must match all URLs "
    "(i.e. it should not have a hostname or path filter)\n"
)
_CREATE = {
    "name": Field(text(100), required=True),
    "config_src": Field(choice("local", "cloudflare"), "local"),
    "tunnel_secret": Field(text(1024)),
    "metadata": Field(only({})),
}
_CHANGE = {"name": Field(text(100)), "tunnel_secret": Field(text(1024))}


def read_new_tunnel(body: Any) -> dict[str, Any]:
    """Read a creation: `name`, `config_src` and, if given, `tunnel_secret` as bytes."""
    return _with_secret(read_object("", body, _CREATE))


def read_tunnel_change(body: Any) -> dict[str, Any]:
    """Read a PATCH: `name`, `tunnel_secret` as bytes."""
    return _with_secret(read_object("", body, _CHANGE))


def read_configuration(body: Any) -> dict[str, Any]:
    """Read a configuration; the rules themselves are the connector's to judge.

    Raises:
        InvalidError: no rules, or a last rule that does not match everything.

    """
    config = body.get("config") if isinstance(body, Mapping) else None
    if not isinstance(config, Mapping):
        raise InvalidError("Validation failed: config must be an object\n")
    rules = config.get("ingress")
    if not isinstance(rules, list) or not rules:
        raise InvalidError(_NO_RULES)
    if not all(isinstance(rule, Mapping) and rule.get("service") for rule in rules):
        raise InvalidError("Validation failed: each ingress rule must have a service\n")
    if rules[-1].get("hostname") not in {None, "", "*"} or rules[-1].get("path"):
        raise InvalidError(_LAST_RULE)
    return {**config, "warp-routing": config.get("warp-routing", {"enabled": False})}


def _with_secret(tunnel: dict[str, Any]) -> dict[str, Any]:
    if "name" in tunnel and not tunnel["name"].strip():
        raise InvalidError("name must not be empty")
    if "tunnel_secret" in tunnel:
        try:
            secret = base64.b64decode(tunnel["tunnel_secret"], validate=True)
        except binascii.Error as error:
            raise InvalidError("tunnel_secret must be base64") from error
        if len(secret) < SHORTEST_SECRET:
            raise InvalidError(f"tunnel_secret must be at least {SHORTEST_SECRET} bytes")
        tunnel["tunnel_secret"] = secret
    return tunnel
