"""The control API: clock, lags, limit, faults, journals, the whole state. No credentials: loopback only."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from localedge.api.account import Account
from localedge.api.accounts import Accounts
from localedge.api.faults import Faults, read_fault
from localedge.api.rate_limit import RateLimit
from localedge.balance.health import pool_health
from localedge.balance.model import pool_from
from localedge.clock import Clock
from localedge.control.answer import BASE, answering
from localedge.documents.fields import Field, Fields, integer, number, read_object
from localedge.documents.refusal import InvalidError
from localedge.journal import Journal, Journals
from localedge.state.records import Tunnel
from localedge.state.store import Lags

_CLOCK: Fields = {"speed": Field(number(0.001, 10_000)), "step": Field(number(0, 1_000_000))}
_LAGS: Fields = {name: Field(number(0, 600)) for name in ("config", "state", "death")}
_RATE_LIMIT: Fields = {"calls": Field(integer(0, 1_000_000)), "window_s": Field(number(0.001, 86_400))}


class Panel:
    """Serves `/_edge`."""

    def __init__(
        self,
        accounts: Accounts,
        clock: Clock,
        lags: Lags,
        limit: RateLimit,
        faults: Faults,
        journals: Journals,
    ) -> None:
        self._accounts = accounts
        self._edge_clock = clock
        self._lags = lags
        self._limit = limit
        self._faults = faults
        self._journals = journals

    def attach(self, app: web.Application) -> None:
        """Add the routes to an application."""
        add = app.router.add_route
        add("GET", f"{BASE}/clock", answering(self._clock))
        add("PUT", f"{BASE}/clock", answering(self._set_clock))
        add("GET", f"{BASE}/lags", answering(self._show_lags))
        add("PUT", f"{BASE}/lags", answering(self._set_lags))
        add("GET", f"{BASE}/rate_limit", answering(self._show_limit))
        add("PUT", f"{BASE}/rate_limit", answering(self._set_limit))
        add("GET", f"{BASE}/faults", answering(self._show_faults))
        add("POST", f"{BASE}/faults", answering(self._add_fault))
        add("DELETE", f"{BASE}/faults", answering(self._clear_faults))
        add("GET", f"{BASE}/calls", answering(self._entries(self._journals.calls)))
        add("GET", f"{BASE}/requests", answering(self._entries(self._journals.requests)))
        add("GET", f"{BASE}/probes", answering(self._entries(self._journals.probes)))
        add("GET", f"{BASE}/counters", answering(self._counters))
        add("POST", f"{BASE}/reset", answering(self._reset))
        add("GET", f"{BASE}/state", answering(self._state))
        add("GET", f"{BASE}/health", answering(self._health))

    def _clock(self, _request: web.Request, _body: Any) -> Any:
        clock = self._edge_clock
        return {"speed": clock.speed, "now": clock.now(), "real": clock.real(), "time": clock.timestamp()}

    def _set_clock(self, request: web.Request, body: Any) -> Any:
        wanted = read_object("", body, _CLOCK)
        if "speed" in wanted:
            self._edge_clock.set_speed(wanted["speed"])
        if "step" in wanted:
            self._edge_clock.step(wanted["step"])
        return self._clock(request, body)

    def _show_lags(self, _request: web.Request, _body: Any) -> Any:
        return asdict(self._lags)

    def _set_lags(self, request: web.Request, body: Any) -> Any:
        for name, seconds in read_object("", body, _LAGS).items():
            setattr(self._lags, name, seconds)
        return self._show_lags(request, body)

    def _show_limit(self, _request: web.Request, _body: Any) -> Any:
        return {"calls": self._limit.calls, "window_s": self._limit.window_s}

    def _set_limit(self, request: web.Request, body: Any) -> Any:
        wanted = read_object("", body, _RATE_LIMIT)
        self._limit.change(
            wanted.get("calls", self._limit.calls), wanted.get("window_s", self._limit.window_s)
        )
        return self._show_limit(request, body)

    def _show_faults(self, _request: web.Request, _body: Any) -> Any:
        return {"faults": self._faults.routes(), "waiting": self._faults.waiting()}

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

    def _account(self, request: web.Request) -> Account:
        wanted = request.query.get("account")
        account = self._accounts.first if wanted is None else self._accounts.find(wanted)
        if account is None:
            raise InvalidError(f"there is no account {wanted}")
        return account

    def _state(self, request: web.Request, _body: Any) -> Any:
        state = self._account(request).store.state
        return {
            "version": state.version,
            "zones": list(state.zones.values()),
            "dns_records": list(state.dns_records.values()),
            "monitors": list(state.monitors.values()),
            "pools": list(state.pools.values()),
            "load_balancers": list(state.load_balancers.values()),
            "tunnels": [_tunnel(tunnel) for tunnel in state.tunnels.values()],
        }

    def _health(self, request: web.Request, _body: Any) -> Any:
        account = self._account(request)
        book = account.book
        pools = [pool_from(document) for document in account.store.state.pools.values()]
        return {
            pool.name: {
                "health": pool_health(pool, book.verdict),
                "origins": {o.name: book.verdict(pool, o) for o in pool.origins},
            }
            for pool in pools
        }


def _tunnel(tunnel: Tunnel) -> dict[str, Any]:
    return {**asdict(tunnel), "secret": base64.b64encode(tunnel.secret).decode()}
