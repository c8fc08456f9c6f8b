"""What the API's state was a while ago: for listings that are served stale."""

from __future__ import annotations

from collections import deque

from localedge.clock import Clock
from localedge.state.records import State
from localedge.state.store import Store

MOST = 512
"""States kept, the newest included. Older ones are dropped: states share what has not changed."""


class StateHistory:
    """The last `MOST` states with the real time from which each held."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._clock = clock
        self._states: deque[tuple[float, State]] = deque([(clock.real(), store.state)], maxlen=MOST)
        store.listen(lambda at, state: self._states.append((at, state)))

    def before(self, seconds: float) -> State:
        """Return the state that held so many real seconds ago, or the oldest that is kept."""
        horizon = self._clock.real() - seconds
        for at, state in reversed(self._states):
            if at <= horizon:
                return state
        return self._states[0][1]
