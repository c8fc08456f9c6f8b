"""A sick Cloudflare: states of tunnels and verdicts of monitors that are not so."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from localedge.api.accounts import Accounts
from localedge.clock import Clock
from localedge.control.answer import BASE, answering
from localedge.documents.fields import Field, Fields, array, boolean, choice, number, read_object, text
from localedge.documents.refusal import InvalidError
from localedge.probe.book import HealthBook
from localedge.state.connections import ConnectionLedger
from localedge.state.records import Document

_TUNNELS: Fields = {
    "status": Field(choice("down"), required=True),
    "ids": Field(array(text(36))),
}
_HEALTH: Fields = {
    "pool": Field(text(255), required=True),
    "origin": Field(text(255), required=True),
    "healthy": Field(boolean),
    "flap_s": Field(number(0.01, 86_400)),
}


class Pretences:
    """Serves `/_edge/pretend`."""

    def __init__(self, accounts: Accounts, ledger: ConnectionLedger, book: HealthBook, clock: Clock) -> None:
        self._accounts = accounts
        self._ledger = ledger
        self._book = book
        self._clock = clock

    def attach(self, app: web.Application) -> None:
        """Add the routes to an application."""
        app.router.add_put(f"{BASE}/pretend/tunnels", answering(self._tunnels))
        app.router.add_put(f"{BASE}/pretend/health", answering(self._health))
        app.router.add_delete(f"{BASE}/pretend", answering(self._end))

    def _tunnels(self, _request: web.Request, body: Any) -> Any:
        wanted = read_object("", body, _TUNNELS)
        self._ledger.deny(frozenset(wanted["ids"]) if "ids" in wanted else None)
        return {}

    def _health(self, _request: web.Request, body: Any) -> Any:
        wanted = read_object("", body, _HEALTH)
        if ("healthy" in wanted) == ("flap_s" in wanted):
            raise InvalidError("one of healthy and flap_s is required")
        pool = self._pool(wanted["pool"])
        for origin in pool["origins"]:
            if origin["name"] == wanted["origin"]:
                self._pretend(pool["id"], origin["address"], wanted)
                return {}
        raise InvalidError(f"pool {wanted['pool']} has no origin {wanted['origin']}")

    def _pretend(self, pool_id: str, address: str, wanted: dict[str, Any]) -> None:
        if "healthy" in wanted:
            healthy: bool = wanted["healthy"]
            self._book.pretend(pool_id, address, lambda: healthy)
            return
        began, period = self._clock.now(), wanted["flap_s"]
        self._book.pretend(pool_id, address, lambda: int((self._clock.now() - began) // period) % 2 == 1)

    def _pool(self, name: str) -> Document:
        for account in self._accounts:
            for pool in account.store.state.pools.values():
                if name in {pool["name"], pool["id"]}:
                    return pool
        raise InvalidError(f"there is no pool {name}")

    def _end(self, _request: web.Request, _body: Any) -> Any:
        self._ledger.admit()
        self._book.be_honest()
        return {}
