"""How a connector speaks to an origin (`originRequest`), with cloudflared's names and defaults. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class OriginRequest:
    """Settings of one rule, or of all. Durations in seconds."""

    connect_timeout_s: float = 30.0
    tls_timeout_s: float = 10.0
    tcp_keep_alive_s: float = 30.0
    keep_alive_timeout_s: float = 90.0
    keep_alive_connections: int = 100
    no_happy_eyeballs: bool = False
    http_host_header: str = ""
    origin_server_name: str = ""
    match_sni_to_host: bool = False
    ca_pool: str = ""
    no_tls_verify: bool = False

    def document(self) -> dict[str, Any]:
        """Write what differs from the defaults, as the `/config` page has it; durations in whole seconds."""
        values = {name: getattr(self, attribute) for name, (attribute, _) in _FIELDS.items()}
        usual = {name: getattr(_DEFAULTS, attribute) for name, (attribute, _) in _FIELDS.items()}
        return {
            name: int(value) if isinstance(value, float) else value
            for name, value in values.items()
            if value != usual[name]
        }


_FIELDS: dict[str, tuple[str, type]] = {
    "connectTimeout": ("connect_timeout_s", float),
    "tlsTimeout": ("tls_timeout_s", float),
    "tcpKeepAlive": ("tcp_keep_alive_s", float),
    "keepAliveTimeout": ("keep_alive_timeout_s", float),
    "keepAliveConnections": ("keep_alive_connections", int),
    "noHappyEyeballs": ("no_happy_eyeballs", bool),
    "httpHostHeader": ("http_host_header", str),
    "originServerName": ("origin_server_name", str),
    "matchSNItoHost": ("match_sni_to_host", bool),
    "caPool": ("ca_pool", str),
    "noTLSVerify": ("no_tls_verify", bool),
}
DURATIONS = frozenset(name for name, (_, kind) in _FIELDS.items() if kind is float)
_DEFAULTS = OriginRequest()
_UNSUPPORTED = ("bastionMode", "disableChunkedEncoding", "http2Origin", "ipRules", "proxyType")
"""Fields of cloudflared that change what happens and that the stand-in cannot do, unless they are empty."""


def parse_origin_request(document: Any, defaults: OriginRequest) -> OriginRequest:
    """Read settings over the ones that hold else; unknown fields are ignored, as cloudflared does.

    Raises:
        ValueError: a value of the wrong type, or a setting that the stand-in cannot do.

    """
    if document is None:
        return defaults
    if not isinstance(document, Mapping):
        raise ValueError("originRequest is no JSON object")  # noqa: TRY004 - one error for a bad configuration
    for name in _UNSUPPORTED:
        if document.get(name):
            raise ValueError(f"originRequest.{name}: the stand-in connector cannot do that")
    if (access := document.get("access")) and access.get("required"):
        raise ValueError("originRequest.access: the stand-in connector cannot check Access tokens")
    changes: dict[str, Any] = {}
    for name, (attribute, kind) in _FIELDS.items():
        value = document.get(name)
        if value is not None:
            changes[attribute] = _checked(name, value, kind)
    return replace(defaults, **changes)


def _checked(name: str, value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise ValueError(f"originRequest.{name}: {value!r} is no {kind.__name__}")
