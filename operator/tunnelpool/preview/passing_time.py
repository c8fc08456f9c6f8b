"""Time that passes only when the preview says so: a drain of minutes is looked past at once."""

from __future__ import annotations

import time


class PassingTime:
    """A clock (`engine.ports.Clock`) that starts now and stands still until it is moved."""

    def __init__(self, now: float | None = None) -> None:
        self._now = time.time() if now is None else now
        self._passed = 0.0

    def monotonic(self) -> float:
        """Tell the seconds that have passed."""
        return self._passed

    def now(self) -> float:
        """Tell the time of day, seconds since the epoch."""
        return self._now + self._passed

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds
