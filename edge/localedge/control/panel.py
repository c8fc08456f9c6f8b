"""The control API: clock, lags, tokens, faults, journals, the whole state. No credentials: loopback only."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from localedge.api.account import Account
from localedge.api.faults import Faults, read_fault
from localedge.balance.health import pool_health
from localedge.balance.topology import pool_from
from localedge.documents.fields import Field, Fields, array, choice, number, read_object, text
from localedge.documents.refusal import InvalidError, NotEmulatedError
from localedge.journal import Journal, Journals
from localedge.state.records import Tunnel
from localedge.state.store import Lags
from localedge.state.tokens import Token

BASE = "/_edge"

_CLOCK: Fields = {"speed": Field(number(0.001, 10_000)), "step": Field(number(0, 1_000_000))}
_LAGS: Fields = {name: Field(number(0, 600)) for name in ("config", "state", "death")}
_TOKEN: Fields = {
    "permissions": Field(array(text(100)), required=True),
    "owner": Field(choice("user", "account"), "user"),
    "status": Field(choice("active", "disabled", "expired"), "active"),
}


class Panel:
    """Serves `/_edge`."""

    def __init__(self, account: Account, lags: Lags, faults: Faults, journals: Journals) -> None:
        self._account = account
        self._lags = lags
        self._faults = faults
        self._journals = journals

    def attach(self, app: web.Application) -> None:
        """Add the routes to an application."""
        add = app.router.add_route
        add("GET", f"{BASE}/clock", self._json(self._clock))
        add("PUT", f"{BASE}/clock", self._json(self._set_clock))
        add("GET", f"{BASE}/lags", self._json(self._show_lags))
        add("PUT", f"{BASE}/lags", self._json(self._set_lags))
        add("POST", f"{BASE}/tokens", self._json(self._new_token))
        add("DELETE", f"{BASE}/tokens/{{id}}", self._json(self._revoke))
        add("POST", f"{BASE}/faults", self._json(self._add_fault))
        add("DELETE", f"{BASE}/faults", self._json(self._clear_faults))
        add("GET", f"{BASE}/calls", self._json(self._entries(self._journals.calls)))
        add("GET", f"{BASE}/requests", self._json(self._entries(self._journals.requests)))
        add("GET", f"{BASE}/probes", self._json(self._entries(self._journals.probes)))
        add("GET", f"{BASE}/counters", self._json(self._counters))
        add("POST", f"{BASE}/reset", self._json(self._reset))
        add("GET", f"{BASE}/state", self._json(self._state))
        add("GET", f"{BASE}/health", self._json(self._health))

    @staticmethod
    def _json(
        handler: Callable[[web.Request, Any], Any],
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                body = json.loads(await request.read()) if request.body_exists else {}
                return web.json_response(handler(request, body))
            except (InvalidError, NotEmulatedError, ValueError) as error:
                return web.json_response({"error": str(error)}, status=400)

        return serve

    def _clock(self, _request: web.Request, _body: Any) -> Any:
        clock = self._account.clock
        return {"speed": clock.speed, "now": clock.now(), "real": clock.real(), "time": clock.timestamp()}

    def _set_clock(self, request: web.Request, body: Any) -> Any:
        wanted = read_object("", body, _CLOCK)
        if "speed" in wanted:
            self._account.clock.set_speed(wanted["speed"])
        if "step" in wanted:
            self._account.clock.step(wanted["step"])
        return self._clock(request, body)

    def _show_lags(self, _request: web.Request, _body: Any) -> Any:
        return asdict(self._lags)

    def _set_lags(self, request: web.Request, body: Any) -> Any:
        for name, seconds in read_object("", body, _LAGS).items():
            setattr(self._lags, name, seconds)
        return self._show_lags(request, body)

    def _new_token(self, _request: web.Request, body: Any) -> Any:
        wanted = read_object("", body, _TOKEN)
        identifiers = self._account.identifiers
        token = Token(
            identifiers.hex32(),
            identifiers.token(),
            frozenset(wanted["permissions"]),
            wanted["owner"],
            wanted["status"],
        )
        self._account.tokens.add(token)
        return {"id": token.id, "token": token.value}

    def _revoke(self, request: web.Request, _body: Any) -> Any:
        return {"revoked": self._account.tokens.revoke(request.match_info["id"])}

    def _add_fault(self, _request: web.Request, body: Any) -> Any:
        self._faults.add(read_fault(body))
        return {}

    def _clear_faults(self, _request: web.Request, _body: Any) -> Any:
        self._faults.clear()
        return {}

    @staticmethod
    def _entries(journal: Journal) -> Callable[[web.Request, Any], Any]:
        def entries(request: web.Request, _body: Any) -> Any:
            since = int(request.query.get("since", "0"))
            return {"last": journal.last, "entries": journal.since(since)}

        return entries

    def _counters(self, _request: web.Request, _body: Any) -> Any:
        journals = self._journals
        return {
            "calls": journals.calls.counters(),
            "requests": journals.requests.counters(),
            "probes": journals.probes.counters(),
        }

    def _reset(self, _request: web.Request, _body: Any) -> Any:
        self._journals.reset()
        return {}

    def _state(self, _request: web.Request, _body: Any) -> Any:
        state = self._account.store.state
        return {
            "version": state.version,
            "zones": list(state.zones.values()),
            "dns_records": list(state.dns_records.values()),
            "monitors": list(state.monitors.values()),
            "pools": list(state.pools.values()),
            "load_balancers": list(state.load_balancers.values()),
            "tunnels": [_tunnel(tunnel) for tunnel in state.tunnels.values()],
        }

    def _health(self, _request: web.Request, _body: Any) -> Any:
        book = self._account.book
        pools = [pool_from(document) for document in self._account.store.state.pools.values()]
        return {
            pool.name: {
                "health": pool_health(pool, book.verdict),
                "origins": {o.name: book.verdict(pool, o) for o in pool.origins},
            }
            for pool in pools
        }


def _tunnel(tunnel: Tunnel) -> dict[str, Any]:
    return {**asdict(tunnel), "secret": base64.b64encode(tunnel.secret).decode()}
