"""The one clock of the edge.

Two readings: `real()`, which the three lags use, and `now()`, which runs `speed` times as fast and which
probes use. A frozen clock moves by `step()` alone; tests use that.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Seconds since the edge started, real and sped up, and waiting by either."""

    def __init__(
        self, *, speed: float = 1.0, frozen: bool = False, source: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._frozen = frozen
        self._speed = _checked(speed)
        self._started = source()
        self._stepped = 0.0
        self._epoch = time.time()
        self._real_mark = 0.0
        self._now_mark = 0.0
        self._changed = asyncio.Event()

    @property
    def speed(self) -> float:
        """How many edge seconds go by in a real one."""
        return self._speed

    def real(self) -> float:
        """Seconds since the start, not sped up."""
        return self._stepped + (0.0 if self._frozen else self._source() - self._started)

    def now(self) -> float:
        """Edge seconds since the start: sped up."""
        return self._now_mark + (self.real() - self._real_mark) * self._speed

    def epoch(self) -> float:
        """Real seconds since 1970."""
        return self._epoch + self.real()

    def timestamp(self) -> str:
        """Real time as RFC 3339, the form of `created_on`."""
        return rfc3339(self.epoch())

    def set_speed(self, speed: float) -> None:
        """Change the factor; whoever sleeps wakes by the new one."""
        self._now_mark, self._real_mark = self.now(), self.real()
        self._speed = _checked(speed)
        self._wake()

    def step(self, seconds: float) -> None:
        """Let real seconds go by at once, times the speed in edge seconds."""
        if seconds < 0:
            raise ValueError(f"a clock cannot go back ({seconds} s)")
        self._stepped += seconds
        self._wake()

    async def sleep(self, seconds: float) -> None:
        """Wait edge seconds."""
        await self._until(self.now() + seconds, self.now, sped_up=True)

    async def sleep_real(self, seconds: float) -> None:
        """Wait real seconds."""
        await self._until(self.real() + seconds, self.real, sped_up=False)

    async def _until(self, deadline: float, reading: Callable[[], float], *, sped_up: bool) -> None:
        await asyncio.sleep(0)
        while (left := deadline - reading()) > 0:
            changed = self._changed
            seconds = None if self._frozen else left / (self._speed if sped_up else 1.0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await changed.wait()

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()


def rfc3339(epoch: float) -> str:
    """Write seconds since 1970 as the API writes times."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _checked(speed: float) -> float:
    if not 0 < speed <= 10_000:  # noqa: PLR2004 - the limit stands in its own message
        raise ValueError(f"speed must be above 0 and at most 10000, not {speed}")
    return speed
