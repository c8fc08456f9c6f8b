"""DNS records: `/zones/{zone}/dns_records`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from localedge.api.account import Account
from localedge.api.call import Call, Crud, Query, Reply, paged
from localedge.api.problem import ProblemError
from localedge.api.stored import create, delete, reading, replace
from localedge.documents.dns_records import READ_ONLY, clash, read_dns_record
from localedge.documents.fields import merge
from localedge.state.records import Document

_PERMISSION: Final = "DNS"
_BASE: Final = "/zones/{zone_id}/dns_records"
_ONE: Final = _BASE + "/{dns_record_id}"

_Matcher = Callable[[Document], bool]


def shown(record: Document) -> dict[str, Any]:
    """Render a record."""
    return {name: value for name, value in record.items() if name != "zone_id"}


def create_dns_record(account: Account, zone: Document, body: Any) -> Document:
    """Create a record.

    Raises:
        ProblemError: invalid, or one that cannot stand beside another.

    """
    return create(account, "dns_records", _read(account, zone, body, None))


def change_dns_record(account: Account, zone: Document, before: Document, body: Any) -> Document:
    """Replace a record by what a whole body says.

    Raises:
        ProblemError: as for a creation.

    """
    return replace(account, "dns_records", before, _read(account, zone, body, before))


def _read(account: Account, zone: Document, body: Any, before: Document | None) -> dict[str, Any]:
    fields = reading(lambda: read_dns_record(body, zone["name"]), _refused)
    others = [
        record
        for record in account.store.state.dns_records.values()
        if record["zone_id"] == zone["id"] and (before is None or record["id"] != before["id"])
    ]
    if (clashing := clash(fields, others)) is not None:
        raise ProblemError(400, *clashing)
    return {**fields, "zone_id": zone["id"]}


def _refused(detail: str) -> ProblemError:
    return ProblemError(400, 1004, "DNS Validation Error", chain=((9005, detail),))


def _found(call: Call) -> Document:
    record = call.account.store.state.dns_records.get(call.path["dns_record_id"])
    if record is None or record["zone_id"] != call.zone["id"]:
        raise ProblemError(404, 81044, "Record does not exist.")
    return record


def _matchers(query: Query) -> Iterator[_Matcher]:
    for field in ("name", "content", "comment"):
        exact = query.take(field) or query.take(f"{field}.exact")
        if exact is not None:
            yield _text_matcher(field, str.__eq__, exact)
        for operator, test in _OPERATORS.items():
            if (wanted := query.take(f"{field}.{operator}")) is not None:
                yield _text_matcher(field, test, wanted)
    if query.take("comment.present") is not None:
        yield lambda r: bool(r["comment"])
    if query.take("comment.absent") is not None:
        yield lambda r: not r["comment"]
    if (kind := query.take("type")) is not None:
        yield lambda r: r["type"] == kind
    if (proxied := query.flag("proxied")) is not None:
        yield lambda r: r["proxied"] is proxied


def _text_matcher(field: str, test: Callable[[str, str], bool], wanted: str) -> _Matcher:
    folded = wanted.lower()
    return lambda record: test((record[field] or "").lower(), folded)


_OPERATORS: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def _list(call: Call) -> Reply:
    matchers = list(_matchers(call.query))
    need = any if call.query.take("match") == "any" and matchers else all
    records = [
        record
        for record in call.account.store.state.dns_records.values()
        if record["zone_id"] == call.zone["id"] and need(matches(record) for matches in matchers)
    ]
    return paged(call, records, default=100, lowest=1, highest=5_000_000, render=shown)


def _create(call: Call) -> Reply:
    return Reply(shown(create_dns_record(call.account, call.zone, call.body)))


def _get(call: Call) -> Reply:
    return Reply(shown(_found(call)))


def _put(call: Call) -> Reply:
    return Reply(shown(change_dns_record(call.account, call.zone, _found(call), call.body)))


def _patch(call: Call) -> Reply:
    before = _found(call)
    body = merge({k: v for k, v in before.items() if k not in READ_ONLY}, call.body)
    return Reply(shown(change_dns_record(call.account, call.zone, before, body)))


def _delete(call: Call) -> Reply:
    return Reply(delete(call.account, "dns_records", _found(call)["id"]))


ROUTES: Final = Crud(_list, _create, _get, _put, _patch, _delete).routes(_BASE, _ONE, _PERMISSION)
