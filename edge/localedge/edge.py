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
from localedge.api.accounts import Accounts
from localedge.api.faults import Faults
from localedge.api.gateway import Gateway, application
from localedge.api.rate_limit import RateLimit
from localedge.balance.steering import Chooser
from localedge.clock import Clock
from localedge.control.accounts import AccountOffice
from localedge.control.names import NameService
from localedge.control.panel import Panel
from localedge.control.pretences import Pretences
from localedge.dataplane.address_leg import AddressLeg
from localedge.dataplane.balancing import Balancing
from localedge.dataplane.frontdoor import FrontDoor
from localedge.dataplane.origins import Origins
from localedge.dataplane.routing import Router
from localedge.dataplane.sight import Sight
from localedge.dataplane.tunnel_leg import TunnelLeg
from localedge.directory import Directory
from localedge.journal import Journals
from localedge.options import FIRST_ACCOUNT, EdgeOptions
from localedge.probe.book import HealthBook
from localedge.probe.round import Prober
from localedge.probe.schedule import ProbeSchedule
from localedge.state.connections import ConnectionLedger
from localedge.state.identifiers import Identifiers
from localedge.state.store import Store, VisibleState
from localedge.state.tokens import Token
from localedge.tenants import Shared, Tenants
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
    """A running stand-in for Cloudflare."""

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
        self._identifiers = Identifiers(chance)
        self.journals = Journals()
        self.ledger = ConnectionLedger(self.clock, options.lags)
        self.accounts = Accounts()
        self.terminator = terminator(Directory(self.accounts, self.ledger, self.clock))
        self.book = HealthBook()
        self.faults = Faults(self.clock)
        self.limit = RateLimit(self.clock, options.rate_limit)
        self._background: set[asyncio.Task[None]] = set()
        self._addresses = AddressLeg(options.origin_ca)
        tunnels = TunnelLeg(self.terminator, self.ledger, chance)
        self._prober = Prober(tunnels, self._addresses)
        self._sight = Sight()
        self.origins = Origins(tunnels, self._addresses)
        router = Router(self.origins, Balancing(self.origins, self.book.verdict, chance, self.clock))
        self.names = NameService(
            self._sight,
            Chooser(self.book.verdict, chance),
            edge_address=options.host,
            colo=options.colo,
        )
        self.front_door = FrontDoor(
            self._sight, router, self.journals.requests, self.clock, chance, options.colo
        )
        self._schedules: list[ProbeSchedule] = []
        self._probing: list[asyncio.Task[None]] = []
        self._started = False
        self._api: web.AppRunner | None = None
        self.tenants = self._tenants()

    @property
    def account(self) -> Account:
        """The first account."""
        return self.accounts.first

    @property
    def store(self) -> Store:
        """The objects of the first account."""
        return self.account.store

    @property
    def full_token(self) -> Token:
        """The token that may do all in the first account."""
        return self.tenants.opened[0].full_token

    @property
    def read_only_token(self) -> Token:
        """The token that may read all in the first account."""
        return self.tenants.opened[0].read_only_token

    async def start(self, tls: TlsContexts) -> Ports:
        """Start all listeners and the monitors."""
        options = self.options
        self._api = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)
        await self._api.setup()
        await web.TCPSite(self._api, options.host, options.api_port, backlog=1024).start()
        ports = Ports(
            api=int(self._api.addresses[0][1]),
            http=await self.front_door.start(options.host, options.http_port),
            https=await self.front_door.start(options.host, options.https_port, tls.https),
            tunnel=await self.terminator.start(options.host, options.tunnel_port, tls.tunnel),
        )
        self._started = True
        for schedule in self._schedules:
            self._probe(schedule)
        return ports

    async def close(self) -> None:
        """Stop everything; safe after a start that failed."""
        self.faults.clear()
        for task in self._probing:
            task.cancel()
        await asyncio.gather(*self._probing, return_exceptions=True)
        await self.front_door.close()
        if self._api is not None:
            await self._api.cleanup()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.terminator.close()
        await self._addresses.close()

    def _application(self) -> web.Application:
        app = application()
        Gateway(self.accounts, self.faults, self.limit, self.clock, self.journals.calls).attach(app)
        Panel(self.accounts, self.clock, self.options.lags, self.limit, self.faults, self.journals).attach(
            app
        )
        AccountOffice(self.accounts, self.tenants, self._identifiers).attach(app)
        self.names.attach(app)
        Pretences(self.accounts, self.ledger, self.book, self.clock).attach(app)
        return app

    def _tenants(self) -> Tenants:
        options = self.options
        shared = Shared(
            clock=self.clock,
            lags=options.lags,
            identifiers=self._identifiers,
            ledger=self.ledger,
            book=self.book,
            tunnels=self.terminator,
            healthy_connections=options.healthy_connections,
            background=self._run,
            follow=self._follow,
        )
        tenants = Tenants(self.accounts, shared)
        tenants.open(FIRST_ACCOUNT, options.zones, options.plan, load_balancing=options.load_balancing)
        for further in options.accounts:
            tenants.open(further.name, further.zones, options.plan, load_balancing=options.load_balancing)
        return tenants

    def _follow(self, visible: VisibleState) -> None:
        self._sight.add(visible)
        schedule = ProbeSchedule(visible, self._prober, self.book, self.clock, self.journals.probes)
        self._schedules.append(schedule)
        if self._started:
            self._probe(schedule)

    def _probe(self, schedule: ProbeSchedule) -> None:
        self._probing.append(asyncio.create_task(schedule.run(), name="monitors"))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a push or disconnect failed", exc_info=error)
