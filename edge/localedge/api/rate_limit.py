"""Cloudflare's own limit: 1200 calls in five minutes for each token, then 429 for the next five minutes."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from localedge.api.problem import ProblemError
from localedge.clock import Clock

CALLS = 1200
WINDOW_S = 300.0
RATE_LIMITED_CODE = 10013
"""A guess: the reference has no evidence of a code."""


@dataclass(slots=True)
class _Spent:
    """When a token called, oldest first, and until when it is shut out (real seconds)."""

    calls: deque[float] = field(default_factory=deque)
    shut_until: float = 0.0


class RateLimit:
    """Counts the calls of each token in real seconds. `calls` 0 is no limit."""

    def __init__(self, clock: Clock, calls: int = CALLS, window_s: float = WINDOW_S) -> None:
        self._clock = clock
        self._spent: dict[str, _Spent] = {}
        self.calls = calls
        self.window_s = window_s

    def change(self, calls: int, window_s: float) -> None:
        """Set another limit; what has been spent is forgotten."""
        self.calls, self.window_s = calls, window_s
        self._spent.clear()

    def spend(self, token_id: str) -> dict[str, str]:
        """Count a call; the header fields that tell the caller what is left.

        Raises:
            ProblemError: 429 with `retry-after` in seconds.

        """
        if not self.calls:
            return {}
        now = self._clock.real()
        spent = self._spent.setdefault(token_id, _Spent())
        while spent.calls and spent.calls[0] <= now - self.window_s:
            spent.calls.popleft()
        if now >= spent.shut_until and len(spent.calls) >= self.calls:
            spent.shut_until = now + self.window_s
            spent.calls.clear()
        if now < spent.shut_until:
            seconds = math.ceil(spent.shut_until - now)
            headers = {"retry-after": str(seconds), **self._fields(0, seconds)}
            raise ProblemError(429, RATE_LIMITED_CODE, "Rate limited", headers=headers)
        spent.calls.append(now)
        left = math.ceil(spent.calls[0] + self.window_s - now)
        return self._fields(self.calls - len(spent.calls), left)

    def _fields(self, remaining: int, seconds: int) -> dict[str, str]:
        return {
            "ratelimit": f'"default";r={remaining};t={seconds}',
            "ratelimit-policy": f'"default";q={self.calls};w={math.ceil(self.window_s)}',
        }
