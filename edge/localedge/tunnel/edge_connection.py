"""One TCP connection that a connector has made: registration, configuration, requests, farewell."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from localedge.tunnel import headers
from localedge.tunnel.capnp import MalformedMessageError
from localedge.tunnel.exchange import Exchange, has_body, request_head
from localedge.tunnel.http2_endpoint import Http2Endpoint
from localedge.tunnel.http2_stream import Http2Stream, StreamBrokenError
from localedge.tunnel.interface import (
    ConnectionInfo,
    TunnelConfiguration,
    TunnelDirectory,
    TunnelRequest,
)
from localedge.tunnel.registration import (
    ConnectionDetails,
    ConnectionRefusal,
    Goodbye,
    LocalConfiguration,
    Register,
    RegistrationRequest,
    RegistrationServer,
    Unregister,
)
from localedge.tunnel.roster import Roster

_log = logging.getLogger(__name__)

_REGISTRATION_TIMEOUT_S = 15.0
_PUSH_TIMEOUT_S = 10.0
_PUSH_ANSWER_BYTES = 1 << 16
_CLOSE_TIMEOUT_S = 3.0
_FAREWELL_TIMEOUT_S = 5.0
_CONTROL_STREAM_HEAD = (
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "control.localedge"),
    (":path", "/"),
    (headers.UPGRADE, headers.CONTROL_STREAM),
)
_CONFIGURATION_HEAD = (
    (":method", "PUT"),
    (":scheme", "https"),
    (":authority", "control.localedge"),
    (":path", "/"),
    (headers.UPGRADE, headers.UPDATE_CONFIGURATION),
    ("content-type", "application/json"),
)


@dataclass(frozen=True)
class EdgeContext:
    """What all connections of one edge share."""

    directory: TunnelDirectory
    roster: Roster[EdgeConnection]
    colo: str
    now: Callable[[], float]
    """Seconds since the epoch."""
    connections: set[EdgeConnection] = field(default_factory=set)
    """Every open TCP connection, registered or not."""


class EdgeConnection:
    """The edge's side of one connection: the HTTP/2 client on a connection that it accepted."""

    def __init__(self, context: EdgeContext) -> None:
        self._context = context
        self._endpoint: Http2Endpoint | None = None
        self._info: ConnectionInfo | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._configured = False
        self._unregistered = False
        self._closed_here = False

    @property
    def info(self) -> ConnectionInfo:
        """Who has registered; only a registered connection is asked."""
        if self._info is None:
            raise RuntimeError("the connection has not registered")
        return self._info

    @property
    def load(self) -> int:
        """How many streams are open or wait to be opened."""
        return self._endpoint.load if self._endpoint else 0

    @property
    def takes_requests(self) -> bool:
        """Whether it is registered, whole, and its connector has been sent the configuration."""
        return (
            self._configured
            and not self._unregistered
            and self._endpoint is not None
            and self._endpoint.is_open
        )

    def opened(self, endpoint: Http2Endpoint) -> None:
        """Open the control stream as soon as TLS stands."""
        self._endpoint = endpoint
        self._context.connections.add(self)
        self._start(self._serve_control(endpoint))

    def stream_opened(self, stream: Http2Stream) -> None:
        """Refuse: only the edge opens streams, and h2 keeps a server from it."""
        raise RuntimeError(f"a connector has opened stream {stream.id}")

    def stream_closed(self, stream: Http2Stream) -> None:  # noqa: ARG002 - any stream may be the last
        """Close the connection of a connector that has said goodbye when its last request has ended."""
        if self._unregistered and self._endpoint is not None and self._endpoint.open_streams == 0:
            self._endpoint.close()

    def lost(self, reason: str) -> None:
        """Tell the directory, unless the connector has said goodbye before."""
        self._context.connections.discard(self)
        for task in self._tasks:
            task.cancel()
        if self._info is not None and not self._unregistered:
            _log.info("connection %s of tunnel %s is gone: %s", self._info.id, self._info.tunnel_id, reason)
            self._context.roster.remove(self)
            self._context.directory.disconnected(self._info, graceful=self._closed_here)

    async def close(self) -> None:
        """Close the TCP connection; what is in flight breaks."""
        self._closed_here = True
        if self._endpoint is None:
            return
        self._endpoint.close()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._endpoint.wait_lost()
        except TimeoutError:
            self._endpoint.abort("the peer did not let the connection be closed")

    async def send(self, request: TunnelRequest) -> Exchange:
        """Send a request.

        Raises:
            StreamBrokenError: the connection takes no streams any more; nothing was sent.

        """
        stream = await self._open_endpoint().open_stream(request_head(request), end=not has_body(request))
        return Exchange(stream, request, self.info)

    async def push(self, configuration: TunnelConfiguration) -> None:
        """Push a configuration and note what the connector says that it runs.

        Raises:
            StreamBrokenError: the connection ended first.
            TimeoutError: no answer came.

        """
        async with asyncio.timeout(_PUSH_TIMEOUT_S):
            stream = await self._send_configuration(configuration)
            await self._read_acknowledgement(stream, configuration.version)

    def _open_endpoint(self) -> Http2Endpoint:
        if self._endpoint is None or not self._endpoint.is_open:
            raise StreamBrokenError("the connection is closed")
        return self._endpoint

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_control(self, endpoint: Http2Endpoint) -> None:
        try:
            async with asyncio.timeout(_REGISTRATION_TIMEOUT_S) as patience:
                stream = await endpoint.open_stream(_CONTROL_STREAM_HEAD)
                await self._converse(stream, patience)
        except StreamBrokenError as error:
            # cloudflared's checks before it starts open TLS and close it, so that this alone is no news.
            _log.debug("control stream: %s", error)
        except TimeoutError:
            _log.info("%s did not register within %.0f s", endpoint.peer_ip, _REGISTRATION_TIMEOUT_S)
        except MalformedMessageError as error:
            _log.warning("%s does not speak the protocol of the control stream: %s", endpoint.peer_ip, error)
        except Exception:  # noqa: BLE001 - logged with its trace; the other connections live on
            _log.exception("a control stream has ended by a fault of the edge")
        if not self._unregistered:
            endpoint.close()

    async def _converse(self, stream: Http2Stream, patience: asyncio.Timeout) -> None:
        server = RegistrationServer()
        while data := await stream.read():
            for item in server.receive(data):
                match item:
                    case bytes():
                        await stream.send(item)
                    case Register():
                        if await self._register(stream, item):
                            patience.reschedule(None)
                        else:
                            await _until_end(stream)
                            return
                    case LocalConfiguration():
                        self._context.directory.local_configuration(self._registered().tunnel_id, item.config)
                        await stream.send(server.acknowledge(item))
                    case Unregister():
                        self._unregister()
                        await stream.send(server.acknowledge(item))
                    case Goodbye():
                        pass  # the end of the stream follows
        await stream.send(b"", end=True)

    async def _register(self, stream: Http2Stream, call: Register) -> bool:
        if self._info is not None:
            raise MalformedMessageError("a second registration on one control stream")
        context, request = self._context, call.request
        tunnel_id = str(uuid.UUID(bytes=request.tunnel_id))
        cause = context.directory.authenticate(request.account_tag, tunnel_id, request.tunnel_secret)
        if cause is not None:
            _log.info("registration for tunnel %s refused: %s", tunnel_id, cause)
            await stream.send(RegistrationServer.refuse(call, ConnectionRefusal(cause)))
            return False
        info = self._describe(request, tunnel_id)
        configuration = context.directory.configuration(tunnel_id)
        details = ConnectionDetails(uuid.UUID(info.id).bytes, info.colo, configuration is not None)
        await stream.send(RegistrationServer.accept(call, details))
        self._info = info
        context.roster.add(self)
        context.directory.connected(info)
        if configuration is None or context.roster.applied(info.client_id) == configuration.version:
            self._configured = True
        else:
            self._start(self._configure(configuration))
        return True

    def _describe(self, request: RegistrationRequest, tunnel_id: str) -> ConnectionInfo:
        return ConnectionInfo(
            id=str(uuid.uuid4()),
            tunnel_id=tunnel_id,
            client_id=str(uuid.UUID(bytes=request.client_id)),
            index=request.index,
            version=request.version,
            arch=request.arch,
            features=request.features,
            origin_ip=self._open_endpoint().peer_ip,
            colo=self._context.colo,
            opened_at=self._context.now(),
        )

    def _registered(self) -> ConnectionInfo:
        if self._info is None:
            raise MalformedMessageError("a call before the registration")
        return self._info

    def _unregister(self) -> None:
        info = self._registered()
        if not self._unregistered:
            self._unregistered = True
            self._context.roster.remove(self)
            self._context.directory.disconnected(info, graceful=True)

    async def _configure(self, configuration: TunnelConfiguration) -> None:
        """Push after registration: once the push is on its way, requests may follow it."""
        try:
            async with asyncio.timeout(_PUSH_TIMEOUT_S):
                stream = await self._send_configuration(configuration)
                self._configured = True
                await self._read_acknowledgement(stream, configuration.version)
        except (StreamBrokenError, TimeoutError) as error:
            _log.info("push to connector %s: %s", self.info.client_id, str(error) or "no answer")
        self._configured = True

    async def _send_configuration(self, configuration: TunnelConfiguration) -> Http2Stream:
        document = {"version": configuration.version, "config": configuration.config}
        body = json.dumps(document, separators=(",", ":")).encode()
        stream = await self._open_endpoint().open_stream(
            [*_CONFIGURATION_HEAD, ("content-length", str(len(body)))]
        )
        await stream.send(body, end=True)
        return stream

    async def _read_acknowledgement(self, stream: Http2Stream, version: int) -> None:
        try:
            status = dict(await stream.answer())[":status"]
            text = b""
            while (part := await stream.read()) and len(text) < _PUSH_ANSWER_BYTES:
                text += part
        finally:
            stream.reset()
        applied = _applied_version(text)
        if applied is not None:
            self._context.roster.acknowledge(self.info.client_id, applied)
        if applied is None or applied < version:
            # An invalid ingress is answered with 200 and an empty error: the version is all there is to see.
            _log.warning(
                "connector %s has not taken configuration %d: status %s, it runs %s",
                self.info.client_id,
                version,
                status,
                applied,
            )


async def _until_end(stream: Http2Stream) -> None:
    """Wait until the connector has taken a refusal in and ended its control stream.

    A connection that is closed before that reads to cloudflared like an edge that is gone: it may forget the
    cause, and a connector that starts ends instead of trying again. One that stays open holds it for ever.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FAREWELL_TIMEOUT_S):
            while await stream.read():
                pass


def _applied_version(text: bytes) -> int | None:
    try:
        version = json.loads(text)["lastAppliedVersion"]
    except (ValueError, KeyError, TypeError):
        return None
    return version if isinstance(version, int) else None
