"""How long to wait after a failure: doubled each time, with full jitter, per key."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from typing import Final

FIRST_S: Final = 1.0
LONGEST_S: Final = 300.0


class Backoff:
    """Failures in a row by key; the wait is drawn from [half, whole] of 1, 2, 4 … 300 seconds."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._failures: dict[Hashable, int] = {}

    def next(self, key: Hashable) -> float:
        """Count one more failure of the key; answer with the seconds to wait."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        longest: float = min(LONGEST_S, FIRST_S * 2.0 ** min(failures, 16))
        return longest * (0.5 + 0.5 * self._draw())

    def failures(self, key: Hashable) -> int:
        """Count the failures of a key since it last succeeded."""
        return self._failures.get(key, 0)

    def reset(self, key: Hashable) -> None:
        """Forget the failures of a key that has succeeded."""
        self._failures.pop(key, None)
