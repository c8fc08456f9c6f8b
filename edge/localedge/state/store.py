"""The account's state, and what the data plane sees of it.

The API reads and writes the newest state. The data plane reads the one that was current `lags.config`
real seconds ago: Cloudflare's configuration needs a moment to reach its data centres.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from localedge.clock import Clock
from localedge.state.records import State


@dataclass(slots=True)
class Lags:
    """Real seconds that knowledge needs to travel; changeable at run time.

    `config` and `state` are guesses (Cloudflare publishes neither); `death` is the idle time-out of
    cloudflared's QUIC connections.
    """

    config: float = 3.0
    """From an accepted write to the data plane."""
    state: float = 15.0
    """From a tunnel connection that comes or goes to the API's answers."""
    death: float = 5.0
    """From the abrupt death of a connection to the data plane's notice."""


class Store:
    """Holds the newest state; every change is one call of `commit`."""

    def __init__(self, clock: Clock, initial: State | None = None) -> None:
        self._clock = clock
        self._state = initial if initial is not None else State()
        self._listeners: list[Callable[[float, State], None]] = []

    @property
    def state(self) -> State:
        """The newest state."""
        return self._state

    def commit(self, state: State) -> None:
        """Make a state the newest one. There is no await between read and commit in any handler."""
        if state.version == self._state.version:
            return
        self._state = state
        for listener in self._listeners:
            listener(self._clock.real(), state)

    def listen(self, listener: Callable[[float, State], None]) -> None:
        """Call with the real time and the new state at every commit."""
        self._listeners.append(listener)


class VisibleState:
    """The state as the data plane sees it: late by the configuration lag."""

    def __init__(self, store: Store, clock: Clock, lags: Lags) -> None:
        self._clock = clock
        self._lags = lags
        self._visible = store.state
        self._pending: deque[tuple[float, State]] = deque()
        self._committed = asyncio.Event()
        store.listen(self._hear)

    def current(self) -> State:
        """Return the newest state that is at least the lag old."""
        horizon = self._clock.real() - self._lags.config
        while self._pending and self._pending[0][0] <= horizon:
            self._visible = self._pending.popleft()[1]
        return self._visible

    async def beyond(self, version: int) -> State:
        """Wait until a version other than the given one is visible."""
        while (state := self.current()).version == version:
            if self._pending:
                age = self._clock.real() - self._pending[0][0]
                await self._clock.sleep_real(max(0.0, self._lags.config - age))
            else:
                self._committed.clear()
                await self._committed.wait()
        return state

    def _hear(self, at: float, state: State) -> None:
        self._pending.append((at, state))
        self._committed.set()
