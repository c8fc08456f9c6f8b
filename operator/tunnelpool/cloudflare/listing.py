"""One listing that is kept: read once for all who ask, written through, told apart from its successor."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from tunnelpool.engine.ports import Clock


class Identified(Protocol):
    """Whatever has an id at Cloudflare."""

    @property
    def id(self) -> str:
        """Its id."""


T = TypeVar("T", bound=Identified)
Load: TypeAlias = Callable[[], Awaitable[Sequence[T]]]
OnRead: TypeAlias = Callable[[float, Sequence[T]], None]


def _ignore(begun_at: float, items: Sequence[Identified]) -> None:
    del begun_at, items


@dataclass(frozen=True, slots=True)
class _OwnWrite(Generic[T]):
    at: float
    item: T | None
    """None: it was deleted."""
    created_at: float | None


class Listing(Generic[T]):
    """The objects of one kind in one account or zone, as far as they are known.

    Own writes are put in at once. A reading that was begun before one of them does not undo it, and one
    begun less than `settle_s` after an own creation or deletion is not believed about whether the object
    is there (Cloudflare may show it a little late).
    """

    def __init__(
        self, clock: Clock, *, max_age_s: float, settle_s: float, on_read: OnRead[T] = _ignore
    ) -> None:
        self._clock = clock
        self._max_age_s = max_age_s
        self._settle_s = settle_s
        self._on_read = on_read
        self._items: dict[str, T] = {}
        self._told: tuple[T, ...] | None = ()
        """The items as they are told: the same tuple until one changes, so that readers can keep an index."""
        self._known = False
        self._valid = False
        self._due_at = clock.monotonic()
        self._flight: asyncio.Task[None] | None = None
        self._flights = 0
        self._begun_at = -math.inf
        """When the latest reading was begun."""
        self._outdated = 0
        """Number of the last reading that was begun before doubt was cast on it."""
        self._own_writes: dict[str, _OwnWrite[T]] = {}
        self._different: dict[str, list[T]] = {}

    @property
    def items(self) -> tuple[T, ...]:
        """What is known, without asking."""
        if self._told is None:
            self._told = tuple(self._items.values())
        return self._told

    @property
    def is_valid(self) -> bool:
        """Whether it has been read and nothing has cast doubt on it since."""
        return self._valid

    @property
    def is_due(self) -> bool:
        """Whether it has been read before and has reached its age."""
        return self._known and self._clock.monotonic() >= self._due_at

    async def read(self, load: Load[T], *, fresh: bool = False, within_s: float = 0) -> tuple[T, ...]:
        """Answer with the listing; ask Cloudflare if it is not known, or if `fresh`.

        Readers share one request. A fresh answer was begun after the call, or no more than `within_s` before.

        Raises:
            ApiError: the reading failed. Everyone who waits for it hears of that.

        """
        if self._valid and not fresh:
            return self.items
        young = within_s > 0 and self._clock.monotonic() - self._begun_at <= within_s
        if self._valid and young and self._flight is not None and self._flight.done():
            return self.items
        seen = self._flights if fresh and not young else max(self._flights - 1, self._outdated)
        flight = self._flight
        while flight is not None and not flight.done() and self._flights <= seen:
            await asyncio.wait([flight])
            flight = self._flight
        if flight is None or flight.done():
            self._flights += 1
            self._begun_at = self._clock.monotonic()
            flight = self._flight = asyncio.create_task(self._fly(load, self._flights))
            flight.add_done_callback(_retrieve)
        # Shielded: a reader that gives up must not take the answer from the others.
        await asyncio.shield(flight)
        return self.items

    def write(self, item: T, *, created: bool = False) -> None:
        """Put in the answer to an own write."""
        self._items[item.id] = item
        self._told = None
        now = self._clock.monotonic()
        before = self._own_writes.get(item.id)
        created_at = now if created else before.created_at if before is not None else None
        self._own_writes[item.id] = _OwnWrite(now, item, created_at)
        self._different.pop(item.id, None)

    def remove(self, id_: str) -> None:
        """Take out an object that an own deletion has removed."""
        self._items.pop(id_, None)
        self._told = None
        self._own_writes[id_] = _OwnWrite(self._clock.monotonic(), None, None)
        self._different.pop(id_, None)

    def invalidate(self) -> None:
        """Have the next reader ask Cloudflare: an answer has shown that the listing is out of date."""
        self._valid = False
        self._outdated = self._flights

    def postpone(self, seconds: float) -> None:
        """Do not call it due for a while: reading it has just failed."""
        self._due_at = max(self._due_at, self._clock.monotonic() + seconds)

    def take_different(self) -> tuple[T, ...]:
        """Hand out, once, the objects that readings have shown to be different: old and new versions."""
        different = tuple(item for versions in self._different.values() for item in versions)
        self._different.clear()
        return different

    def close(self) -> None:
        """Give up a reading that is under way."""
        if self._flight is not None:
            self._flight.cancel()

    async def _fly(self, load: Load[T], number: int) -> None:
        begun_at = self._clock.monotonic()
        items = await load()
        found = self._with_own_writes({item.id: item for item in items}, begun_at)
        if self._known:
            self._note_differences(found)
        self._items = found
        self._told = None
        self._known = True
        self._valid = number > self._outdated
        age = self._max_age_s * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, guards nothing
        self._due_at = self._clock.monotonic() + age
        self._on_read(begun_at, items)

    def _with_own_writes(self, found: Mapping[str, T], begun_at: float) -> dict[str, T]:
        merged = dict(found)
        for id_, own in list(self._own_writes.items()):
            if begun_at - own.at >= self._settle_s:
                del self._own_writes[id_]
            elif own.item is None:
                merged.pop(id_, None)
            elif own.at >= begun_at or (self._is_new(own, begun_at) and id_ not in merged):
                merged[id_] = own.item
        return merged

    def _is_new(self, own: _OwnWrite[T], begun_at: float) -> bool:
        return own.created_at is not None and begun_at - own.created_at < self._settle_s

    def _note_differences(self, found: Mapping[str, T]) -> None:
        for id_ in self._items.keys() | found.keys():
            old, new = self._items.get(id_), found.get(id_)
            if old != new:
                versions = self._different.setdefault(id_, [])
                versions.extend(item for item in (old, new) if item is not None and item not in versions)


def _retrieve(flight: asyncio.Task[None]) -> None:
    """Look at the result, so that a failure nobody waits for any more is not reported as forgotten."""
    if not flight.cancelled():
        flight.exception()
