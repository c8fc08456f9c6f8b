"""The edge's end of all tunnels: accepts connectors and sends requests to them."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable, Sequence

from localedge.tunnel.edge_connection import EdgeConnection, EdgeContext
from localedge.tunnel.http2_endpoint import Http2Endpoint, Http2Tuning
from localedge.tunnel.http2_stream import StreamBrokenError
from localedge.tunnel.interface import (
    ConnectionInfo,
    TunnelConfiguration,
    TunnelDirectory,
    TunnelRequest,
    TunnelResponse,
)
from localedge.tunnel.roster import Roster

_log = logging.getLogger(__name__)

_TLS_HANDSHAKE_TIMEOUT_S = 15.0
_TLS_SHUTDOWN_TIMEOUT_S = 2.0


class TunnelTerminator:
    """Implements `localedge.tunnel.interface.Tunnels` over real connections of cloudflared (http2 only)."""

    def __init__(
        self,
        directory: TunnelDirectory,
        *,
        colo: str = "LHR",
        tuning: Http2Tuning | None = None,
        now: Callable[[], float] = time.time,
        chance: random.Random | None = None,
    ) -> None:
        self._roster: Roster[EdgeConnection] = Roster(chance or random.Random())  # noqa: S311 - which connection
        self._context = EdgeContext(directory=directory, roster=self._roster, colo=colo, now=now)
        self._tuning = tuning or Http2Tuning()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int, ssl_context: ssl.SSLContext) -> int:
        """Listen for connectors; answers the port (another than asked for if that was 0)."""
        self._server = await asyncio.get_running_loop().create_server(
            self._accept,
            host,
            port,
            ssl=ssl_context,
            ssl_handshake_timeout=_TLS_HANDSHAKE_TIMEOUT_S,
            ssl_shutdown_timeout=_TLS_SHUTDOWN_TIMEOUT_S,
        )
        chosen: int = self._server.sockets[0].getsockname()[1]
        return chosen

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*(connection.close() for connection in self._context.connections))
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def request(
        self, tunnel_id: str, request: TunnelRequest, *, timeout_s: float | None = None
    ) -> TunnelResponse:
        """Send a request over one live connection of the tunnel.

        The caller reads `body` to its end or calls `aclose()` on it. A WebSocket that the origin has accepted
        comes back with status 101 and the fields of the upgrade; then `body` and the request's body carry raw
        bytes.

        Raises:
            NoConnectionError: no registered connection that still takes requests.
            StreamFailedError: the connection broke before the header fields came.
            TimeoutError: nothing came within `timeout_s`.

        """
        async with asyncio.timeout(timeout_s):
            while True:
                connection = self._roster.choose(tunnel_id)
                try:
                    exchange = await connection.send(request)
                except StreamBrokenError:
                    continue  # nothing was sent, and that connection is no candidate any more
                return await exchange.response()

    def connections(self, tunnel_id: str) -> Sequence[ConnectionInfo]:
        """List the registered connections, those that have unregistered left out."""
        return [member.info for member in self._roster.of(tunnel_id)]

    async def push(self, tunnel_id: str, configuration: TunnelConfiguration) -> None:
        """Push a configuration to each connector of the tunnel; waits for their answers.

        A connector that cannot be reached on any connection gets it when it registers the next.
        """
        clients = self._roster.by_client(tunnel_id).values()
        await asyncio.gather(*(self._push_to_client(members, configuration) for members in clients))

    def applied_version(self, client_id: str) -> int | None:
        """Tell the configuration version that a connector has acknowledged."""
        return self._roster.applied(client_id)

    async def disconnect(self, tunnel_id: str, client_id: str | None = None) -> None:
        """Close the TCP connections of a tunnel, or of one of its connectors."""
        members = self._roster.of(tunnel_id)
        await asyncio.gather(
            *(member.close() for member in members if client_id in (None, member.info.client_id))
        )

    @staticmethod
    async def _push_to_client(members: Sequence[EdgeConnection], configuration: TunnelConfiguration) -> None:
        for member in members:
            try:
                await member.push(configuration)
            except (StreamBrokenError, TimeoutError) as error:
                _log.info("push to connector %s: %s", member.info.client_id, str(error) or "no answer")
            else:
                return

    def _accept(self) -> Http2Endpoint:
        return Http2Endpoint(EdgeConnection(self._context), client_side=True, tuning=self._tuning)
