"""Which header fields pass between visitor and origin, and which the edge adds."""

from __future__ import annotations

import json
from collections.abc import Iterable

from localedge.balance.visitor import UNKNOWN_COUNTRY, Location

HeaderList = list[tuple[str, str]]

LOCATION_PREFIX = "x-localedge-"
"""Of the header fields `colo`, `country` and `region`, by which a visitor is put somewhere."""
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
     "trailer", "transfer-encoding", "upgrade"}
)  # fmt: skip
_OWN = frozenset({"host", "expect", "cdn-loop", "x-forwarded-proto"})


def is_websocket(fields: Iterable[tuple[str, str]]) -> bool:
    """Tell whether a request asks for a WebSocket."""
    return any(name.lower() == "upgrade" and value.lower() == "websocket" for name, value in fields)


def location(fields: Iterable[tuple[str, str]], *, colo: str) -> Location:
    """Tell where a visitor says it is: tests come from anywhere, and their addresses say nothing of it."""
    said = {name.lower(): value.strip().upper() for name, value in fields}
    return Location(
        pop=said.get(f"{LOCATION_PREFIX}colo", colo),
        country=said.get(f"{LOCATION_PREFIX}country", UNKNOWN_COUNTRY),
        region=said.get(f"{LOCATION_PREFIX}region", ""),
    )


def toward_origin(
    fields: Iterable[tuple[str, str]], *, client_ip: str, country: str, scheme: str, ray: str
) -> HeaderList:
    """Make the fields of the request to the origin, names in lower case, Host left to the leg.

    What only Cloudflare may say (`cf-*`) is dropped from the visitor's fields: a visitor could
    otherwise speak to the connector itself. What is meant for the stand-in alone is dropped too.
    """
    received = [(name.lower(), value) for name, value in fields]
    named = _named_by_connection(received)
    kept = [
        (name, value)
        for name, value in received
        if name not in _HOP_BY_HOP
        and name not in _OWN
        and name not in named
        and not name.startswith(("cf-", LOCATION_PREFIX))
    ]
    forwarded = [value for name, value in kept if name == "x-forwarded-for"]
    passed = [(name, value) for name, value in kept if name != "x-forwarded-for"]
    if not any(name == "accept-encoding" for name, _ in passed):
        # Without one, cloudflared's HTTP library asks for gzip and unpacks it behind our back.
        passed.append(("accept-encoding", "identity"))
    return [
        *passed,
        ("cdn-loop", "cloudflare"),
        ("cf-connecting-ip", client_ip),
        ("cf-ipcountry", country),
        ("cf-ray", ray),
        ("cf-visitor", json.dumps({"scheme": scheme}, separators=(",", ":"))),
        ("x-forwarded-for", ", ".join([*forwarded, client_ip])),
        ("x-forwarded-proto", scheme),
    ]


def toward_visitor(fields: Iterable[tuple[str, str]], *, ray: str) -> HeaderList:
    """Make the fields of the answer to the visitor."""
    received = [(name.lower(), value) for name, value in fields]
    named = _named_by_connection(received)
    kept = [
        (name, value)
        for name, value in received
        if name not in _HOP_BY_HOP and name not in named and name != "server"
    ]
    return [*kept, ("server", "cloudflare"), ("cf-ray", ray)]


def _named_by_connection(fields: HeaderList) -> frozenset[str]:
    return frozenset(
        token.strip().lower()
        for name, value in fields
        if name == "connection"
        for token in value.split(",")
        if token.strip().lower() not in {"", "close", "keep-alive", "upgrade"}
    )
