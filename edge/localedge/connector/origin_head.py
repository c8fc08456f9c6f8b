"""Header fields on their way between the edge and an origin. Pure."""

from __future__ import annotations

from localedge.connector.origin_request import OriginRequest
from localedge.tunnel import headers
from localedge.tunnel.interface import Headers

_NOT_FORWARDED = frozenset({"connection", "host", "upgrade", "keep-alive", "transfer-encoding", "expect"})
_TAG = "cf-warp-tag-id"


def to_origin(
    fields: Headers, settings: OriginRequest, client_id: str, *, websocket: bool
) -> list[tuple[str, str]]:
    """Write the fields for an origin as cloudflared does: tagged, with the Host that the rule wants.

    Cookies, which HTTP/2 may split, come together again (RFC 9113 §8.2.3). Names are written as Go does
    (`X-Request-Id`), since some origins do not know better.
    """
    authority = dict(fields).get(":authority", "")
    host = settings.http_host_header or authority
    written = [("host", host)]
    cookies = [value for name, value in fields if name == "cookie"]
    written += [
        (name, value)
        for name, value in fields
        if not (name.startswith((":", "cf-cloudflared-proxy-")) or name in _NOT_FORWARDED or name == "cookie")
    ]
    if cookies:
        written.append(("cookie", "; ".join(cookies)))
    if settings.http_host_header:
        written.append(("x-forwarded-host", authority))
    written.append((_TAG, client_id))
    if websocket:
        written = [(name, value) for name, value in written if name != "sec-websocket-version"]
        written += [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")]
    else:
        written.append(("connection", "keep-alive"))
    return [(_canonical(name), value) for name, value in written]


def to_edge(status: int, fields: Headers) -> list[tuple[str, str]]:
    """Write an origin's answer for the edge; HTTP/2 has no 101, so that it becomes 200."""
    switching, ok = 101, 200
    head = [
        (":status", str(ok if status == switching else status)),
        (headers.USER_HEADERS, headers.encode_user_headers(fields)),
        (headers.META, headers.encode_meta("origin")),
    ]
    head += [(name, value) for name, value in fields if name == "content-length"][:1]
    return head


def unreachable() -> list[tuple[str, str]]:
    """Write the answer when the origin could not be reached."""
    return [(":status", "502"), (headers.META, headers.encode_meta("cloudflared"))]


def _canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))
