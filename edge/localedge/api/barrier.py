"""Calls that wait for one another, so that a race between clients can be had at will."""

from __future__ import annotations

import asyncio
import contextlib

from localedge.clock import Clock


class Barrier:
    """Holds calls until so many wait, then lets them all go; the next ones make the next group."""

    def __init__(self, size: int, timeout_s: float) -> None:
        self._size = size
        self._timeout_s = timeout_s
        self._waiting = 0
        self._gate = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many calls wait now."""
        return self._waiting

    async def wait(self, clock: Clock) -> bool:
        """Wait for the group; False if it did not come together within the real seconds allowed."""
        gate = self._gate
        self._waiting += 1
        if self._waiting >= self._size:
            self.open()
            return True
        arrived = asyncio.create_task(gate.wait())
        late = asyncio.create_task(clock.sleep_real(self._timeout_s))
        try:
            await asyncio.wait((arrived, late), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (arrived, late):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            if not gate.is_set():
                self._waiting -= 1
        return gate.is_set()

    def open(self) -> None:
        """Let all go that wait."""
        gate, self._gate, self._waiting = self._gate, asyncio.Event(), 0
        gate.set()
