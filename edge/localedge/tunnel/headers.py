"""How cloudflared carries the header fields of an origin, and which fields may travel through a tunnel.

An origin's fields come base64-coded in one field of their own, since HTTP/2 would refuse some of them; what
stands beside it is an artefact of Go's HTTP/2 server.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable

from localedge.tunnel.interface import Headers

USER_HEADERS = "cf-cloudflared-response-headers"
META = "cf-cloudflared-response-meta"
UPGRADE = "cf-cloudflared-proxy-connection-upgrade"
CONTROL_STREAM = "control-stream"
UPDATE_CONFIGURATION = "update-configuration"
WEBSOCKET = "websocket"
PROXY_SRC = "cf-cloudflared-proxy-src"

_INTERNAL_PREFIXES = (":", "cf-int-", "cf-cloudflared-", "cf-proxy-")
_WEBSOCKET_FIELDS = frozenset({"connection", "upgrade", "sec-websocket-accept"})
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "te",
        "transfer-encoding",
        "upgrade",
    }
)


class MalformedHeadersError(Exception):
    """A `cf-cloudflared-*` field that cannot be read."""


def encode_user_headers(fields: Headers) -> str:
    """Write an origin's fields as `b64(name):b64(value);…` without padding; internal ones are dropped."""
    return ";".join(f"{_encode(name)}:{_encode(value)}" for name, value in fields if not _is_internal(name))


def decode_user_headers(text: str) -> list[tuple[str, str]]:
    """Read an origin's fields; names come out in lower case.

    Raises:
        MalformedHeadersError: not pairs of base64.

    """
    fields = []
    for pair in filter(None, text.split(";")):
        name, colon, value = pair.partition(":")
        if not colon or ":" in value:
            raise MalformedHeadersError(f"{pair!r} is no pair of name and value")
        fields.append((_decode(name).lower(), _decode(value)))
    return fields


def encode_meta(source: str) -> str:
    """Tell who made an answer: `origin` or `cloudflared`."""
    return json.dumps({"src": source}, separators=(",", ":"))


def decode_meta(text: str) -> str:
    """Read who made an answer.

    Raises:
        MalformedHeadersError: no JSON object with a `src`.

    """
    try:
        source = json.loads(text)["src"]
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedHeadersError(f"{META}: {text!r}") from error
    if not isinstance(source, str):
        raise MalformedHeadersError(f"{META}: {text!r}")
    return source


def request_fields(fields: Headers, *, websocket: bool) -> list[tuple[str, str]]:
    """Pick the fields of a request that may go to a connector.

    Hop-by-hop fields would be refused there with 400; `cf-cloudflared-*` from outside would steer the
    connector (`cf-cloudflared-proxy-src` opens the pod's network). Without any `accept-encoding` Go would
    add its own and gunzip the answer behind the origin's back.
    """
    named = _named_by_connection(fields)
    kept = [
        (name, value)
        for name, value in fields
        if name not in _HOP_BY_HOP and name not in named and name != "host" and not _is_internal(name)
    ]
    if any(name == "te" and value.strip().lower() == "trailers" for name, value in fields):
        kept.append(("te", "trailers"))
    if not any(name == "accept-encoding" for name, _ in kept):
        kept.append(("accept-encoding", "identity"))
    if websocket:
        kept.append((UPGRADE, WEBSOCKET))
    return kept


def response_fields(fields: Headers, *, websocket: bool) -> list[tuple[str, str]]:
    """Pick the fields of an origin's answer that may go on to the visitor.

    The fields of an upgrade stay with an upgraded WebSocket.
    """
    named = _named_by_connection(fields)
    return [
        (name, value)
        for name, value in fields
        if (websocket and name in _WEBSOCKET_FIELDS) or not (name in _HOP_BY_HOP or name in named)
    ]


def is_websocket_upgrade(fields: Headers) -> bool:
    """Tell an origin's 101, which travels as 200, from an ordinary 200."""
    return any(name == "sec-websocket-accept" for name, _ in fields)


def _named_by_connection(fields: Iterable[tuple[str, str]]) -> set[str]:
    return {
        token.strip().lower() for name, value in fields if name == "connection" for token in value.split(",")
    }


def _is_internal(name: str) -> bool:
    return name.startswith(_INTERNAL_PREFIXES)


def _encode(text: str) -> str:
    return base64.b64encode(text.encode("latin-1")).rstrip(b"=").decode()


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("latin-1")
    except (binascii.Error, ValueError) as error:
        raise MalformedHeadersError(f"{text!r} is not base64") from error
