"""When a status is told: at once, unless it has nothing new to tell but that a newer spec has been seen.

Whoever changes a resource ten times in a second wants one status for it, not ten.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tunnelpool.engine.ports import Clock

SETTLED_S: Final = 1.0
"""So long a spec must have stayed the same, if its number is all that is new."""
LONGEST_S: Final = 5.0
"""And no longer is it put off, however often the spec changes."""

_LEAST_S: Final = 0.05
"""A shorter wait would be over before the clock has moved."""


@dataclass(slots=True)
class _PutOff:
    generation: object
    since: float
    until: float


class Telling:
    """Keeps which statuses wait. Only the pace depends on this memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[Hashable, _PutOff] = {}

    def wait_s(self, of: Hashable, told: Mapping[str, Any], status: Mapping[str, Any]) -> float | None:
        """Tell for how long a status is to wait; None if it is to be told now."""
        if not told or _without_generations(told) != _without_generations(status):
            self._waiting.pop(of, None)
            return None
        now = self._clock.monotonic()
        generation = status.get("observedGeneration")
        waiting = self._waiting.get(of)
        if waiting is None or waiting.generation != generation:
            since = now if waiting is None else waiting.since
            waiting = _PutOff(generation, since, min(now + SETTLED_S, since + LONGEST_S))
            self._waiting[of] = waiting
        if now >= waiting.until:
            del self._waiting[of]
            return None
        return max(waiting.until - now, _LEAST_S)


def _without_generations(status: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in status.items() if name != "observedGeneration"}
    found["conditions"] = [
        {name: value for name, value in one.items() if name != "observedGeneration"}
        for one in status.get("conditions") or ()
    ]
    return found
