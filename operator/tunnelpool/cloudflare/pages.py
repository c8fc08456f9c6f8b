"""Complete listings, however the API cuts them into pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tunnelpool.cloudflare.answers import Answer
from tunnelpool.cloudflare.routes import Target
from tunnelpool.cloudflare.transport import Session
from tunnelpool.domain.errors import UnavailableError

_READINGS: Final = 2
"""An object deleted while pages are read shifts another one out of sight: then all are read again."""


async def list_all(
    session: Session,
    target: Target,
    *,
    per_page: int = 0,
    query: Mapping[str, str | int] | None = None,
    reserve: float = 0,
) -> list[dict[str, Any]]:
    """Read every page; `per_page` 0 for routes that know no pages (their `result_info` is believed).

    Raises:
        UnavailableError: the listing could not be read completely. Half a listing is never answered:
            what it lacks would be created again.

    """
    for _ in range(_READINGS):
        found, complete = await _read(session, target, per_page, dict(query or {}), reserve)
        if complete:
            return list(found.values())
    raise UnavailableError(f"GET {target.route.template} changes while it is read")


async def _read(
    session: Session, target: Target, per_page: int, query: dict[str, str | int], reserve: float
) -> tuple[dict[str, dict[str, Any]], bool]:
    found: dict[str, dict[str, Any]] = {}
    if per_page:
        query["per_page"] = per_page
    page = 1
    while True:
        if per_page or page > 1:
            query["page"] = page
        answer = await session.call("GET", target, query=query, reserve=reserve)
        items = _items(answer, target)
        before = len(found)
        found.update((str(item["id"]), item) for item in items)
        total = _whole(answer, "total_count")
        if total is not None and len(found) >= total:
            return found, True
        if not items or len(found) == before:
            # Past the last page, or the same page over and over.
            return found, total is None
        size = _whole(answer, "per_page") or per_page
        more = _whole(answer, "total_pages")
        if total is None and (page >= more if more is not None else not size or len(items) < size):
            return found, True
        page += 1


def _items(answer: Answer, target: Target) -> list[dict[str, Any]]:
    # A list that holds nothing is null on some routes.
    items = [] if answer.result is None else answer.result
    if not isinstance(items, list) or not all(isinstance(item, dict) and "id" in item for item in items):
        raise UnavailableError(f"the answer to GET {target.route.template} is not a list of objects")
    return items


def _whole(answer: Answer, name: str) -> int | None:
    value = answer.info.get(name)
    return value if isinstance(value, int) else None
