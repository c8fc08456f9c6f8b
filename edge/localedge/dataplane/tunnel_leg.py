"""The way to an origin behind a tunnel, dead connections that nobody has noticed yet included."""

from __future__ import annotations

import random

from localedge.state.connections import ConnectionLedger
from localedge.tunnel.interface import StreamFailedError, TunnelRequest, TunnelResponse, Tunnels


class TunnelLeg:
    """Sends requests of visitors and of monitors over the connections of a tunnel."""

    def __init__(self, tunnels: Tunnels, ledger: ConnectionLedger, chance: random.Random) -> None:
        self._tunnels = tunnels
        self._ledger = ledger
        self._chance = chance

    async def request(
        self, tunnel_id: str, request: TunnelRequest, *, timeout_s: float | None = None
    ) -> TunnelResponse:
        """Send a request over one of the connections that the data plane believes in.

        Raises:
            NoConnectionError: there is none: Cloudflare's 530 with error 1033.
            StreamFailedError: the connection is dead, whether noticed on the way or already before.
            TimeoutError: no answer within `timeout_s`.

        """
        ghosts = self._ledger.ghosts(tunnel_id)
        if ghosts:
            believed = ghosts + self._ledger.live(tunnel_id)
            if self._chance.random() * believed < ghosts:
                raise StreamFailedError("the connection has died and the data plane does not know yet")
        return await self._tunnels.request(tunnel_id, request, timeout_s=timeout_s)
