"""What the tunnel terminator and the rest of the edge ask of each other.

The terminator (`localedge.tunnel.terminator`) knows connections and streams and nothing of pools or
the REST API; the REST side knows tunnels, secrets and configurations and nothing of HTTP/2. They
meet in these types only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Headers = Sequence[tuple[str, str]]
"""Header fields in order, names in lower case, repeated fields repeated.

A character is an octet of the wire (latin-1), so that values which are no ASCII pass through unchanged.
"""


class NoConnectionError(Exception):
    """No connection of the tunnel can take a request: Cloudflare answers 530 with error 1033."""


class StreamFailedError(Exception):
    """The connection or the stream ended before the answer was complete."""


@dataclass(frozen=True)
class ConnectionInfo:
    """One registered connection of one connector, as `GET …/cfd_tunnel/{id}/connections` tells it."""

    id: str
    """UUID that the edge gave the connection."""
    tunnel_id: str
    client_id: str
    """UUID of the connector process."""
    index: int
    version: str
    arch: str
    features: tuple[str, ...]
    origin_ip: str
    colo: str
    opened_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class TunnelConfiguration:
    """A remotely managed configuration: pushed after registration and at each change."""

    version: int
    config: Mapping[str, Any]


class TunnelDirectory(Protocol):
    """What the terminator asks of the part that knows the tunnels."""

    def authenticate(self, account_tag: str, tunnel_id: str, secret: bytes) -> str | None:
        """Compare in constant time; None if the connector may register, else the cause.

        The cause for a wrong secret is `Unauthorized: Invalid tunnel secret`, for an unknown or
        deleted tunnel `Unauthorized: Tunnel not found`: cloudflared retries for ever on those.
        """

    def configuration(self, tunnel_id: str) -> TunnelConfiguration | None:
        """Tell what to push to a connector; None for a locally managed tunnel."""

    def connected(self, connection: ConnectionInfo) -> None:
        """Hear of a registered connection."""

    def disconnected(self, connection: ConnectionInfo, *, graceful: bool) -> None:
        """Hear of a connection that unregistered (graceful) or broke."""

    def local_configuration(self, tunnel_id: str, config: Mapping[str, Any]) -> None:
        """Hear of the configuration that a locally managed connector has uploaded."""


@dataclass(frozen=True)
class TunnelRequest:
    """A request on its way to a connector."""

    method: str
    authority: str
    """Host as the origin shall see it, in lower case."""
    path: str
    """Path with query."""
    headers: Headers
    body: AsyncIterator[bytes] | bytes = b""
    websocket: bool = False


@dataclass
class TunnelResponse:
    """An answer of a connector: the origin's own header fields, and who answered."""

    status: int
    headers: list[tuple[str, str]]
    source: str
    """`origin` or `cloudflared` (the origin was not reached), from cf-cloudflared-response-meta."""
    body: AsyncIterator[bytes]
    connection: ConnectionInfo
    trailers: list[tuple[str, str]] = field(default_factory=list)


class Tunnels(Protocol):
    """What the rest of the edge asks of the terminator."""

    async def request(
        self, tunnel_id: str, request: TunnelRequest, *, timeout_s: float | None = None
    ) -> TunnelResponse:
        """Send a request over one live connection of the tunnel.

        The caller must read `body` to its end or call `aclose()` on it.

        Raises:
            NoConnectionError: no registered connection that still takes requests.
            StreamFailedError: the connection broke before the header fields came.
            TimeoutError: nothing came within `timeout_s`.

        """

    def connections(self, tunnel_id: str) -> Sequence[ConnectionInfo]:
        """List the registered connections, those that have unregistered left out."""

    async def push(self, tunnel_id: str, configuration: TunnelConfiguration) -> None:
        """Push a configuration to each connector of the tunnel."""

    def applied_version(self, client_id: str) -> int | None:
        """Tell the configuration version that a connector has acknowledged."""

    async def disconnect(self, tunnel_id: str, client_id: str | None = None) -> None:
        """Close the TCP connections of a tunnel, or of one of its connectors."""
