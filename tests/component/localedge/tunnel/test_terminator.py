"""The terminator against connectors that behave in ways which cloudflared does not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from localedge.tunnel import edge_connection
from localedge.tunnel.ca import CertificateAuthority
from localedge.tunnel.http2_endpoint import Http2Endpoint, Http2Tuning
from localedge.tunnel.http2_stream import Http2Stream
from localedge.tunnel.interface import NoConnectionError, StreamFailedError, TunnelRequest
from localedge.tunnel.registration import (
    ConnectionDetails,
    ConnectionRefusal,
    RegistrationClient,
    RegistrationRequest,
    read_registration_answer,
)
from localedge.tunnel.testing import ACCOUNT, SECRET, TunnelEdge, tunnel_edge

PATIENCE_S = 10


@pytest.fixture(scope="session")
def authority() -> CertificateAuthority:
    return CertificateAuthority()


@pytest.fixture
async def edge(tmp_path: Path, authority: CertificateAuthority) -> AsyncIterator[TunnelEdge]:
    async with tunnel_edge(tmp_path, authority) as running:
        yield running


class Peer:
    """A connector of which a test says every step."""

    def __init__(self) -> None:
        self.streams: asyncio.Queue[Http2Stream] = asyncio.Queue()
        self.lost_because: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.client = RegistrationClient()

    def opened(self, endpoint: Http2Endpoint) -> None:
        """Keep the connection."""
        self.endpoint = endpoint

    def stream_opened(self, stream: Http2Stream) -> None:
        """Queue what the edge has opened."""
        self.streams.put_nowait(stream)

    def stream_closed(self, stream: Http2Stream) -> None:
        """Hear of an end; nobody asks."""

    def lost(self, reason: str) -> None:
        """Hear of the loss."""
        self.lost_because.set_result(reason)

    async def control(self) -> Http2Stream:
        """Take the control stream."""
        stream = await self.streams.get()
        stream.send_headers([(":status", "200")])
        return stream

    async def answer(self, stream: Http2Stream) -> ConnectionDetails | ConnectionRefusal:
        """Read the answer to a registration."""
        while data := await stream.read():
            for results in self.client.receive(data):
                return read_registration_answer(results)
        raise AssertionError("no answer")

    async def register(self, edge: TunnelEdge, secret: bytes = SECRET) -> Http2Stream:
        """Register in order."""
        stream = await self.control()
        await stream.send(self.client.register(registration(edge, secret)))
        return stream


def registration(edge: TunnelEdge, secret: bytes) -> RegistrationRequest:
    return RegistrationRequest(
        account_tag=ACCOUNT,
        tunnel_secret=secret,
        tunnel_id=uuid.UUID(edge.directory.tunnel_id).bytes,
        index=0,
        client_id=uuid.uuid4().bytes,
        version="peer",
        arch="none",
        features=(),
    )


def trust(edge: TunnelEdge) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=edge.folder / "ca.pem")


@asynccontextmanager
async def peer(edge: TunnelEdge) -> AsyncIterator[Peer]:
    connector = Peer()
    await asyncio.get_running_loop().create_connection(
        lambda: Http2Endpoint(connector, client_side=False, tuning=Http2Tuning(ping_interval=None)),
        "127.0.0.1",
        edge.port,
        ssl=trust(edge),
        server_hostname="h2.cftunnel.com",
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield connector
    finally:
        connector.endpoint.abort("the test ends")
        await connector.lost_because


def get(edge: TunnelEdge) -> asyncio.Task[object]:
    request = TunnelRequest("GET", "a", "/", [])
    return asyncio.create_task(edge.terminator.request(edge.directory.tunnel_id, request))


@pytest.mark.parametrize("name", ["h2.cftunnel.com", "probe.cftunnel.com", "quic.cftunnel.com"])
async def test_a_check_before_the_start_leaves_no_trace(
    edge: TunnelEdge, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", edge.port, ssl=trust(edge), server_hostname=name)
    writer.close()
    with contextlib.suppress(ssl.SSLError):  # the edge's first bytes come after the goodbye of TLS
        await writer.wait_closed()
    async with peer(edge) as connector:
        await connector.control()
    assert (edge.directory.attempts, caplog.messages) == (0, [])


async def test_a_refused_connection_is_closed_when_its_connector_has_ended_the_control_stream(
    edge: TunnelEdge,
) -> None:
    async with peer(edge) as connector:
        stream = await connector.register(edge, b"wrong")
        assert await connector.answer(stream) == ConnectionRefusal("Unauthorized: Invalid tunnel secret")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await asyncio.shield(connector.lost_because)
        stream.reset()
        assert await connector.lost_because


async def test_a_refused_connection_is_closed_in_the_end_in_any_case(
    edge: TunnelEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_connection, "_FAREWELL_TIMEOUT_S", 0.05)
    async with peer(edge) as connector:
        await connector.answer(await connector.register(edge, b"wrong"))
        assert await connector.lost_because


async def test_a_connection_that_does_not_register_is_closed(
    edge: TunnelEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_connection, "_REGISTRATION_TIMEOUT_S", 0.05)
    async with peer(edge) as connector:
        await connector.control()
        assert await connector.lost_because


@pytest.mark.parametrize(
    "junk",
    [b"\xff" * 16, bytes.fromhex("000000000100000000000000000000000"[:32]), RegistrationClient.unregister()],
    ids=["no frame", "no message", "a goodbye before the registration"],
)
async def test_a_control_stream_that_makes_no_sense_is_closed(edge: TunnelEdge, junk: bytes) -> None:
    async with peer(edge) as connector:
        stream = await connector.control()
        await stream.send(junk)
        assert await connector.lost_because
    assert edge.directory.live == []


async def test_a_second_registration_on_one_connection_is_closed(edge: TunnelEdge) -> None:
    async with peer(edge) as connector:
        stream = await connector.register(edge)
        await connector.answer(stream)
        await stream.send(connector.client.register(registration(edge, SECRET)))
        assert await connector.lost_because
    await edge.directory.until(lambda: edge.directory.gone)


async def test_a_fault_of_the_directory_closes_one_connection_and_is_logged(
    edge: TunnelEdge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(edge.directory, "authenticate", None)
    async with peer(edge) as connector:
        await connector.register(edge)
        assert await connector.lost_because
    assert "by a fault of the edge" in caplog.text


async def test_a_registered_connection_whose_control_stream_ends_is_gone_without_grace(
    edge: TunnelEdge,
) -> None:
    async with peer(edge) as connector:
        stream = await connector.register(edge)
        await connector.answer(stream)
        stream.reset()
        await edge.directory.until(lambda: edge.directory.gone)
    assert [graceful for _, graceful in edge.directory.gone] == [False]


async def test_after_a_goodbye_the_connection_is_closed_when_its_last_request_has_ended(
    edge: TunnelEdge,
) -> None:
    async with peer(edge) as connector:
        control = await connector.register(edge)
        await connector.answer(control)
        await edge.directory.until(lambda: edge.directory.live)
        waiting = get(edge)
        request = await connector.streams.get()
        await control.send(connector.client.unregister())
        await control.read()
        await control.send(b"", end=True)
        await edge.directory.until(lambda: edge.directory.gone)
        with pytest.raises(NoConnectionError):
            await get(edge)
        assert not connector.lost_because.done()
        request.send_headers(
            [(":status", "200"), ("cf-cloudflared-response-meta", '{"src":"origin"}')], end=True
        )
        await waiting
        assert await connector.lost_because


async def test_a_request_on_a_connection_that_dies_fails(edge: TunnelEdge) -> None:
    async with peer(edge) as connector:
        await connector.answer(await connector.register(edge))
        await edge.directory.until(lambda: edge.directory.live)
        waiting = get(edge)
        await connector.streams.get()
        connector.endpoint.abort("the connector crashes")
        with pytest.raises(StreamFailedError):
            await waiting


@pytest.mark.parametrize(
    "fields",
    [
        [("cf-cloudflared-response-meta", "nonsense")],
        [
            ("cf-cloudflared-response-meta", '{"src":"origin"}'),
            ("cf-cloudflared-response-headers", "no pairs"),
        ],
    ],
)
async def test_an_answer_that_cannot_be_read_fails(edge: TunnelEdge, fields: list[tuple[str, str]]) -> None:
    async with peer(edge) as connector:
        await connector.answer(await connector.register(edge))
        await edge.directory.until(lambda: edge.directory.live)
        waiting = get(edge)
        (await connector.streams.get()).send_headers([(":status", "200"), *fields])
        with pytest.raises(StreamFailedError, match="cannot be read"):
            await waiting


async def test_an_upload_ends_when_its_answer_has_come_to_the_end(edge: TunnelEdge) -> None:
    upload_ended = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            upload_ended.set()

    async with peer(edge) as connector:
        await connector.answer(await connector.register(edge))
        await edge.directory.until(lambda: edge.directory.live)
        request = TunnelRequest("POST", "a", "/", [], endless())
        waiting = asyncio.create_task(edge.terminator.request(edge.directory.tunnel_id, request))
        answered = await connector.streams.get()
        answered.send_headers(
            [(":status", "413"), ("cf-cloudflared-response-meta", '{"src":"origin"}')], end=True
        )
        response = await waiting
        assert [part async for part in response.body] == []
        await upload_ended.wait()
        await answered.wait_closed()


async def test_a_closed_edge_tells_its_connectors_and_its_directory(edge: TunnelEdge) -> None:
    async with peer(edge) as connector:
        await connector.answer(await connector.register(edge))
        await edge.directory.until(lambda: edge.directory.live)
        await edge.terminator.close()
        assert await connector.lost_because
    assert [graceful for _, graceful in edge.directory.gone] == [True]
