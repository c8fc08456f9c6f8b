"""The connector as a process: puts the parts together, and ends as signals say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import platform
import random
import signal
import ssl
import uuid
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from localedge import connector
from localedge.connector.credentials import Credentials
from localedge.connector.edge_link import EdgeLink, Identity, LinkEvents
from localedge.connector.orchestrator import Orchestrator
from localedge.connector.proxy import Proxy
from localedge.connector.status_page import StatusPage, readiness
from localedge.connector.supervisor import Address, InitialConnectionError, Supervisor
from localedge.connector.traffic import Traffic

_log = logging.getLogger(__name__)

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Settings:
    """What the command line and the environment say."""

    credentials: Credentials
    edge: tuple[Address, ...]
    ca_file: Path | None
    ha_connections: int
    retries: int
    grace_s: float
    metrics: Address | None
    config_file: Path | None = None
    """What holds until the edge has sent a configuration."""


def stand_in_version() -> str:
    """Tell the version; it names the stand-in, so that no listing of connectors can be mistaken."""
    return f"{connector.PROGRAM}/{installed_version('tunnelpool')}"


class ConnectorProcess:
    """All of one connector."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        machine = _MACHINES.get(platform.machine(), platform.machine())
        self._identity = Identity(
            credentials=settings.credentials,
            client_id=uuid.uuid4(),
            version=stand_in_version(),
            arch=f"{platform.system().lower()}_{machine}",
        )
        self._traffic = Traffic()
        self._orchestrator = Orchestrator(settings.config_file)
        self._proxy = Proxy(self._orchestrator, str(self._identity.client_id), self._traffic)
        self._events = LinkEvents(self._registered, self._refused, self._unregistering)
        context = ssl.create_default_context(cafile=settings.ca_file)
        self._supervisor = Supervisor(
            settings.edge,
            context,
            self._make_link,
            ha_connections=settings.ha_connections,
            retries=settings.retries,
            chance=random.Random(),  # noqa: S311 - how long to wait
        )

    async def run(self) -> int:
        """Run until a signal or a failure that does not go away; answers the exit code."""
        tunnel, client = self._identity.credentials.tunnel_id, self._identity.client_id
        _log.info("Version %s: a stand-in for cloudflared, for tests and demonstrations", stand_in_version())
        _log.info("Starting tunnel tunnelID=%s", tunnel)
        _log.info("Generated Connector ID: %s", client)
        page = StatusPage(
            {
                "/ready": lambda: readiness(self._supervisor.ready_connections, str(client)),
                "/healthcheck": lambda: (200, "OK\n"),
                "/metrics": self._metrics,
                "/config": lambda: (200, json.dumps(self._orchestrator.document(), separators=(",", ":"))),
            }
        )
        try:
            host, port = await page.start(self._settings.metrics)
        except OSError as error:
            _log.error("Error opening metrics server listener error=%r", str(error))
            return 1
        _log.info("Starting metrics server on %s:%d/metrics", host, port)
        try:
            return await self._serve()
        finally:
            await self._proxy.close()
            await page.close()

    async def _serve(self) -> int:
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number, stopping)
        running = asyncio.create_task(self._supervisor.run())
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not running.done():
            await asyncio.wait({running}, timeout=self._settings.grace_s)
        if not running.done():
            _log.info("The grace period is over; requests in flight are dropped")
            running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await running
            except InitialConnectionError:
                return 1
        _log.info("Tunnel server stopped")
        return 0

    def _stop(self, number: signal.Signals, stopping: asyncio.Event) -> None:
        """End in order; whoever asks twice gets it at once."""
        _log.info("Initiating graceful shutdown due to signal %s ...", number.name)
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        self._supervisor.shut_down()
        stopping.set()

    def _make_link(self, index: int) -> EdgeLink:
        return EdgeLink(
            index,
            self._identity,
            self._orchestrator,
            self._proxy,
            self._events,
            grace_s=self._settings.grace_s,
            flags={"protocol": "http2", "retries": str(self._settings.retries)},
        )

    def _registered(self, index: int, location: str) -> None:
        self._traffic.registered += 1
        self._traffic.locations[index] = location
        self._supervisor.registered(index)

    def _refused(self, index: int, cause: str) -> None:
        self._traffic.refused["dup_edge_conn" if cause == "EDUPCONN" else "server_error"] += 1
        self._traffic.locations.pop(index, None)

    def _unregistering(self, index: int) -> None:
        self._traffic.locations.pop(index, None)
        self._supervisor.unregistering(index)

    def _metrics(self) -> tuple[int, str]:
        self._traffic.ha_connections = self._supervisor.running_links
        text = self._traffic.exposition(config_version=self._orchestrator.version, version=stand_in_version())
        return 200, text
