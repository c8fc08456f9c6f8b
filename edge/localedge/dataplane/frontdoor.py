"""The public listeners: a visitor's HTTP request in, the answer of an origin or a page out."""

from __future__ import annotations

import random
import ssl
from functools import partial
from typing import Any

from aiohttp import web

from localedge.balance.visitor import Visitor
from localedge.clock import Clock
from localedge.dataplane import pages
from localedge.dataplane.address_leg import Scheme
from localedge.dataplane.answer import Answer
from localedge.dataplane.header_fields import is_websocket, location, toward_origin, toward_visitor
from localedge.dataplane.routing import Router
from localedge.dataplane.sight import Sight
from localedge.dataplane.upgrade import SWITCHING, VisitorBytes, relay
from localedge.dataplane.visit import Routed, Visit
from localedge.documents.hostnames import without_port
from localedge.journal import Journal
from localedge.tunnel.interface import StreamFailedError

_NO_BODY = frozenset({204, 304})


class FrontDoor:
    """Serves visitors on one plain and one TLS port."""

    def __init__(
        self,
        sight: Sight,
        router: Router,
        journal: Journal,
        clock: Clock,
        chance: random.Random,
        colo: str,
    ) -> None:
        self._sight = sight
        self._router = router
        self._journal = journal
        self._clock = clock
        self._chance = chance
        self._colo = colo
        self._runners: list[web.ServerRunner] = []

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen; returns the port."""
        server = web.Server(
            partial(self._serve, "https" if tls else "http"),
            access_log=None,
            auto_decompress=False,
            handler_cancellation=True,
        )
        runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, host, port, ssl_context=tls, backlog=1024).start()
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening and end what is under way."""
        for runner in self._runners:
            await runner.cleanup()

    async def _serve(self, scheme: Scheme, request: web.BaseRequest) -> web.StreamResponse:
        started = self._clock.real()
        authority = request.headers.get("Host", "")
        fields = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in request.raw_headers]
        visitor = Visitor(request.remote or "127.0.0.1", location(fields, colo=self._colo))
        ray = f"{self._chance.getrandbits(64):016x}-{visitor.location.pop}"
        visit = Visit(
            scheme=scheme,
            host=without_port(authority),
            method=request.method,
            path=request.path_qs if request.raw_path.startswith("http") else request.raw_path,
            headers=toward_origin(
                fields, client_ip=visitor.ip, country=visitor.location.country, scheme=scheme, ray=ray
            ),
            body=request.content.iter_any() if request.body_exists else None,
            visitor=visitor,
            websocket=VisitorBytes(request.transport) if is_websocket(fields) else None,
        )
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            # Asked of the nearest server, and that is the edge: curl holds large bodies back until it hears.
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        routed: Routed | None = None
        outcome = "aborted"
        try:
            routed = await self._router.route(self._sight, visit) if authority else Routed(pages.BAD_REQUEST)
            if isinstance(routed.result, pages.Page):
                response: web.StreamResponse = _page(routed.result, ray)
                outcome = "edge"
            else:
                response = await self._pass(request, visit, routed.result, ray, routed.cookie)
                outcome = routed.result.source
        finally:
            self._note(visit, routed, outcome, started)
        return response

    async def _pass(
        self, request: web.BaseRequest, visit: Visit, answer: Answer, ray: str, cookie: str | None
    ) -> web.StreamResponse:
        headers = toward_visitor(answer.headers, ray=ray)
        if cookie is not None:
            headers.append(("set-cookie", cookie))
        response = web.StreamResponse(status=answer.status)
        for name, value in headers:
            response.headers.add(name, value)
        try:
            if answer.status == SWITCHING and visit.websocket is not None:
                await relay(request, answer, headers, visit.websocket)
                return _already_sent(request)
            await response.prepare(request)
            if request.method != "HEAD" and answer.status not in _NO_BODY:
                async for chunk in answer.body:
                    await response.write(chunk)
            await response.write_eof()
        except StreamFailedError:
            # The head is out already: the one honest thing left is to break the connection.
            if request.transport is not None:
                request.transport.abort()
        finally:
            await answer.close()
        return response

    def _note(self, visit: Visit, routed: Routed | None, outcome: str, started: float) -> None:
        # A visitor who left before anything came back has no status.
        if routed is None:
            last = visit.sent_to[-1] if visit.sent_to else None
            routed = Routed(pages.ABORTED, last, last.origin.tunnel_id if last else None)
        choice = routed.choice
        entry: dict[str, Any] = {
            "time": self._clock.timestamp(),
            "scheme": visit.scheme,
            "host": visit.host,
            "method": visit.method,
            "path": visit.path,
            "status": routed.status,
            "outcome": outcome,
            "pool": choice.pool.name if choice else None,
            "origin": choice.origin.name if choice else None,
            "on_fallback": choice.on_fallback if choice else None,
            "tunnel": routed.tunnel_id,
            "connector": routed.result.connector if isinstance(routed.result, Answer) else None,
            "error": routed.result.code if isinstance(routed.result, pages.Page) else None,
            "tries": routed.tries,
            "session": routed.session,
            "rules": list(routed.rules),
            "colo": visit.visitor.location.pop,
            "seconds": round(self._clock.real() - started, 6),
        }
        self._journal.note(**entry)


def _page(page: pages.Page, ray: str) -> web.Response:
    fields = {"server": "cloudflare", "cf-ray": ray, "content-type": page.content_type}
    return web.Response(status=page.status, body=page.body, headers={**fields, **dict(page.headers)})


def _already_sent(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return web.Response()
