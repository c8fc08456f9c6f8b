"""What a connector does with a request of the edge: find the rule, carry it to the origin, count it."""

from __future__ import annotations

import logging

import aiohttp

from localedge.connector import origin_head
from localedge.connector.ingress import StatusService
from localedge.connector.orchestrator import Orchestrator
from localedge.connector.origin_http import OriginClient, OriginUnreachableError
from localedge.connector.origin_websocket import proxy_websocket
from localedge.connector.traffic import Traffic
from localedge.tunnel import headers
from localedge.tunnel.http2_stream import INTERNAL_ERROR, NO_ERROR, Http2Stream, StreamBrokenError

_log = logging.getLogger(__name__)

_BAD_GATEWAY = 502
_MAX_PUSH_BYTES = 4 << 20


class Proxy:
    """Serves the streams that the edge opens, the control stream excepted."""

    def __init__(self, orchestrator: Orchestrator, client_id: str, traffic: Traffic) -> None:
        self._orchestrator = orchestrator
        self._client_id = client_id
        self._traffic = traffic
        self._origins = OriginClient(client_id)

    async def close(self) -> None:
        """Close the connections to origins."""
        await self._origins.close()

    async def serve(self, stream: Http2Stream) -> None:
        """Serve one stream to its end."""
        kind = dict(stream.fields).get(headers.UPGRADE)
        try:
            if kind == headers.UPDATE_CONFIGURATION:
                await self._update_configuration(stream)
            elif headers.PROXY_SRC in dict(stream.fields):
                # cloudflared would dial what `:authority` says; the stand-in opens nobody's network.
                _refuse(stream, "private network routing: the stand-in connector has no such thing")
            else:
                await self._count(stream, websocket=kind == headers.WEBSOCKET)
        except StreamBrokenError as error:
            _log.debug("Incoming request ended abruptly error=%r", str(error))
        finally:
            # What the handler did not read is no longer wanted; Go's server says so in the same way.
            stream.reset(NO_ERROR)

    async def _count(self, stream: Http2Stream, *, websocket: bool) -> None:
        self._traffic.requests += 1
        self._traffic.concurrent += 1
        try:
            status = await self._to_origin(stream, websocket=websocket)
            self._traffic.responses[status] += 1
        finally:
            self._traffic.concurrent -= 1

    async def _to_origin(self, stream: Http2Stream, *, websocket: bool) -> int:
        head = dict(stream.fields)
        rule = self._orchestrator.ingress.find(head.get(":authority", ""), head.get(":path", "/"))
        service = rule.service
        if isinstance(service, StatusService):
            stream.send_headers(origin_head.to_edge(service.status, ()), end=True)
            return service.status
        try:
            if websocket:
                return await proxy_websocket(stream, rule, service, self._client_id)
            return await self._origins.proxy(stream, rule, service)
        except OriginUnreachableError as error:
            _log.error("Unable to reach the origin service originService=%s error=%r", service, str(error))
            self._traffic.errors += 1
            stream.send_headers(origin_head.unreachable(), end=True)
        except (aiohttp.ClientError, OSError) as error:
            _log.error("The origin broke off its answer originService=%s error=%r", service, str(error))
            self._traffic.errors += 1
            stream.reset(INTERNAL_ERROR)
        return _BAD_GATEWAY

    async def _update_configuration(self, stream: Http2Stream) -> None:
        body = b""
        while (part := await stream.read()) and len(body) <= _MAX_PUSH_BYTES:
            body += part
        try:
            answer = self._orchestrator.update(body)
        except ValueError as error:
            _refuse(stream, f"a push that is not JSON: {error}")
            return
        stream.send_headers([(":status", "200"), ("content-type", "text/plain; charset=utf-8")])
        await stream.send(answer, end=True)


def _refuse(stream: Http2Stream, why: str) -> None:
    _log.error("failed to serve incoming request error=%r", why)
    stream.send_headers(origin_head.unreachable(), end=True)
