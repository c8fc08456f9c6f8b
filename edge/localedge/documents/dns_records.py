"""DNS records (`/zones/{zone}/dns_records`): A, AAAA, CNAME and TXT."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from localedge.documents.fields import Field, array, boolean, choice, integer, only, read_object, text
from localedge.documents.hostnames import hostname, zone_of
from localedge.documents.refusal import InvalidError
from localedge.state.records import Document

READ_ONLY = frozenset(
    {"id", "zone_id", "zone_name", "created_on", "modified_on", "proxiable", "meta", "locked",
     "comment_modified_on", "tags_modified_on"}
)  # fmt: skip
PROXIABLE = frozenset({"A", "AAAA", "CNAME"})
_AUTOMATIC_TTL = 1
_SHORTEST_TTL_S = 60
_UNEMULATED = (
    "CAA", "CERT", "DNSKEY", "DS", "HTTPS", "LOC", "MX", "NAPTR", "NS", "OPENPGPKEY", "PTR", "SMIMEA",
    "SRV", "SSHFP", "SVCB", "TLSA", "URI",
)  # fmt: skip


def read_dns_record(body: Any, zone: str) -> dict[str, Any]:
    """Read a whole record, defaults filled in; `name` comes out as a full name.

    Raises:
        InvalidError: what Cloudflare refuses.
        NotEmulatedError: other types of record.

    """
    fields = {
        "name": Field(lambda where, value: _record_name(where, value, zone), required=True),
        "type": Field(choice("A", "AAAA", "CNAME", "TXT", absent=_UNEMULATED), required=True),
        "content": Field(text(4096), required=True),
        "proxied": Field(boolean, default=False),
        "ttl": Field(integer(_AUTOMATIC_TTL, 86_400), _AUTOMATIC_TTL),
        "comment": Field(text(100)),
        "tags": Field(array(text(132)), list),
        "settings": Field(only({}), dict),
    }
    record = read_object("", body, fields, ignored=READ_ONLY)
    record["content"] = _content(record["type"], record["content"])
    if record["proxied"] and record["type"] not in PROXIABLE:
        raise InvalidError(f"record type {record['type']} cannot be proxied")
    if record["proxied"]:
        record["ttl"] = _AUTOMATIC_TTL
    if _AUTOMATIC_TTL < record["ttl"] < _SHORTEST_TTL_S:
        raise InvalidError(f"ttl must be {_AUTOMATIC_TTL} (automatic) or at least {_SHORTEST_TTL_S}")
    return {
        **record,
        "comment": record.get("comment"),
        "proxiable": record["type"] in PROXIABLE,
        "meta": {},
    }


def clash(record: Document, others: Iterable[Document]) -> tuple[int, str] | None:
    """Tell the code and message if a record cannot stand beside others of the zone."""
    for other in others:
        if other["name"] != record["name"]:
            continue
        if all(other[key] == record[key] for key in ("type", "content")):
            return 81058, "An identical record already exists."
        if record["type"] == "CNAME" and other["type"] in PROXIABLE:
            return 81053, "An A, AAAA, or CNAME record with that host already exists."
        if other["type"] == "CNAME" and record["type"] in PROXIABLE:
            return 81054, "A CNAME record with that host already exists."
    return None


def _record_name(where: str, value: Any, zone: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidError(f"{where} must be a string")
    name = value.lower().rstrip(".")
    if name == "@":
        return zone
    full = name if zone_of(name, [zone]) else f"{name}.{zone}"
    return hostname(where, full)


def _content(kind: str, content: str) -> str:
    if kind in {"A", "AAAA"}:
        try:
            address = ipaddress.ip_address(content)
        except ValueError:
            address = None
        if address is None or address.version != (4 if kind == "A" else 6):
            raise InvalidError(
                f"Content for {kind} record must be a valid IPv{4 if kind == 'A' else 6} address."
            )
        return str(address)
    return hostname("content", content) if kind == "CNAME" else content
