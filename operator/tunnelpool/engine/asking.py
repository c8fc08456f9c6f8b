"""How often a listing is read again while something waits for what it will say.

At rest a listing is read once in its age. Who waits for a first verdict, or for a second witness, asks
again sooner: 1, 2, 5, 10, 20 and 40 seconds after it has begun to wait (law 7), and once more after 80, by
when even a probe each minute has been made; then it leaves it to the sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tunnelpool.domain.keys import Key
from tunnelpool.engine.ports import Clock

SCHEDULE_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0)


@dataclass(slots=True)
class _Waiting:
    begun: float
    asked: int
    due: float


class Asking:
    """Keeps for each waiting key when it may ask again. Only the pace depends on this memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[Key, _Waiting] = {}

    def is_due(self, key: Key) -> bool:
        """Tell whether a waiting key shall ask now; a key that has just begun to wait shall not."""
        waiting = self._waiting.get(key)
        now = self._clock.monotonic()
        if waiting is None:
            self._waiting[key] = _Waiting(now, 0, now + SCHEDULE_S[0])
            return False
        if now < waiting.due or waiting.asked == len(SCHEDULE_S):
            return False
        waiting.asked += 1
        if waiting.asked < len(SCHEDULE_S):
            waiting.due = waiting.begun + SCHEDULE_S[waiting.asked]
        return True

    def next_s(self, key: Key) -> float | None:
        """Tell in how many seconds the key may ask again; None if the sweep will have to do."""
        waiting = self._waiting.get(key)
        if waiting is None or waiting.asked == len(SCHEDULE_S):
            return None
        return max(waiting.due - self._clock.monotonic(), 0.05)

    def is_over(self, key: Key) -> None:
        """Forget a key that waits no more."""
        self._waiting.pop(key, None)
