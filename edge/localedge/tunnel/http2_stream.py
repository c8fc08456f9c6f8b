"""One HTTP/2 stream as both ends of a tunnel use it: await header fields, read, write, reset."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from localedge.tunnel.interface import Headers

_READ_BYTES = 1 << 16
"""A read joins frames up to about this many bytes, so that small frames cost little each."""
_WRITE_BYTES = 1 << 16
"""A write cuts into frames of this size, so that one stream cannot hold the connection for long."""

NO_ERROR = 0x0
INTERNAL_ERROR = 0x2
CANCEL = 0x8


class StreamBrokenError(Exception):
    """The stream was reset or its connection ended."""


class FrameSender(Protocol):
    """What a stream asks of its connection."""

    def send_window(self, stream_id: int) -> int:
        """Tell how many bytes of DATA the peer takes now on a stream."""

    def send_data(self, stream_id: int, data: bytes | memoryview, *, end: bool) -> None:
        """Send one DATA frame."""

    def send_headers(self, stream_id: int, fields: Headers, *, end: bool) -> None:
        """Send HEADERS."""

    def send_reset(self, stream_id: int, code: int) -> None:
        """Send RST_STREAM."""

    def acknowledge(self, stream_id: int, count: int) -> None:
        """Give flow-control credit back for bytes that were consumed."""

    async def drained(self) -> None:
        """Wait until the transport takes more."""

    def closed(self, stream_id: int) -> None:
        """Hear that a stream has ended in both directions."""


class Http2Stream:
    """A stream of a connection. One task reads and one writes."""

    def __init__(self, sender: FrameSender, stream_id: int, fields: Headers = ()) -> None:
        self.id = stream_id
        self.fields = fields
        """Header fields of the request, in the server's role."""
        self.trailers: list[tuple[str, str]] = []
        """Trailer fields of the peer, complete when `read` has told the end."""
        self._sender = sender
        self._answer: list[tuple[str, str]] | None = None
        self._chunks: deque[tuple[bytes, int]] = deque()
        self._broken: str | None = None
        self._remote_ended = False
        self._local_ended = False
        self._received = asyncio.Event()
        self._writable = asyncio.Event()
        self._closed = asyncio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether both directions have ended, in order or broken."""
        return self._closed.is_set()

    @property
    def broken(self) -> str | None:
        """Why the stream broke; None while it is whole or if it ended in order."""
        return self._broken

    @property
    def at_end(self) -> bool:
        """Whether the peer has sent all and all of it was read."""
        return self._remote_ended and not self._chunks

    async def answer(self) -> list[tuple[str, str]]:
        """Wait for the header fields of the response, `:status` included.

        Raises:
            StreamBrokenError: the stream broke first.

        """
        while self._answer is None:
            self._fail_if_broken()
            self._received.clear()
            await self._received.wait()
        return self._answer

    async def read(self) -> bytes:
        """Wait for bytes of the body; empty at its end.

        Raises:
            StreamBrokenError: the stream broke before its end; what came before was read first.

        """
        while not self._chunks:
            if self._remote_ended:
                return b""
            self._fail_if_broken()
            self._received.clear()
            await self._received.wait()
        parts, size, credit = [], 0, 0
        while self._chunks and size < _READ_BYTES:
            data, flow_length = self._chunks.popleft()
            parts.append(data)
            size += len(data)
            credit += flow_length
        self._sender.acknowledge(self.id, credit)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def send_headers(self, fields: Headers, *, end: bool = False) -> None:
        """Send header fields, or trailers when `end` is set after a body.

        Raises:
            StreamBrokenError: the stream is broken or this direction has ended.

        """
        self._fail_unless_writable()
        self._sender.send_headers(self.id, fields, end=end)
        self._after_send(end=end)

    async def send(self, data: bytes, *, end: bool = False) -> None:
        """Send a part of the body, as fast as the peer takes it.

        Raises:
            StreamBrokenError: the stream is broken or this direction has ended.

        """
        rest = memoryview(data)
        while True:
            self._fail_unless_writable()
            window = self._sender.send_window(self.id) if rest else 0
            if rest and window <= 0:
                self._writable.clear()
                await self._writable.wait()
                continue
            part, rest = rest[: min(window, _WRITE_BYTES)], rest[min(window, _WRITE_BYTES) :]
            if part or end:
                self._sender.send_data(self.id, part, end=end and not rest)
            if not rest:
                self._after_send(end=end)
                await self._sender.drained()
                return
            await self._sender.drained()

    def reset(self, code: int = CANCEL) -> None:
        """Give the stream up, unless it has ended already."""
        if self.is_closed:
            self._discard()
            return
        self._sender.send_reset(self.id, code)
        self.on_broken("reset by this side")
        self._discard()

    async def wait_closed(self) -> None:
        """Wait until both directions have ended."""
        await self._closed.wait()

    def on_answer(self, fields: list[tuple[str, str]]) -> None:
        """Take the header fields of the response in."""
        self._answer = fields
        self._received.set()

    def on_data(self, data: bytes, flow_length: int) -> None:
        """Take a DATA frame in."""
        self._chunks.append((data, flow_length))
        self._received.set()

    def on_trailers(self, fields: list[tuple[str, str]]) -> None:
        """Take trailers in."""
        self.trailers.extend(fields)

    def on_end(self) -> None:
        """Take the end of the peer's direction in."""
        self._remote_ended = True
        self._received.set()
        self._close_if_ended()

    def on_broken(self, reason: str) -> None:
        """Take a reset or the loss of the connection in; the bytes that came before can still be read."""
        if self.is_closed:
            return
        self._broken = reason
        self._received.set()
        self._writable.set()
        self._close()

    def on_window(self) -> None:
        """Hear that the peer may take more."""
        self._writable.set()

    def _fail_if_broken(self) -> None:
        if self._broken is not None:
            raise StreamBrokenError(self._broken)

    def _fail_unless_writable(self) -> None:
        self._fail_if_broken()
        if self._local_ended:
            raise StreamBrokenError("this direction of the stream has ended")

    def _after_send(self, *, end: bool) -> None:
        if end:
            self._local_ended = True
            self._close_if_ended()

    def _close_if_ended(self) -> None:
        if self._local_ended and self._remote_ended and not self.is_closed:
            self._close()

    def _close(self) -> None:
        self._closed.set()
        self._sender.closed(self.id)

    def _discard(self) -> None:
        credit = sum(flow_length for _, flow_length in self._chunks)
        self._chunks.clear()
        if credit:
            self._sender.acknowledge(self.id, credit)
