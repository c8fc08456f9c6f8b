"""One connection of a connector to the edge: dial, register, serve what the edge sends, say goodbye."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from localedge.connector.credentials import Credentials
from localedge.connector.orchestrator import Orchestrator
from localedge.connector.proxy import Proxy
from localedge.tunnel import headers
from localedge.tunnel.capnp import MalformedMessageError
from localedge.tunnel.http2_endpoint import Http2Endpoint, Http2Tuning
from localedge.tunnel.http2_stream import NO_ERROR, Http2Stream, StreamBrokenError
from localedge.tunnel.registration import (
    ConnectionDetails,
    ConnectionRefusal,
    RegistrationClient,
    RegistrationRequest,
    read_registration_answer,
)
from localedge.tunnel.rpc import Results

_log = logging.getLogger(__name__)

_DIAL_TIMEOUT_S = 15.0
_TLS_SHUTDOWN_TIMEOUT_S = 2.0
_RPC_TIMEOUT_S = 5.0
_SERVER_NAME = "h2.cftunnel.com"
_FEATURES = ("allow_remote_config", "serialized_headers")
_TUNING = Http2Tuning(
    stream_window=1 << 20, connection_window=1 << 20, max_frame=1 << 20, max_streams=250, ping_interval=None
)
"""As cloudflared has it: no PING, windows of 1 MiB."""


class LinkError(Exception):
    """The connection ended without a goodbye."""


class DialError(LinkError):
    """The edge could not be reached."""


class RefusedError(LinkError):
    """The edge did not accept the registration; the text is its cause."""


@dataclass(frozen=True)
class Identity:
    """Who the connector process is."""

    credentials: Credentials
    client_id: uuid.UUID
    version: str
    arch: str


@dataclass(frozen=True)
class LinkEvents:
    """What a connection tells its supervisor, by its index."""

    registered: Callable[[int, str], None]
    """Accepted, at a location."""
    refused: Callable[[int, str], None]
    unregistering: Callable[[int], None]


class EdgeLink:
    """The HTTP/2 server on one connection that the connector has dialled."""

    def __init__(
        self,
        index: int,
        identity: Identity,
        orchestrator: Orchestrator,
        proxy: Proxy,
        events: LinkEvents,
        *,
        grace_s: float,
        flags: dict[str, str],
    ) -> None:
        self._index = index
        self._identity = identity
        self._orchestrator = orchestrator
        self._proxy = proxy
        self._events = events
        self._grace_s = grace_s
        self._flags = flags
        self._endpoint: Http2Endpoint | None = None
        self._tasks: dict[Http2Stream, asyncio.Task[None]] = {}
        self._shutdown = asyncio.Event()
        self._refusal: str | None = None
        self._attempts = 0

    async def serve(self, host: str, port: int, context: ssl.SSLContext, *, attempts: int) -> None:
        """Dial and serve until the connection ends; returns if it ended after a goodbye.

        Raises:
            LinkError: it ended otherwise.

        """
        self._attempts = attempts
        try:
            async with asyncio.timeout(_DIAL_TIMEOUT_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: Http2Endpoint(self, client_side=False, tuning=_TUNING),
                    host,
                    port,
                    ssl=context,
                    server_hostname=_SERVER_NAME,
                    ssl_shutdown_timeout=_TLS_SHUTDOWN_TIMEOUT_S,
                )
        except OSError as error:
            raise DialError(f"DialContext error: {error}") from error
        endpoint = self._connected()
        try:
            await endpoint.wait_lost()
        finally:
            endpoint.abort("the connector ends")
            await self._end_tasks()
        if self._refusal is not None:
            raise RefusedError(self._refusal)
        if not self._shutdown.is_set():
            raise LinkError("Lost connection with the edge")

    def shut_down(self) -> None:
        """Say goodbye to the edge; it closes the connection when the last request has ended."""
        self._shutdown.set()

    def opened(self, endpoint: Http2Endpoint) -> None:
        """Hear that TLS stands."""
        self._endpoint = endpoint

    def stream_opened(self, stream: Http2Stream) -> None:
        """Serve what the edge has opened."""
        if dict(stream.fields).get(headers.UPGRADE) == headers.CONTROL_STREAM:
            work = self._serve_control(stream)
        else:
            work = self._proxy.serve(stream)
        task = asyncio.create_task(work)
        self._tasks[stream] = task
        task.add_done_callback(lambda _: self._tasks.pop(stream, None))

    def stream_closed(self, stream: Http2Stream) -> None:
        """Stop serving a stream that the edge has given up."""
        task = self._tasks.get(stream)
        if stream.broken and task is not None and task is not asyncio.current_task():
            task.cancel()

    def lost(self, reason: str) -> None:
        """Hear that the connection is gone; `serve` waits for that itself."""
        _log.debug("connection lost connIndex=%d reason=%r", self._index, reason)

    def _connected(self) -> Http2Endpoint:
        if self._endpoint is None:
            raise LinkError("the connection was lost at once")
        return self._endpoint

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve_control(self, stream: Http2Stream) -> None:
        client = RegistrationClient()
        try:
            stream.send_headers([(":status", "200"), ("content-type", "application/octet-stream")])
            async with asyncio.timeout(_RPC_TIMEOUT_S):
                await self._register(stream, client)
            await self._shutdown.wait()
            await self._unregister(stream, client)
        except RefusedError as error:
            # As cloudflared: only this stream ends, the edge has to close the connection.
            self._refusal = str(error)
            self._events.refused(self._index, self._refusal)
            stream.reset(NO_ERROR)
        except (StreamBrokenError, MalformedMessageError, TimeoutError) as error:
            _log.error("control stream failed connIndex=%d error=%r", self._index, str(error) or "time-out")
            stream.reset(NO_ERROR)

    async def _register(self, stream: Http2Stream, client: RegistrationClient) -> None:
        await stream.send(client.register(self._request()))
        results = await _next_results(stream, client)
        answer = read_registration_answer(results)
        if isinstance(answer, ConnectionRefusal):
            raise RefusedError(answer.cause)
        await stream.send(client.finish_bootstrap() + client.finish())
        self._announce(answer)
        if self._index == 0 and not answer.remotely_managed:
            config = self._orchestrator.local_document(self._flags)
            await stream.send(client.update_local_configuration(config))
            await _next_results(stream, client)
            await stream.send(client.finish())

    def _announce(self, details: ConnectionDetails) -> None:
        _log.info(
            "Registered tunnel connection connIndex=%d connection=%s location=%s protocol=http2",
            self._index,
            uuid.UUID(bytes=details.id),
            details.location,
        )
        self._events.registered(self._index, details.location)

    async def _unregister(self, stream: Http2Stream, client: RegistrationClient) -> None:
        self._events.unregistering(self._index)
        async with asyncio.timeout(self._grace_s or None):
            await stream.send(client.unregister())
            await _next_results(stream, client)
            await stream.send(client.finish(), end=True)
        _log.info("Unregistered tunnel connection connIndex=%d", self._index)

    def _request(self) -> RegistrationRequest:
        credentials = self._identity.credentials
        return RegistrationRequest(
            account_tag=credentials.account_tag,
            tunnel_secret=credentials.secret,
            tunnel_id=credentials.tunnel_id.bytes,
            index=self._index,
            client_id=self._identity.client_id.bytes,
            version=self._identity.version,
            arch=self._identity.arch,
            features=_FEATURES,
            origin_local_ip=_mapped(self._connected().local_ip),
            previous_attempts=min(self._attempts, 255),
        )


async def _next_results(stream: Http2Stream, client: RegistrationClient) -> Results:
    while data := await stream.read():
        for results in client.receive(data):
            return results
    raise StreamBrokenError("the edge has ended the control stream")


def _mapped(address: str) -> bytes:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.packed if ip.version == 6 else b"\0" * 10 + b"\xff\xff" + ip.packed  # noqa: PLR2004 - IPv6
