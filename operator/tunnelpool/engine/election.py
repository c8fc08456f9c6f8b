"""Which of several processes writes: the one that holds the Lease, for as long as it surely does (law 11).

Others' clocks are never trusted. A standby takes the lease when it has not changed for its whole duration
by the standby's own clock; the holder reckons from the moment *before* a renewal was sent that has
succeeded. So the holder always believes to hold it for less long than anybody else does.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from dataclasses import dataclass, replace
from typing import Final

from tunnelpool.domain.errors import (
    AlreadyExistsError,
    ApiError,
    NotFoundError,
    NotLeaderError,
    StaleError,
)
from tunnelpool.engine.ports import Clock, LeaseBook, LeaseRecord

_log: Final = logging.getLogger(__name__)
_JITTER: Final = 0.2
"""Part of a pause by which it is made longer at random, so that standbys do not knock together."""

_LATER_S: Final = 0.01
"""How long after a moment it is looked whether it has come: timers may be early by a hair."""


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """Times of the lease, in seconds. The defaults are those of the control plane's own components."""

    duration_s: int = 15
    """How long the lease stays its holder's without a renewal."""
    reserve_s: float = 5.0
    """What must be left of it for a write to begin: the longest time that a call to Cloudflare takes.
    With less than that left the lease counts as lost, which makes 10 s the deadline of renewals."""
    retry_s: float = 2.0
    """Pause between two renewals, or two looks of a standby."""


class Elector:
    """One candidate. It leads once: who has lost the lease ends, and starts anew as a standby."""

    def __init__(self, book: LeaseBook, clock: Clock, identity: str, terms: LeaseTerms | None = None) -> None:
        self._book = book
        self._clock = clock
        self._identity = identity
        self._terms = terms or LeaseTerms()
        self._seen: LeaseRecord | None = None
        self._life_seen: tuple[str, float, int] | None = None
        self._seen_at = -math.inf
        """When the last sign of life was seen, or that the Lease was gone."""
        self._is_current = False
        """Whether `_seen` is our own last write, so that it can be replaced without reading it first."""
        self._held_until = -math.inf
        self._has_asked = False
        self.elected = asyncio.Event()
        """Set once the lease is ours; it stays set when it is lost."""

    def left_s(self) -> float:
        """Tell for how long the lease is surely ours; 0 if it is not."""
        return max(0.0, self._held_until - self._clock.monotonic())

    def leads(self) -> bool:
        """Tell whether this process may write."""
        return self.left_s() > self._terms.reserve_s

    def limit(self, timeout_s: float) -> float:
        """Answer with the time that a write may take: `timeout_s`, or what is left of the lease.

        Raises:
            NotLeaderError: the lease is not ours, or not for long enough.

        """
        left_s = self.left_s()
        if left_s <= self._terms.reserve_s:
            raise NotLeaderError(f"nothing was sent: {left_s:.1f} s are left of the lease by which we write")
        return min(timeout_s, left_s)

    async def run(self) -> None:
        """Stand by until the lease is free, take it, renew it; return once it is lost."""
        while not await self._try():
            pause_s, free_in_s = self._pause_s(), self._free_in_s()
            await asyncio.sleep(min(pause_s, free_in_s + _LATER_S) if free_in_s > 0 else pause_s)
        _log.info("this process writes: it holds the lease as %s", self._identity)
        self.elected.set()
        while self.leads():
            await asyncio.sleep(min(self._pause_s(), self._until_deadline_s() + _LATER_S))
            if self.leads():
                await self._renew()
        _log.error("the lease is lost: nothing is written any more")

    async def release(self) -> None:
        """Give the lease back, so that a standby takes it at its next look.

        `run` and every write must have ended. Failing to is harmless: the lease runs out.
        """
        if not self._has_asked:
            return
        self._held_until = -math.inf  # first of all: from here on nothing is written
        try:
            record = await self._look()
            if record is None or record.holder != self._identity:
                return
            await self._book.write(replace(record, holder="", renewed_at=self._clock.now()))
            _log.info("the lease is given back")
        except ApiError as error:
            _log.warning("the lease could not be given back and will run out: %s", error.message)

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(self._until_deadline_s()):
                await self._try()
        except TimeoutError:
            _log.warning("the lease was not renewed in time")

    async def _try(self) -> bool:
        """Take or renew the lease if we may; a conflict has it read again and tried once more."""
        try:
            try:
                return await self._try_once()
            except (StaleError, NotFoundError, AlreadyExistsError):
                return await self._try_once()
        except ApiError as error:
            _log.warning("the lease cannot be held for now: %s", error.message)
            return False

    async def _try_once(self) -> bool:
        record = await self._look()
        if not self._is_free(record):
            self._held_until = -math.inf
            return False
        await self._write(record)
        return self.leads()

    async def _look(self) -> LeaseRecord | None:
        """Find the record as it stands, and note when it was first seen so."""
        if self._is_current:
            return self._seen
        found = await self._book.read()
        if self._life(found) != self._life_seen:
            self._life_seen = self._life(found)
            self._seen_at = self._clock.monotonic()
        if found is not None:
            if found.holder not in {"", self._identity, self._seen.holder if self._seen else ""}:
                _log.info("standing by: %s holds the lease", found.holder)
            self._seen = found
        return found

    def _is_free(self, record: LeaseRecord | None) -> bool:
        # A Lease that was deleted stays its last holder's for its duration: that one may not know yet.
        last = record or self._seen
        return last is None or last.holder in {"", self._identity} or self._free_in_s() <= 0

    def _free_in_s(self) -> float:
        """Tell when the lease will have run out, unless a sign of life comes."""
        duration_s = self._seen.duration_s if self._seen is not None else 0
        return self._seen_at + duration_s - self._clock.monotonic()

    async def _write(self, record: LeaseRecord | None) -> None:
        now = self._clock.now()
        ours = LeaseRecord(self._identity, self._terms.duration_s, now, now, 0)
        if record is not None and record.holder == self._identity:
            ours = replace(record, duration_s=self._terms.duration_s, renewed_at=now)
        elif record is not None:
            ours = replace(ours, transitions=record.transitions + 1, version=record.version)
        self._has_asked = True
        self._is_current = False  # as long as the answer is out, and if it is lost
        sent_at = self._clock.monotonic()
        self._seen = await self._book.write(ours)
        self._is_current = True
        self._held_until = sent_at + self._terms.duration_s

    @staticmethod
    def _life(record: LeaseRecord | None) -> tuple[str, float, int] | None:
        """Give what changes with a sign of life of the holder, whatever else is written to the object."""
        return None if record is None else (record.holder, record.renewed_at, record.transitions)

    def _until_deadline_s(self) -> float:
        return self.left_s() - self._terms.reserve_s

    def _pause_s(self) -> float:
        return self._terms.retry_s * random.uniform(1.0, 1.0 + _JITTER)  # noqa: S311 - spreads, guards nothing
