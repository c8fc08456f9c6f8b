"""WebSockets to origins: a handshake, then raw bytes both ways without looking at frames."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

from localedge.connector import origin_head, origin_tls
from localedge.connector.ingress import HttpService, Rule
from localedge.connector.origin_http import OriginUnreachableError
from localedge.tunnel.http2_stream import Http2Stream, StreamBrokenError

_HEAD_BYTES = 1 << 16
_READ_BYTES = 1 << 16
_SWITCHING_PROTOCOLS = 101
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class _Answer:
    status: int
    fields: list[tuple[str, str]]

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)


async def proxy_websocket(stream: Http2Stream, rule: Rule, service: HttpService, client_id: str) -> int:
    """Carry one WebSocket, or the origin's refusal of it; answers the origin's status.

    Raises:
        OriginUnreachableError: nothing was sent to the edge yet.
        StreamBrokenError: the edge gave up.

    """
    try:
        async with asyncio.timeout(rule.origin_request.connect_timeout_s):
            reader, writer = await _dial(stream, rule, service)
    except (OSError, ValueError) as error:
        raise OriginUnreachableError(f"{type(error).__name__}: {error}") from error
    try:
        answer = await _shake_hands(reader, writer, stream, rule, client_id)
        stream.send_headers(origin_head.to_edge(answer.status, answer.fields))
        if answer.status == _SWITCHING_PROTOCOLS:
            await _pipe(stream, reader, writer)
        else:
            async for part in _refusal_body(reader, answer):
                await stream.send(part)
        await stream.send(b"", end=True)
        return answer.status
    finally:
        writer.close()


async def _dial(
    stream: Http2Stream, rule: Rule, service: HttpService
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = _split_host(service)
    context: ssl.SSLContext | None = None
    name: str | None = None
    if service.scheme == "https":
        context = origin_tls.client_context(rule)
        name = origin_tls.server_name(rule, dict(stream.fields)[":authority"]) or host
    return await asyncio.open_connection(host, port, limit=_HEAD_BYTES, ssl=context, server_hostname=name)


async def _shake_hands(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    stream: Http2Stream,
    rule: Rule,
    client_id: str,
) -> _Answer:
    fields = origin_head.to_origin(stream.fields, rule.origin_request, client_id, websocket=True)
    lines = [f"GET {dict(stream.fields)[':path']} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        version, _, rest = text.partition(" ")
        if not version.startswith("HTTP/1."):
            raise OriginUnreachableError("the origin does not speak HTTP/1.1")
        status_line, *field_lines = rest.rstrip("\r\n").split("\r\n")
        status = int(status_line.split(" ")[0])
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise OriginUnreachableError(f"no answer to the handshake: {error}") from error
    pairs = [line.partition(":") for line in field_lines]
    return _Answer(status, [(name.strip().lower(), value.strip()) for name, _, value in pairs])


async def _pipe(stream: Http2Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy both ways until one side ends, as cloudflared does."""

    async def upward() -> None:
        while data := await stream.read():
            writer.write(data)
            await writer.drain()

    async def downward() -> None:
        while data := await reader.read(_READ_BYTES):
            await stream.send(data)

    copies = {asyncio.create_task(upward()), asyncio.create_task(downward())}
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()
        outcomes = await asyncio.gather(*copies, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, StreamBrokenError):
            raise outcome


async def _refusal_body(reader: asyncio.StreamReader, answer: _Answer) -> AsyncIterator[bytes]:
    """Read the body of an answer that is no upgrade; one that breaks off ends early."""
    with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
        if "chunked" in (answer.field("transfer-encoding") or "").lower():
            while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
                yield await reader.readexactly(size)
                await reader.readexactly(len(b"\r\n"))
        elif (length := answer.field("content-length")) is not None:
            yield await reader.readexactly(int(length))
        else:
            while data := await reader.read(_READ_BYTES):
                yield data


def _split_host(service: HttpService) -> tuple[str, int]:
    host, colon, port = service.host.rpartition(":")
    if colon and port.isdigit():
        return host.strip("[]"), int(port)
    return service.host.strip("[]"), _PORTS[service.scheme]
