"""The edge put together: the one place that wires its parts."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from localedge.api.account import Account
from localedge.api.faults import Faults
from localedge.api.gateway import Gateway, application
from localedge.api.zones import new_zone
from localedge.clock import Clock
from localedge.control.panel import Panel
from localedge.dataplane.address_leg import AddressLeg
from localedge.dataplane.frontdoor import FrontDoor
from localedge.dataplane.routing import Router
from localedge.dataplane.tunnel_leg import TunnelLeg
from localedge.directory import Directory
from localedge.journal import Journals
from localedge.options import EdgeOptions
from localedge.plan import PLANS
from localedge.probe.book import HealthBook
from localedge.probe.round import Prober
from localedge.probe.schedule import ProbeSchedule
from localedge.state.connections import ConnectionLedger
from localedge.state.identifiers import Identifiers
from localedge.state.records import State
from localedge.state.store import Store, VisibleState
from localedge.state.tokens import PERMISSION_GROUPS, Token, Tokens, read_only
from localedge.tunnel.interface import TunnelDirectory, Tunnels

logger = logging.getLogger(__name__)


class Terminator(Tunnels, Protocol):
    """The part that terminates tunnels."""

    async def start(self, host: str, port: int, ssl_context: ssl.SSLContext) -> int:
        """Listen; returns the port."""

    async def close(self) -> None:
        """Close all connections."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the four listeners are."""

    api: int
    http: int
    https: int
    tunnel: int


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """Server certificates of the two TLS listeners."""

    tunnel: ssl.SSLContext
    https: ssl.SSLContext


class Edge:
    """A running stand-in for Cloudflare with one account."""

    def __init__(
        self,
        options: EdgeOptions,
        terminator: Callable[[TunnelDirectory], Terminator],
        *,
        clock: Clock | None = None,
    ) -> None:
        self.options = options
        self.clock = clock or Clock(speed=options.speed)
        chance = random.Random(secrets.randbits(64) if options.seed is None else options.seed)  # noqa: S311 - ids of a stand-in
        identifiers = Identifiers(chance)
        self.journals = Journals()
        self.store = Store(self.clock, _initial(options, identifiers, self.clock))
        self.ledger = ConnectionLedger(self.clock, options.lags)
        account_id = identifiers.hex32()
        self.terminator = terminator(Directory(account_id, self.store, self.ledger, self.clock))
        self.full_token = Token(identifiers.hex32(), identifiers.token(), PERMISSION_GROUPS)
        self.read_only_token = Token(identifiers.hex32(), identifiers.token(), read_only())
        self.book = HealthBook()
        self._background: set[asyncio.Task[None]] = set()
        self.account = self._account(account_id, identifiers)
        self.faults = Faults()
        visible = VisibleState(self.store, self.clock, options.lags)
        self._addresses = AddressLeg(options.origin_ca)
        tunnels = TunnelLeg(self.terminator, self.ledger, chance)
        router = Router(tunnels, self._addresses, self.book.verdict, chance)
        self.front_door = FrontDoor(visible, router, self.journals.requests, self.clock, chance, options.colo)
        self._schedule = ProbeSchedule(
            visible, Prober(tunnels, self._addresses), self.book, self.clock, self.journals.probes
        )
        self._probing: asyncio.Task[None] | None = None
        self._api: web.AppRunner | None = None

    async def start(self, tls: TlsContexts) -> Ports:
        """Start all listeners and the monitors."""
        options = self.options
        app = application()
        Gateway(self.account, self.faults, self.journals.calls).attach(app)
        Panel(self.account, options.lags, self.faults, self.journals).attach(app)
        self._api = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._api.setup()
        await web.TCPSite(self._api, options.host, options.api_port, backlog=1024).start()
        ports = Ports(
            api=int(self._api.addresses[0][1]),
            http=await self.front_door.start(options.host, options.http_port),
            https=await self.front_door.start(options.host, options.https_port, tls.https),
            tunnel=await self.terminator.start(options.host, options.tunnel_port, tls.tunnel),
        )
        self._probing = asyncio.create_task(self._schedule.run(), name="monitors")
        return ports

    async def close(self) -> None:
        """Stop everything; safe after a start that failed."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        await self.front_door.close()
        if self._api is not None:
            await self._api.cleanup()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.terminator.close()
        await self._addresses.close()

    def _account(self, account_id: str, identifiers: Identifiers) -> Account:
        plan = PLANS[self.options.plan]
        tokens = Tokens()
        tokens.add(self.full_token)
        tokens.add(self.read_only_token)
        return Account(
            id=account_id,
            name="Local Edge",
            plan=plan if self.options.load_balancing else plan.without_load_balancing(),
            store=self.store,
            tokens=tokens,
            ledger=self.ledger,
            tunnels=self.terminator,
            book=self.book,
            clock=self.clock,
            identifiers=identifiers,
            healthy_connections=self.options.healthy_connections,
            background=self._run,
        )

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a push or disconnect failed", exc_info=error)


def _initial(options: EdgeOptions, identifiers: Identifiers, clock: Clock) -> State:
    state = State()
    for name in options.zones:
        zone = new_zone(identifiers.hex32(), name.lower(), clock.timestamp())
        state = state.with_document("zones", zone["id"], zone)
    return state
