"""The real clock; tests have one that they step."""

from __future__ import annotations

import time


class SystemClock:
    """Time of this machine."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        return time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()
