"""One request on its way through a tunnel connection: header fields out, body out, answer in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from localedge.tunnel import headers
from localedge.tunnel.http2_stream import INTERNAL_ERROR, Http2Stream, StreamBrokenError
from localedge.tunnel.interface import (
    ConnectionInfo,
    StreamFailedError,
    TunnelRequest,
    TunnelResponse,
)

_SWITCHING_PROTOCOLS, _OK = 101, 200


def request_head(request: TunnelRequest) -> list[tuple[str, str]]:
    """Write the header fields of a request as they go to the connector.

    The authority goes in lower case, since cloudflared matches hostnames with their case.
    """
    fields = [
        (":method", request.method),
        (":scheme", "https"),
        (":authority", request.authority.lower()),
        (":path", request.path or "/"),
        *headers.request_fields(request.headers, websocket=request.websocket),
    ]
    knows_length = isinstance(request.body, bytes) and request.body
    if knows_length and not any(name == "content-length" for name, _ in fields):
        fields.append(("content-length", str(len(knows_length))))
    return fields


def has_body(request: TunnelRequest) -> bool:
    """Tell whether DATA follows the header fields of a request."""
    return request.websocket or not (isinstance(request.body, bytes) and not request.body)


class Exchange:
    """A request on an open stream, and the task that sends its body."""

    def __init__(self, stream: Http2Stream, request: TunnelRequest, connection: ConnectionInfo) -> None:
        self._stream = stream
        self._request = request
        self._connection = connection
        self._upload: asyncio.Task[None] | None = None
        if has_body(request):
            self._upload = asyncio.create_task(self._send_body())

    async def response(self) -> TunnelResponse:
        """Wait for the header fields of the answer.

        Raises:
            StreamFailedError: the stream broke first, or the answer cannot be read.

        """
        try:
            fields = await self._stream.answer()
        except StreamBrokenError as error:
            self.abandon()
            raise StreamFailedError(str(error)) from error
        except BaseException:
            self.abandon()
            raise
        try:
            return self._read_answer(fields)
        except (headers.MalformedHeadersError, ValueError) as error:
            self.abandon()
            raise StreamFailedError(f"an answer that cannot be read: {error}") from error

    def abandon(self) -> None:
        """Give the exchange up; the connector hears RST_STREAM unless all is over."""
        if self._upload is not None:
            self._upload.cancel()
        self._stream.reset()

    def _read_answer(self, fields: list[tuple[str, str]]) -> TunnelResponse:
        outer = dict(fields)
        status = int(outer[":status"])
        if headers.META not in outer:
            # Go's HTTP/2 server has refused the request before cloudflared saw it.
            inner, source = [f for f in fields if f[0] == "content-type"], "cloudflared"
        else:
            inner = headers.decode_user_headers(outer.get(headers.USER_HEADERS, ""))
            source = headers.decode_meta(outer[headers.META])
        upgraded = self._request.websocket and status == _OK and headers.is_websocket_upgrade(inner)
        body = ResponseBody(self, self._stream)
        return TunnelResponse(
            status=_SWITCHING_PROTOCOLS if upgraded else status,
            headers=headers.response_fields(inner, websocket=upgraded),
            source=source,
            body=body,
            connection=self._connection,
            trailers=self._stream.trailers,
        )

    async def _send_body(self) -> None:
        body = self._request.body
        try:
            if isinstance(body, bytes):
                await self._stream.send(body, end=not self._request.websocket)
                return
            async with contextlib.aclosing(_closable(body)) as parts:
                async for part in parts:
                    await self._stream.send(part)
            await self._stream.send(b"", end=True)
        except StreamBrokenError:
            pass  # the connector has answered without reading on, or is gone: the answer tells
        except Exception:  # noqa: BLE001 - whatever the visitor's side raised, the connector hears a reset
            self._stream.reset(INTERNAL_ERROR)


class ResponseBody(AsyncIterator[bytes]):
    """The body of an answer, read as fast as its consumer wants it."""

    def __init__(self, exchange: Exchange, stream: Http2Stream) -> None:
        self._exchange = exchange
        self._stream = stream
        self._ended = False

    async def __anext__(self) -> bytes:
        """Read the next part.

        Raises:
            StreamFailedError: the stream broke before its end.

        """
        if self._ended:
            raise StopAsyncIteration
        try:
            data = await self._stream.read()
        except StreamBrokenError as error:
            self._ended = True
            self._exchange.abandon()
            raise StreamFailedError(str(error)) from error
        if not data:
            self._ended = True
            self._exchange.abandon()  # whoever has answered to the end reads no more
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Give up what was not read yet; the connector hears a cancel."""
        self._ended = True
        self._exchange.abandon()


async def _closable(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Wrap an iterator so that its own `aclose`, if it has one, runs when the wrapper is closed."""
    try:
        async for part in body:
            yield part
    finally:
        if (aclose := getattr(body, "aclose", None)) is not None:
            await aclose()
