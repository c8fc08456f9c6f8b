"""Ids as people read them: an existing object by its name, one that is yet to be made as such."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final

from tunnelpool.domain.ownership import read_mark
from tunnelpool.domain.remote import TUNNEL_DOMAIN, Monitor, Observed, RemoteValue

AFTER_APPLY: Final = "(known after apply)"
_PREFIX: Final = "known-after-apply-"
_DOMAIN: Final = f".{TUNNEL_DOMAIN}"


class Names:
    """The names of the remote objects that a preview has met, by id."""

    def __init__(self) -> None:
        self._titles: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def learn(self, observed: Observed[Any]) -> None:
        """Note what an id stands for."""
        self._titles[observed.id] = title(observed.value)

    def invent(self) -> str:
        """Make a stand-in for an id that Cloudflare has not given yet."""
        return f"{_PREFIX}{next(self._numbers)}"

    def for_people(self, value: Any) -> Any:
        """Put names in the place of ids, wherever they stand in a JSON value."""
        return _each_text(value, self._named)

    def for_programs(self, value: Any) -> Any:
        """Leave ids as they are and say of those that do not exist yet when they will be known."""
        return _each_text(value, _known_after_apply)

    def _named(self, text: str) -> str:
        head = text.removesuffix(_DOMAIN)
        return self._titles.get(head, text)


def title(value: RemoteValue) -> str:
    """Name a remote object for people: a monitor has no name, so it is called by what it belongs to."""
    if isinstance(value, Monitor):
        mark = read_mark(value.description)
        return mark.of.removeprefix("monitor/") if mark and mark.of else value.description
    return value.name


def _known_after_apply(text: str) -> str:
    if not text.startswith(_PREFIX):
        return text
    return f"{AFTER_APPLY}{_DOMAIN}" if text.endswith(_DOMAIN) else AFTER_APPLY


def _each_text(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(name)): _each_text(one, change) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each_text(one, change) for one in value]
    return value
