"""For tests: tunnels without connectors, and an edge of which they are part."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from localedge.clock import Clock
from localedge.edge import Edge, Ports, TlsContexts
from localedge.options import EdgeOptions
from localedge.tunnel.interface import (
    ConnectionInfo,
    NoConnectionError,
    StreamFailedError,
    TunnelConfiguration,
    TunnelDirectory,
    TunnelRequest,
    TunnelResponse,
)


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """What the application behind a fake connector answers; `breaks` ends the stream after the body."""

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b"ok"
    headers: tuple[tuple[str, str], ...] = ()
    source: str = "origin"
    breaks: bool = False


Application = Callable[[TunnelRequest], Awaitable[FakeAnswer]]


class FakeTunnels:
    """Implements `Tunnels` in memory: a connector is a function. Chooses connections in turn."""

    def __init__(self, directory: TunnelDirectory, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self._connections: dict[str, list[tuple[ConnectionInfo, Application]]] = {}
        self._applied: dict[str, int] = {}
        self.pushed: list[tuple[str, TunnelConfiguration]] = []
        self.requests: list[TunnelRequest] = []

    def connect(self, tunnel_id: str, application: Application, *, connections: int = 4) -> str:
        """Connect a connector; returns its id."""
        client = str(uuid4())
        for index in range(connections):
            info = ConnectionInfo(
                id=str(uuid4()),
                tunnel_id=tunnel_id,
                client_id=client,
                index=index,
                version="fake",
                arch="none",
                features=(),
                origin_ip="127.0.0.1",
                colo="LHR",
                opened_at=self._clock(),
            )
            self._connections.setdefault(tunnel_id, []).append((info, application))
            self._directory.connected(info)
        if (configuration := self._directory.configuration(tunnel_id)) is not None:
            self._applied[client] = configuration.version
        return client

    def leave(self, tunnel_id: str, client_id: str, *, graceful: bool) -> None:
        """Let a connector go: unregistered, or dead at once."""
        for info, _ in self._connections.get(tunnel_id, ()):
            if info.client_id == client_id:
                self._directory.disconnected(info, graceful=graceful)
        kept = [c for c in self._connections.get(tunnel_id, ()) if c[0].client_id != client_id]
        self._connections[tunnel_id] = kept

    async def start(self, host: str, port: int, ssl_context: ssl.SSLContext) -> int:
        """Listen nowhere."""
        del host, ssl_context
        return port

    async def close(self) -> None:
        """Have nothing to close."""

    async def request(
        self, tunnel_id: str, request: TunnelRequest, *, timeout_s: float | None = None
    ) -> TunnelResponse:
        """Let the next connection's application answer."""
        connections = self._connections.get(tunnel_id)
        if not connections:
            raise NoConnectionError
        info, application = connections.pop(0)
        connections.append((info, application))
        self.requests.append(request)
        async with asyncio.timeout(timeout_s):
            answer = await application(request)
        return TunnelResponse(answer.status, list(answer.headers), answer.source, _body(answer), info)

    def connections(self, tunnel_id: str) -> Sequence[ConnectionInfo]:
        """List the connections."""
        return [info for info, _ in self._connections.get(tunnel_id, ())]

    async def push(self, tunnel_id: str, configuration: TunnelConfiguration) -> None:
        """Note the push; every connector applies it."""
        self.pushed.append((tunnel_id, configuration))
        for info in self.connections(tunnel_id):
            self._applied[info.client_id] = configuration.version

    def applied_version(self, client_id: str) -> int | None:
        """Tell the version that a connector was sent last."""
        return self._applied.get(client_id)

    async def disconnect(self, tunnel_id: str, client_id: str | None = None) -> None:
        """Close connections; the edge knows of it at once."""
        for info in self.connections(tunnel_id):
            if client_id in {None, info.client_id}:
                self.leave(tunnel_id, info.client_id, graceful=True)


async def _body(answer: FakeAnswer) -> AsyncIterator[bytes]:
    if isinstance(answer.body, bytes):
        yield answer.body
    else:
        async for chunk in answer.body:
            yield chunk
    if answer.breaks:
        raise StreamFailedError("the application broke off")


@dataclass(frozen=True, slots=True)
class FakeEdge:
    """A listening edge with fake tunnels."""

    edge: Edge
    tunnels: FakeTunnels
    ports: Ports
    api: str
    """Base URL of the REST API."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The header of the full token."""
        return {"Authorization": f"Bearer {self.edge.full_token.value}"}

    @property
    def zone_id(self) -> str:
        """The first zone."""
        return next(iter(self.edge.store.state.zones))

    @property
    def account_path(self) -> str:
        """`/accounts/<id>`."""
        return f"/accounts/{self.edge.account.id}"

    @property
    def zone_path(self) -> str:
        """`/zones/<id>`."""
        return f"/zones/{self.zone_id}"


@asynccontextmanager
async def edge_with_fake_tunnels(
    options: EdgeOptions | None = None, *, clock: Clock | None = None, tls: TlsContexts | None = None
) -> AsyncIterator[FakeEdge]:
    """Run an edge on free loopback ports; without `tls` its HTTPS port refuses every handshake."""
    options = options or EdgeOptions(Path(), seed=1)
    clock = clock or Clock(speed=options.speed)
    made: list[FakeTunnels] = []

    def terminator(directory: TunnelDirectory) -> FakeTunnels:
        made.append(FakeTunnels(directory, clock.epoch))
        return made[0]

    edge = Edge(options, terminator, clock=clock)
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        ports = await edge.start(tls or TlsContexts(bare, bare))
        yield FakeEdge(edge, made[0], ports, f"http://127.0.0.1:{ports.api}/client/v4")
    finally:
        await edge.close()
