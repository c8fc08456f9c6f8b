"""Waiting between attempts as cloudflared does (its `retry/backoffhandler.go`)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable


class Backoff:
    """Random waits below a bound that doubles with each attempt, up to `retries` doublings."""

    def __init__(
        self,
        retries: int,
        base_s: float,
        *,
        chance: random.Random,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max = retries
        self._base_s = base_s
        self._chance = chance
        self._now = now
        self._reset_at: float | None = None
        self.attempts = 0
        """Doublings since the last success."""

    def next_wait(self) -> float:
        """Tell how many seconds to wait before the next attempt."""
        if self._reset_at is not None and self._now() > self._reset_at:
            self.reset()
        self.attempts = min(self.attempts + 1, self._max)
        return self._chance.random() * self._base_s * (1 << self.attempts)

    def reset(self) -> None:
        """Begin anew after a success."""
        self.attempts = 0
        self._reset_at = None

    def reset_later(self) -> None:
        """Begin anew if all stays well for a while."""
        bound = self._base_s * (1 << self.attempts + 2)
        self._reset_at = self._now() + self._chance.random() * bound
