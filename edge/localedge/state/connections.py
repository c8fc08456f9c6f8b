"""Which connectors are connected, as the API tells it, and which dead ones still attract requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from localedge.clock import Clock
from localedge.state.store import Lags
from localedge.tunnel.interface import ConnectionInfo


@dataclass(frozen=True, slots=True)
class TunnelActivity:
    """What the API knows of one tunnel's connections."""

    connections: tuple[ConnectionInfo, ...] = ()
    since: float | None = None
    """Epoch seconds of the last change between connected and not; None if it never ran."""
    ran: bool = False


class ConnectionLedger:
    """Connections that come and go: at once for the data plane, after `lags.state` for the API."""

    def __init__(self, clock: Clock, lags: Lags) -> None:
        self._clock = clock
        self._lags = lags
        self._events: deque[tuple[float, float, ConnectionInfo, bool]] = deque()
        self._known: dict[str, TunnelActivity] = {}
        self._live: dict[str, dict[str, ConnectionInfo]] = {}
        self._ghosts: dict[str, dict[tuple[str, int], float]] = {}
        self._denied: Callable[[str], bool] | None = None
        self._denied_since = 0.0

    def connected(self, connection: ConnectionInfo) -> None:
        """Note a registered connection; it takes the place of its own ghost."""
        self._live.setdefault(connection.tunnel_id, {})[connection.id] = connection
        self._ghosts.get(connection.tunnel_id, {}).pop((connection.client_id, connection.index), None)
        self._events.append((self._clock.real(), self._clock.epoch(), connection, True))

    def disconnected(self, connection: ConnectionInfo, *, graceful: bool) -> None:
        """Note a connection that went; one that broke leaves a ghost."""
        if self._live.get(connection.tunnel_id, {}).pop(connection.id, None) is None:
            return
        if not graceful:
            ghosts = self._ghosts.setdefault(connection.tunnel_id, {})
            ghosts[connection.client_id, connection.index] = self._clock.real()
        self._events.append((self._clock.real(), self._clock.epoch(), connection, False))

    def live(self, tunnel_id: str) -> int:
        """How many connections there are right now."""
        return len(self._live.get(tunnel_id, ()))

    def ghosts(self, tunnel_id: str) -> int:
        """How many broken connections the data plane still takes for alive."""
        ghosts = self._ghosts.get(tunnel_id)
        if not ghosts:
            return 0
        horizon = self._clock.real() - self._lags.death
        for key in [key for key, died in ghosts.items() if died <= horizon]:
            del ghosts[key]
        return len(ghosts)

    def activity(self, tunnel_id: str) -> TunnelActivity:
        """Tell what the API knows of a tunnel: late by the state lag."""
        self._catch_up()
        known = self._known.get(tunnel_id, TunnelActivity())
        if known.ran and self._denied is not None and self._denied(tunnel_id):
            return TunnelActivity(since=self._denied_since, ran=True)
        return known

    def deny(self, tunnel_ids: frozenset[str] | None) -> None:
        """Let the API call connected tunnels `down`, all of them for None: it is sick, they are not."""
        self._denied = (lambda _: True) if tunnel_ids is None else tunnel_ids.__contains__
        self._denied_since = self._clock.epoch()

    def admit(self) -> None:
        """Let the API tell the truth again."""
        self._denied = None

    def forget(self, tunnel_id: str, client_id: str | None = None) -> None:
        """Drop connections from the API's view at once: `DELETE …/connections` does that."""
        self._catch_up()
        kept = []
        for event in self._events:
            connection = event[2]
            if connection.tunnel_id == tunnel_id and client_id in {None, connection.client_id}:
                continue
            kept.append(event)
        self._events = deque(kept)
        known = self._known.get(tunnel_id)
        if known is not None:
            left = tuple(c for c in known.connections if client_id not in {None, c.client_id})
            self._known[tunnel_id] = self._after(known, left, self._clock.epoch())

    def _catch_up(self) -> None:
        horizon = self._clock.real() - self._lags.state
        while self._events and self._events[0][0] <= horizon:
            _, epoch, connection, came = self._events.popleft()
            before = self._known.get(connection.tunnel_id, TunnelActivity())
            others = tuple(c for c in before.connections if c.id != connection.id)
            self._known[connection.tunnel_id] = self._after(
                before, (*others, connection) if came else others, epoch
            )

    @staticmethod
    def _after(
        before: TunnelActivity, connections: tuple[ConnectionInfo, ...], epoch: float
    ) -> TunnelActivity:
        turned = bool(before.connections) != bool(connections)
        return TunnelActivity(
            connections=connections,
            since=epoch if turned else before.since,
            ran=before.ran or bool(connections),
        )
