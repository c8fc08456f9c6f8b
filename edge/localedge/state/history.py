"""What the API's state was a while ago: for listings that are served stale."""

from __future__ import annotations

from collections import deque

from localedge.clock import Clock
from localedge.state.records import State
from localedge.state.store import Store

MOST = 256
"""States kept, the newest included; older ones are dropped."""
GRAIN_S = 1.0
"""Of the states within this time only the first and the last are kept: a burst would fill the memory."""


class StateHistory:
    """States of the past with the real time from which each held."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._clock = clock
        self._states: deque[tuple[float, State]] = deque([(clock.real(), store.state)], maxlen=MOST)
        store.listen(self._hear)

    def before(self, seconds: float) -> State:
        """Return the state that held so many real seconds ago, or the oldest that is kept.

        In a burst of changes it may be one that held up to a second before.
        """
        horizon = self._clock.real() - seconds
        for at, state in reversed(self._states):
            if at <= horizon:
                return state
        return self._states[0][1]

    def _hear(self, at: float, state: State) -> None:
        if len(self._states) > 1 and at - self._states[-2][0] < GRAIN_S:
            self._states.pop()
        self._states.append((at, state))
