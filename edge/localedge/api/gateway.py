"""The HTTP side of the API: routes to handlers, envelope, faults and the journal of calls."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from localedge.api import (
    configurations,
    dns_records,
    load_balancers,
    monitors,
    pools,
    regions,
    tokens,
    tunnel_routes,
    tunnels,
    zones,
)
from localedge.api.account import Account
from localedge.api.accounts import Accounts
from localedge.api.authorisation import authenticate, authorise
from localedge.api.call import Call, Query, Reply, Route
from localedge.api.faults import Fault, Faults
from localedge.api.problem import ProblemError, no_route, not_emulated
from localedge.api.rate_limit import RATE_LIMITED_CODE, RateLimit
from localedge.clock import Clock
from localedge.journal import Journal
from localedge.state.store import Store
from localedge.state.tokens import Token

BASE = "/client/v4"
ROUTES: tuple[Route, ...] = (
    *tokens.ROUTES,
    *zones.ROUTES,
    *dns_records.ROUTES,
    *monitors.ROUTES,
    *pools.ROUTES,
    *regions.ROUTES,
    *load_balancers.ROUTES,
    *tunnels.ROUTES,
    *configurations.ROUTES,
    *tunnel_routes.ROUTES,
)
_LARGEST_BODY = 4 * 1024 * 1024
_UNEMULATED = (
    "/accounts/{account_id}/load_balancers",
    "/accounts/{account_id}/load_balancers/{id:[0-9a-f]{32}}",
    "/accounts/{account_id}/load_balancers/monitor_groups{rest:.*}",
    "/accounts/{account_id}/load_balancers/preview/{rest:.*}",
    "/accounts/{account_id}/load_balancers/monitors/{id}/preview",
    "/accounts/{account_id}/load_balancers/pools/{id}/preview",
    "/accounts/{account_id}/load_balancers/search",
    "/accounts/{account_id}/teamnet/{rest:.*}",
    "/accounts/{account_id}/tunnels{rest:.*}",
    "/accounts/{account_id}/cfd_tunnel/{id}/management{rest:.*}",
    "/zones/{zone_id}/settings{rest:.*}",
    "/user/load_balancers/{rest:.*}",
)
"""Calls that Cloudflare has and the edge has not: told apart from paths that nobody has."""

Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]
dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Gateway:
    """Turns HTTP requests into calls of the handlers."""

    def __init__(
        self, accounts: Accounts, faults: Faults, limit: RateLimit, clock: Clock, journal: Journal
    ) -> None:
        self._accounts = accounts
        self._faults = faults
        self._limit = limit
        self._clock = clock
        self._journal = journal

    def attach(self, app: web.Application) -> None:
        """Add the routes of the API to an application."""
        for route in ROUTES:
            app.router.add_route(route.method, BASE + route.template, self._endpoint(route))
        app.router.add_get(f"{BASE}/ips", self._ips)
        # A method that no route has on a path that some route has is Cloudflare's, or nobody's: say which.
        for template in (*dict.fromkeys(route.template for route in ROUTES), *_UNEMULATED):
            app.router.add_route("*", BASE + template, self._unemulated)
        app.router.add_route("*", BASE + "/{rest:.*}", self._unknown)

    def _endpoint(self, route: Route) -> Endpoint:
        async def serve(request: web.Request) -> web.StreamResponse:
            fault = self._faults.hit(route.method, route.template, request.path.removeprefix(BASE))
            body: Any = None
            token: Token | None = None
            limits: Mapping[str, str] = {}
            try:
                if fault is not None:
                    await self._before(fault)
                token = authenticate(self._accounts, request.headers, request.path)
                limits = self._limit.spend(token.id)
                account = authorise(self._accounts, token, route, request.path, request.match_info)
                body = await _read_body(request)
                if fault is not None and fault.barrier is not None:
                    await fault.barrier.wait(self._clock)
                if fault is not None and fault.stale_s is not None and route.method == "GET":
                    account = self._as_it_was(account, fault.stale_s)
                response = _success(self._call(route, account, request, token, body), limits)
            except ProblemError as problem:
                response = _failure(problem, limits)
            except _DropError:
                return self._dropped(request, route.template, token, body)
            if fault is not None and fault.drop == "after":
                return self._dropped(request, route.template, token, body)
            self._note(request, route.template, token, body, response.status)
            return response

        return serve

    def _call(self, route: Route, account: Account, request: web.Request, token: Token, body: Any) -> Reply:
        others = self._accounts.seen_by(token)
        accounts = tuple(account if other.id == account.id else other for other in others)
        return route.handler(Call(account, accounts, token, request.match_info, Query(request.query), body))

    def _as_it_was(self, account: Account, seconds: float) -> Account:
        # A store of its own: nothing that reads the past can touch the present.
        return replace(account, store=Store(self._clock, account.history.before(seconds)))

    async def _before(self, fault: Fault) -> None:
        if fault.delay_s:
            await self._clock.sleep_real(fault.delay_s)
        if fault.drop == "before":
            raise _DropError
        if fault.status is not None:
            rate_limited = fault.status == 429  # noqa: PLR2004 - the status of a rate limit
            code = fault.code or (RATE_LIMITED_CODE if rate_limited else 10000)
            message = fault.message or ("Rate limited" if rate_limited else "injected fault")
            raise ProblemError(fault.status, code, message, headers=fault.headers)

    def _dropped(
        self, request: web.Request, template: str, token: Token | None, body: Any
    ) -> web.StreamResponse:
        self._note(request, template, token, body, 0)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _note(self, request: web.Request, template: str, token: Token | None, body: Any, status: int) -> None:
        self._journal.note(
            time=self._clock.timestamp(),
            method=request.method,
            path=request.path.removeprefix(BASE),
            route=template,
            query=dict(request.query),
            status=status,
            token=token.id if token else None,
            body=body,
        )

    async def _ips(self, request: web.Request) -> web.StreamResponse:
        # Requests of this edge come from loopback: the ranges that a firewall must let in here.
        ranges = {"ipv4_cidrs": ["127.0.0.0/8"], "ipv6_cidrs": ["::1/128"], "etag": "localedge"}
        fault = self._faults.hit("GET", "/ips", "/ips")
        try:
            if fault is not None:
                await self._before(fault)
            response = _success(Reply(ranges))
        except ProblemError as problem:
            response = _failure(problem)
        except _DropError:
            return self._dropped(request, "/ips", None, None)
        self._note(request, "/ips", None, None, response.status)
        return response

    async def _unemulated(self, request: web.Request) -> web.StreamResponse:
        call = f"{request.method} {request.path.removeprefix(BASE)}"
        response = _failure(not_emulated(f"{call} is not emulated by the local edge"))
        self._note(request, "not emulated", None, None, response.status)
        return response

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        response = _failure(no_route(request.path))
        self._note(request, "unknown", None, None, response.status)
        return response


class _DropError(Exception):
    """The connection is to be broken without an answer."""


async def _read_body(request: web.Request) -> Any:
    if request.method in {"GET", "DELETE"} or not request.body_exists:
        return None
    try:
        return json.loads(await request.read())
    except ValueError as error:
        raise ProblemError(400, 6007, "Malformed JSON in request body") from error


def _success(reply: Reply, headers: Mapping[str, str] | None = None) -> web.Response:
    envelope: dict[str, Any] = {
        "result": reply.result,
        "success": True,
        "errors": [],
        "messages": list(reply.messages),
    }
    if reply.info is not None:
        envelope["result_info"] = reply.info
    return _json(200, envelope, headers or {})


def _failure(problem: ProblemError, headers: Mapping[str, str] | None = None) -> web.Response:
    envelope = {"result": None, "success": False, "errors": problem.errors, "messages": []}
    return _json(problem.status, envelope, {**(headers or {}), **problem.headers})


def _json(status: int, envelope: Mapping[str, Any], headers: Mapping[str, str]) -> web.Response:
    return web.Response(
        status=status, body=dumps(envelope).encode(), content_type="application/json", headers=headers
    )


def application() -> web.Application:
    """Make the application that carries the API and the control API."""
    return web.Application(client_max_size=_LARGEST_BODY)
