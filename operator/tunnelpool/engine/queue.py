"""A level-triggered work queue, after client-go's: a key never runs twice at once, nor waits twice.

The model is two sets: `dirty` (shall run) and `processing` (runs now). A key that is added while it
runs becomes dirty and is handed out again once it is done.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Hashable
from enum import IntEnum
from typing import Generic, TypeVar

from tunnelpool.engine.ports import Clock

K = TypeVar("K", bound=Hashable)


class Lane(IntEnum):
    """Who goes first: what keeps traffic flowing, what a user did, what a sweep found."""

    TRAFFIC = 0
    USER = 1
    SWEEP = 2


class WorkQueue(Generic[K]):
    """Keys to reconcile, by lane and by age; `add_after` delays, the earliest time wins."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._dirty: dict[K, tuple[Lane, int]] = {}
        self._processing: set[K] = set()
        self._heap: list[tuple[Lane, int, K]] = []
        self._delayed: dict[K, float] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._order = itertools.count()
        self._wakeup = asyncio.Condition()
        self._closed = False
        self._background: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Count the keys that wait to run now."""
        return len(self._dirty)

    @property
    def busy(self) -> int:
        """Count the keys that run now."""
        return len(self._processing)

    @property
    def delayed(self) -> int:
        """Count the keys that wait for their time."""
        return len(self._delayed)

    def add(self, key: K, lane: Lane = Lane.USER) -> None:
        """Let a key run soon; a waiting key keeps its place or moves to the better lane."""
        waiting = self._dirty.get(key)
        if waiting is not None and waiting[0] <= lane:
            return
        place = (lane, next(self._order))
        self._dirty[key] = place
        if key not in self._processing:
            heapq.heappush(self._heap, (*place, key))
            self._notify()

    def add_after(self, key: K, seconds: float, lane: Lane = Lane.SWEEP) -> None:
        """Let a key run in `seconds`, unless it is due earlier already."""
        if seconds <= 0:
            self.add(key, lane)
            return
        due = self._clock.monotonic() + seconds
        if key in self._delayed and self._delayed[key] <= due:
            return
        if key in self._timers:
            self._timers[key].cancel()
        self._delayed[key] = due
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self._due, key, lane)

    def forget_delay(self, key: K) -> None:
        """Drop the delayed run of a key: it has just run for another reason."""
        if key in self._timers:
            self._timers.pop(key).cancel()
            del self._delayed[key]

    async def get(self) -> K | None:
        """Wait for the next key; None once the queue is closed."""
        async with self._wakeup:
            while True:
                if self._closed:
                    return None
                while self._heap:
                    lane, order, key = heapq.heappop(self._heap)
                    if self._dirty.get(key) == (lane, order) and key not in self._processing:
                        del self._dirty[key]
                        self._processing.add(key)
                        return key
                await self._wakeup.wait()

    def done(self, key: K) -> None:
        """Tell that a key has run; if it was added meanwhile it runs again."""
        self._processing.discard(key)
        place = self._dirty.get(key)
        if place is not None:
            heapq.heappush(self._heap, (*place, key))
        self._notify()

    def close(self) -> None:
        """End all waiting; what runs is left to finish."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._delayed.clear()
        self._notify()

    async def wait_idle(self) -> None:
        """Wait until nothing waits and nothing runs; delayed keys do not count."""
        async with self._wakeup:
            await self._wakeup.wait_for(lambda: not self._dirty and not self._processing)

    def _due(self, key: K, lane: Lane) -> None:
        self._timers.pop(key, None)
        self._delayed.pop(key, None)
        self.add(key, lane)

    def _notify(self) -> None:
        task = asyncio.get_running_loop().create_task(self._notify_all())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _notify_all(self) -> None:
        async with self._wakeup:
            self._wakeup.notify_all()
