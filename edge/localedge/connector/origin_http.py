"""HTTP requests to origins, streamed both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import multidict
import yarl

from localedge.connector import origin_head, origin_tls
from localedge.connector.ingress import HttpService, Rule
from localedge.tunnel.http2_stream import Http2Stream

_READ_BUFFER_BYTES = 1 << 16
_MAX_FIELD_BYTES = 1 << 16
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class OriginUnreachableError(Exception):
    """The origin could not be reached, or ended before its answer began."""


class OriginClient:
    """Keeps connections to origins. Trailers of origins are not carried: aiohttp does not give them."""

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close idle and busy connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def proxy(self, stream: Http2Stream, rule: Rule, service: HttpService) -> int:
        """Carry one request to the origin and its answer back; answers the status.

        Raises:
            OriginUnreachableError: nothing was sent to the edge yet.
            aiohttp.ClientError, OSError: the origin broke off in the midst of its answer.
            StreamBrokenError: the edge gave up.

        """
        head = dict(stream.fields)
        secure = service.scheme == "https"
        try:
            response = await self._started().request(
                head[":method"],
                yarl.URL(f"{service.scheme}://{service.host}{head[':path']}", encoded=True),
                headers=self._fields(stream, rule),
                data=None if stream.at_end else _body(stream),
                allow_redirects=False,
                ssl=origin_tls.client_context(rule) if secure else True,
                server_hostname=origin_tls.server_name(rule, head[":authority"]) if secure else None,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=rule.origin_request.connect_timeout_s),
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise OriginUnreachableError(f"{type(error).__name__}: {error}") from error
        async with response:
            fields = [(n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in response.raw_headers]
            stream.send_headers(origin_head.to_edge(response.status, fields))
            async for part in response.content.iter_any():
                await stream.send(part)
            await stream.send(b"", end=True)
            return response.status

    def _fields(self, stream: Http2Stream, rule: Rule) -> multidict.CIMultiDict[str]:
        fields = origin_head.to_origin(stream.fields, rule.origin_request, self._client_id, websocket=False)
        return multidict.CIMultiDict((name, _as_text(value)) for name, value in fields)

    def _started(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=90),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=_NOT_ADDED,
                read_bufsize=_READ_BUFFER_BYTES,
                max_line_size=_MAX_FIELD_BYTES,
                max_field_size=_MAX_FIELD_BYTES,
            )
        return self._session


async def _body(stream: Http2Stream) -> AsyncIterator[bytes]:
    while data := await stream.read():
        yield data


def _as_text(value: str) -> str:
    """Turn octets that stand for themselves into text that aiohttp, which writes UTF-8, turns back into them.

    Octets that are no UTF-8 arrive changed: aiohttp cannot write them.
    """
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value
