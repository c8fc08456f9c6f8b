"""WebSockets: after the 101 the edge passes raw bytes, it neither reads nor re-frames them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from aiohttp import web

from localedge.dataplane.address_leg import AddressLeg, Upstream, unreachable
from localedge.dataplane.answer import Answer
from localedge.dataplane.header_fields import HeaderList

_LONGEST_HEAD = 64 * 1024
_MOST_WAITING = 1024 * 1024
"""Bytes of a visitor that may wait for a slow origin before no more are read."""
SWITCHING = 101


class VisitorBytes:
    """The raw bytes of a visitor after the upgrade; aiohttp hands them to it in place of a parser."""

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._transport = transport
        self._waiting = 0

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes from the transport; aiohttp's parser protocol."""
        self._queue.put_nowait(bytes(data))
        self._waiting += len(data)
        if self._waiting > _MOST_WAITING and self._transport is not None:
            self._transport.pause_reading()
        return False, b""

    def feed_eof(self) -> None:
        """Hear that the visitor has gone; aiohttp's parser protocol."""
        self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (data := await self._queue.get()) is not None:
            self._waiting -= len(data)
            if self._waiting <= _MOST_WAITING and self._transport is not None:
                self._transport.resume_reading()
            yield data


async def relay(request: web.BaseRequest, answer: Answer, headers: HeaderList, visitor: VisitorBytes) -> None:
    """Answer 101 and pass the origin's bytes until it ends; the visitor's bytes go their own way."""
    transport = request.transport
    if transport is None:
        return
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"{name}: {value}" for name, value in headers]
    transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    request.protocol.keep_alive(False)  # noqa: FBT003 - aiohttp's signature
    # Only `feed_data` and `feed_eof` are ever called on it.
    request.protocol.set_parser(cast("Any", visitor))
    async for chunk in answer.body:
        transport.write(chunk)
        if transport.is_closing():
            return
        await request.writer.drain()


async def upgrade_at_address(
    leg: AddressLeg, upstream: Upstream, path: str, headers: HeaderList, visitor: VisitorBytes
) -> Answer:
    """Open a WebSocket to an address origin.

    Raises:
        OriginUnreachableError: with Cloudflare's code.

    """
    context = leg.tls(upstream)
    try:
        reader, writer = await asyncio.open_connection(
            upstream.address,
            upstream.effective_port,
            ssl=context,
            server_hostname=upstream.host if context else None,
            limit=_LONGEST_HEAD,
        )
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {upstream.host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
        ]
        lines += [f"{name}: {value}" for name, value in headers]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        head = await reader.readuntil(b"\r\n\r\n")
        status, fields = _parse_head(head)
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise unreachable(error) from error
    pump = asyncio.create_task(_pump(visitor, writer)) if status == SWITCHING else None

    async def close() -> None:
        if pump is not None:
            pump.cancel()
        writer.close()

    return Answer(status, fields, _read(reader), close, "origin")


def _parse_head(head: bytes) -> tuple[int, HeaderList]:
    first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    fields = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in rest)]
    return int(first.split(" ")[1]), fields


async def _pump(visitor: VisitorBytes, writer: asyncio.StreamWriter) -> None:
    async for data in visitor:
        writer.write(data)
        await writer.drain()
    writer.close()


async def _read(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while data := await reader.read(_LONGEST_HEAD):
        yield data
