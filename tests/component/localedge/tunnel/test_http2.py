"""Two ends of an HTTP/2 connection over loopback, without TLS: limits, windows, silence, loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from localedge.tunnel.http2_endpoint import Http2Endpoint, Http2Tuning
from localedge.tunnel.http2_stream import Http2Stream, StreamBrokenError

GET = ((":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/"))
SMALL = Http2Tuning(stream_window=70_000, connection_window=100_000, max_streams=2, ping_interval=None)
PATIENCE_S = 10


@dataclass
class Owner:
    """Remembers what one end has told."""

    opened_streams: asyncio.Queue[Http2Stream] = field(default_factory=asyncio.Queue)
    endpoint: Http2Endpoint | None = None
    lost_because: asyncio.Future[str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def opened(self, endpoint: Http2Endpoint) -> None:
        """Hear that the connection stands."""
        self.endpoint = endpoint

    def stream_opened(self, stream: Http2Stream) -> None:
        """Hear of a request."""
        self.opened_streams.put_nowait(stream)

    def stream_closed(self, stream: Http2Stream) -> None:
        """Hear of an end; nobody asks."""

    def lost(self, reason: str) -> None:
        """Hear of the loss."""
        self.lost_because.set_result(reason)


@dataclass
class Pair:
    """Both ends of one connection."""

    client: Http2Endpoint
    client_owner: Owner
    server_owner: Owner

    async def request(self) -> tuple[Http2Stream, Http2Stream]:
        """Open a stream; both its ends come back."""
        here = await self.client.open_stream(GET)
        return here, await self.server_owner.opened_streams.get()


@asynccontextmanager
async def pair(client: Http2Tuning = SMALL, server: Http2Tuning = SMALL) -> AsyncIterator[Pair]:
    loop = asyncio.get_running_loop()
    client_owner, server_owner = Owner(), Owner()
    listener = await loop.create_server(
        lambda: Http2Endpoint(server_owner, client_side=False, tuning=server), "127.0.0.1", 0
    )
    port = listener.sockets[0].getsockname()[1]
    _, endpoint = await loop.create_connection(
        lambda: Http2Endpoint(client_owner, client_side=True, tuning=client), "127.0.0.1", port
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield Pair(endpoint, client_owner, server_owner)
    finally:
        endpoint.abort("the test ends")
        await client_owner.lost_because
        if server_owner.endpoint is not None:
            await server_owner.lost_because
        listener.close()
        await listener.wait_closed()


@asynccontextmanager
async def peer_that(
    behaves: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], tuning: Http2Tuning
) -> AsyncIterator[Owner]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaves(reader, writer)
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    owner = Owner()
    await asyncio.get_running_loop().create_connection(
        lambda: Http2Endpoint(owner, client_side=True, tuning=tuning),
        *listener.sockets[0].getsockname()[:2],
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield owner
    finally:
        if owner.endpoint is not None:
            owner.endpoint.abort("the test ends")
        await owner.lost_because
        listener.close()
        await listener.wait_closed()


async def turns(count: int = 20) -> None:
    """Let both ends handle what is under way between them; that nothing more happens has no event."""
    for _ in range(count):
        await asyncio.sleep(0.001)


async def test_streams_above_the_peers_limit_wait_and_go_in_their_order() -> None:
    async with pair() as both:
        first, first_there = await both.request()
        await both.request()
        third, fourth = (asyncio.create_task(both.client.open_stream(GET)) for _ in range(2))
        await turns()
        assert not third.done()
        assert both.client.load == 4
        first_there.send_headers([(":status", "200")], end=True)
        await first.send(b"", end=True)
        await third
        assert not fourth.done()
        fourth.cancel()


async def test_whoever_gives_up_waiting_leaves_the_turn_to_the_next() -> None:
    async with pair() as both:
        first, _ = await both.request()
        await both.request()
        third, fourth = (asyncio.create_task(both.client.open_stream(GET)) for _ in range(2))
        await turns()
        first.reset()
        third.cancel()
        await fourth
        with pytest.raises(asyncio.CancelledError):
            await third


async def test_a_writer_waits_for_a_reader_that_does_not_read() -> None:
    async with pair() as both:
        here, there = await both.request()
        upload = asyncio.create_task(here.send(b"x" * 300_000, end=True))
        await turns()
        assert not upload.done()
        received = 0
        while data := await there.read():
            received += len(data)
        await upload
        assert received == 300_000


async def test_a_slow_reader_does_not_hold_another_stream_up() -> None:
    async with pair() as both:
        slow, _ = await both.request()
        upload = asyncio.create_task(slow.send(b"x" * 300_000, end=True))
        await turns()
        quick, quick_there = await both.request()
        await quick.send(b"y" * 20_000, end=True)
        received = b""
        while data := await quick_there.read():
            received += data
        assert len(received) == 20_000
        upload.cancel()


async def test_what_was_not_read_of_a_stream_does_not_use_the_connections_window_up() -> None:
    async with pair() as both:
        for _ in range(10):
            here, there = await both.request()
            await here.send(b"x" * 60_000)
            await turns(3)
            there.reset()
            await here.wait_closed()
        here, there = await both.request()
        await here.send(b"y" * 60_000, end=True)
        assert await there.read()


async def test_a_reset_tells_both_ends_and_what_came_before_can_be_read() -> None:
    async with pair() as both:
        here, there = await both.request()
        await here.send(b"before")
        await turns(3)
        here.reset()
        await there.wait_closed()
        assert await there.read() == b"before"
        with pytest.raises(StreamBrokenError, match=r"reset by the peer \(CANCEL\)"):
            await there.read()
        with pytest.raises(StreamBrokenError, match="reset by this side"):
            await here.answer()


async def test_trailers_come_with_the_end() -> None:
    async with pair() as both:
        here, there = await both.request()
        there.send_headers([(":status", "200")])
        await there.send(b"body")
        there.send_headers([("x-t", "1")], end=True)
        assert dict(await here.answer())[":status"] == "200"
        assert (await here.read(), await here.read()) == (b"body", b"")
        assert here.trailers == [("x-t", "1")]


@pytest.mark.parametrize(("value", "arrives"), [("\xe9", b"\xe9"), ("\u65e5", "\u65e5".encode())])
async def test_characters_are_octets_and_what_is_none_goes_as_utf8(value: str, arrives: bytes) -> None:
    async with pair() as both:
        await both.client.open_stream([*GET, ("x-odd", value)])
        there = await both.server_owner.opened_streams.get()
        assert dict(there.fields)["x-odd"].encode("latin-1") == arrives


async def test_nothing_can_be_sent_after_the_end() -> None:
    async with pair() as both:
        here, _ = await both.request()
        await here.send(b"", end=True)
        with pytest.raises(StreamBrokenError, match="has ended"):
            await here.send(b"more")


async def test_a_closed_connection_breaks_its_streams_and_takes_no_more() -> None:
    async with pair() as both:
        here, there = await both.request()
        queued_first, queued = await both.request(), asyncio.create_task(both.client.open_stream(GET))
        await turns()
        both.client.close()
        with pytest.raises(StreamBrokenError, match="this side closed"):
            await here.answer()
        with pytest.raises(StreamBrokenError):
            await queued
        with pytest.raises(StreamBrokenError):
            await there.read()
        with pytest.raises(StreamBrokenError):
            await both.client.open_stream(GET)
        assert queued_first[0].broken
        assert await both.server_owner.lost_because == "the peer closed the connection"


async def test_a_silent_peer_is_given_up() -> None:
    async def never_answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass

    async with peer_that(never_answer, Http2Tuning(ping_interval=0.05, ping_timeout=0.1)) as owner:
        assert "silent for" in await owner.lost_because


async def test_a_peer_that_answers_pings_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    tuning = Http2Tuning(ping_interval=0.02, ping_timeout=0.1)
    async with pair(client=tuning, server=Http2Tuning(ping_interval=None)) as both:
        looked = asyncio.Semaphore(0)
        ping = both.client._ping

        def look() -> None:
            ping()
            looked.release()

        monkeypatch.setattr(both.client, "_ping", look)
        for _ in range(10):
            await looked.acquire()
        assert both.client.is_open


async def test_a_peer_that_does_not_speak_http2_is_given_up() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(64))
        await reader.read()

    async with peer_that(talk, SMALL) as owner:
        assert "broke HTTP/2" in await owner.lost_because


async def test_a_goaway_ends_the_connection() -> None:
    async def go_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes.fromhex("000000040000000000" + "000008070000000000" + "00000000" + "00000000"))
        await reader.read()

    async with peer_that(go_away, SMALL) as owner:
        assert "GOAWAY (NO_ERROR)" in await owner.lost_because
