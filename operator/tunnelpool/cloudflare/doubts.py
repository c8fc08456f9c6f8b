"""Creations whose answer was lost: nothing is created twice because an answer did not arrive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Hashable
from dataclasses import dataclass

from tunnelpool.domain.errors import AlreadyExistsError, OutcomeUnknownError
from tunnelpool.engine.ports import Clock


@dataclass(slots=True)
class _Doubt:
    since: float
    missed_at: float | None = None
    """When the first listing that lacks the object was begun."""


class Doubts:
    """The lost creations of one listing, by what tells the object apart (its name, its description).

    A doubt ends when a listing shows the object, or when two that were begun `interval_s` apart lack it:
    Cloudflare may show a new object a little late.
    """

    def __init__(self, clock: Clock, interval_s: float) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._open: dict[Hashable, _Doubt] = {}

    def open(self, identity: Hashable) -> None:
        """Note that a creation may have happened."""
        self._open[identity] = _Doubt(self._clock.monotonic())

    def observe(self, begun_at: float, present: Container[Hashable]) -> None:
        """Take note of a fresh listing, with the time at which it was begun and all that it shows."""
        for identity, doubt in list(self._open.items()):
            if begun_at < doubt.since:
                continue
            if identity in present:
                del self._open[identity]
            elif doubt.missed_at is None:
                doubt.missed_at = begun_at
            elif begun_at - doubt.missed_at >= self._interval_s:
                del self._open[identity]

    async def settle(
        self, identity: Hashable, look: Callable[[], Awaitable[Container[Hashable]]], *, what: str
    ) -> None:
        """Return if the object may be created; `look` reads a fresh listing, which gets to `observe`.

        `what` names the object in messages.

        Raises:
            OutcomeUnknownError: it is not certain yet; `retry_after_s` says when to come again.
            AlreadyExistsError: the lost creation did happen.

        """
        doubt = self._open.get(identity)
        if doubt is None:
            return
        if self._wait(doubt) <= 0 and identity in await look():
            raise AlreadyExistsError(f"{what} was created by a request whose answer was lost")
        doubt = self._open.get(identity)
        if doubt is not None:
            error = OutcomeUnknownError(
                f"the answer to the creation of {what} was lost: whether it happened is looked up"
            )
            error.retry_after_s = max(self._wait(doubt), 0.0)
            raise error

    def _wait(self, doubt: _Doubt) -> float:
        if doubt.missed_at is None:
            return 0.0
        return doubt.missed_at + self._interval_s - self._clock.monotonic()
