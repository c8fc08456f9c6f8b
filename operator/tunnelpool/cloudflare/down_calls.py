"""Which listings in a row have called a tunnel down: Cloudflare's word counts alone only when it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tunnelpool.domain.remote import CalledDown, ObservedTunnel, TunnelStatus
from tunnelpool.engine.ports import Clock


class DownCalls:
    """Remembers of each tunnel of an account since which listing every one has called it down.

    A restart forgets: it merely has to hear it twice again before anything is built on it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def asked_at(self) -> float:
        """Tell the time at which a listing is asked for, to be handed in with its answer."""
        return self._clock.now()

    def noted(self, asked_at: float, tunnels: Iterable[ObservedTunnel]) -> list[ObservedTunnel]:
        """Note what a listing says; answer with its tunnels, which now know since when they are called so."""
        found = list(tunnels)
        down = {one.id for one in found if one.status is TunnelStatus.DOWN}
        self._since = {id_: self._since.get(id_, asked_at) for id_ in down}
        return [
            replace(one, called_down=CalledDown(self._since[one.id], asked_at)) if one.id in down else one
            for one in found
        ]
