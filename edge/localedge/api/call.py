"""One call of the API as a handler sees it, and its reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localedge.api.account import Account
from localedge.api.problem import ProblemError, not_emulated
from localedge.state.records import Document
from localedge.state.tokens import Token


class Query:
    """The query of a call. What no handler has asked for is refused: it is not emulated."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._left = dict(values)

    def take(self, name: str) -> str | None:
        """Take a parameter out."""
        return self._left.pop(name, None)

    def flag(self, name: str) -> bool | None:
        """Take a boolean out."""
        value = self.take(name)
        if value is None:
            return None
        if value not in {"true", "false"}:
            raise ProblemError(400, 1004, f"{name} must be true or false")
        return value == "true"

    def number(self, name: str, default: int, lowest: int, highest: int) -> int:
        """Take an integer out, brought into its range as Cloudflare does."""
        value = self.take(name)
        if value is None:
            return default
        if not value.lstrip("-").isdigit():
            raise ProblemError(400, 1004, f"{name} must be an integer")
        return min(max(int(value), lowest), highest)

    def done(self) -> None:
        """Refuse what is left."""
        if self._left:
            raise not_emulated(f"query {', '.join(sorted(self._left))} is not emulated by the local edge")


@dataclass(frozen=True, slots=True)
class Call:
    """An authorised call."""

    account: Account
    """The account that the path is about."""
    accounts: tuple[Account, ...]
    """All accounts that the token opens."""
    token: Token
    path: Mapping[str, str]
    query: Query
    body: Any = None

    @property
    def zone(self) -> Document:
        """The zone in the path; that it exists has been checked."""
        return self.account.store.state.zones[self.path["zone_id"]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A success."""

    result: Any
    info: Mapping[str, int] | None = None
    messages: Sequence[Mapping[str, Any]] = field(default=())


Handler = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """A path template with its handler and the permission that it needs (None: any token)."""

    method: str
    template: str
    permission: str | None
    handler: Handler


@dataclass(frozen=True, slots=True)
class Crud:
    """The six calls that every stored object has."""

    list: Handler
    create: Handler
    get: Handler
    put: Handler
    patch: Handler
    delete: Handler

    def routes(self, collection: str, item: str, permission: str) -> tuple[Route, ...]:
        """Give them their paths; `permission` is the group, without Read or Write."""
        read, write = f"{permission} Read", f"{permission} Write"
        return (
            Route("GET", collection, read, self.list),
            Route("POST", collection, write, self.create),
            Route("GET", item, read, self.get),
            Route("PUT", item, write, self.put),
            Route("PATCH", item, write, self.patch),
            Route("DELETE", item, write, self.delete),
        )


def whole(call: Call, items: Sequence[Any]) -> Reply:
    """Answer a list that has no pages; Cloudflare ignores page parameters there."""
    call.query.take("page")
    call.query.take("per_page")
    call.query.done()
    return Reply(list(items))


def paged(
    call: Call,
    items: Sequence[Any],
    *,
    default: int,
    lowest: int,
    highest: int,
    render: Callable[[Any], Any] = lambda item: item,
) -> Reply:
    """Answer one page of a list; a page beyond the last is empty, which ends a client's loop."""
    page = call.query.number("page", 1, 1, 1_000_000_000)
    per_page = call.query.number("per_page", default, lowest, highest)
    call.query.done()
    chosen = [render(item) for item in items[(page - 1) * per_page : page * per_page]]
    total = len(items)
    info = {
        "page": page,
        "per_page": per_page,
        "count": len(chosen),
        "total_count": total,
        "total_pages": -(-total // per_page),
    }
    return Reply(chosen, info)
