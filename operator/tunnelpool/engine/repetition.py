"""A bound for what one key may write: the same step again and again shows nowhere, and ends nowhere.

Each step shows in the next snapshot, so a plan comes to rest. Where one does not (a mistake of ours, or a
server that answers with what it does not keep), two keys may wake each other for ever, each after a few
writes; the budget of the token would go there, and nobody would see why.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from tunnelpool.domain.errors import RestlessError
from tunnelpool.domain.keys import Key
from tunnelpool.engine.ports import Clock
from tunnelpool.plan.render import describe
from tunnelpool.plan.steps import CloseConnections, Step

AT_MOST: Final = 8
"""So often a key may take the same step within the window; setting the same drift right again is one."""
WINDOW_S: Final = 60.0

_Taken = tuple[Key, int]
"""A key and the hash of a step: a manifest is too large to be kept for each write."""


class Repetition:
    """How often each key has taken each step lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: deque[tuple[float, _Taken]] = deque()
        self._counts: Counter[_Taken] = Counter()

    def check(self, key: Key, step: Step) -> None:
        """See to it that a step may be taken once more.

        Raises:
            RestlessError: it was taken too often; it may be again when the window has passed.

        """
        self._forget()
        if self._counts[key, hash(step)] >= AT_MOST:
            raise RestlessError(
                f"'{describe(step)}' was done {AT_MOST} times within {WINDOW_S:.0f} s without effect: "
                "the operator waits before it goes on; please report this as a bug"
            )

    def note(self, key: Key, step: Step) -> None:
        """Count a step that was carried out."""
        if isinstance(step, CloseConnections):
            return  # said again for as long as a connector has not let go
        taken = (key, hash(step))
        self._times.append((self._clock.monotonic(), taken))
        self._counts[taken] += 1

    def _forget(self) -> None:
        horizon = self._clock.monotonic() - WINDOW_S
        while self._times and self._times[0][0] <= horizon:
            _, taken = self._times.popleft()
            self._counts[taken] -= 1
            if not self._counts[taken]:
                del self._counts[taken]
