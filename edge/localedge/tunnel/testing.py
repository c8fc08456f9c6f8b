"""For tests: an edge's tunnel side with a directory that remembers, and connector programs as processes.

The program is the stand-in, and beside it the real cloudflared wherever one is found.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localedge.tunnel.ca import CertificateAuthority
from localedge.tunnel.http2_endpoint import Http2Tuning
from localedge.tunnel.interface import ConnectionInfo, TunnelConfiguration
from localedge.tunnel.terminator import TunnelTerminator

_PATIENCE_S = 30.0
_POLL_S = 0.02
ACCOUNT = "acc"
SECRET = b"a secret of thirty-two bytes....."


@dataclass(frozen=True)
class ConnectorProgram:
    """A program that speaks cloudflared's command line."""

    name: str
    command: tuple[str, ...]

    @property
    def is_real(self) -> bool:
        """Whether it is cloudflared itself."""
        return self.name == "cloudflared"


def connector_programs() -> list[ConnectorProgram]:
    """Name the stand-in, and cloudflared if `CLOUDFLARED` or `PATH` has one."""
    stand_in = ConnectorProgram("stand-in", (str(Path(sys.executable).with_name("localedge")), "connector"))
    real = os.environ.get("CLOUDFLARED") or shutil.which("cloudflared")
    return [stand_in, ConnectorProgram("cloudflared", (real,))] if real else [stand_in]


@dataclass
class RecordingDirectory:
    """Implements `TunnelDirectory`: one tunnel, and all that was heard of it."""

    tunnel_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    refusal: str | None = None
    """What to answer to the right secret."""
    remote: TunnelConfiguration | None = None
    attempts: int = 0
    live: list[ConnectionInfo] = field(default_factory=list)
    gone: list[tuple[ConnectionInfo, bool]] = field(default_factory=list)
    """With whether it was graceful."""
    local: list[Mapping[str, Any]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def token(self) -> str:
        """What a connector of the tunnel is started with."""
        return self.token_with(SECRET)

    def token_with(self, secret: bytes) -> str:
        """Make a token with a secret that may be wrong."""
        text = {"a": ACCOUNT, "t": self.tunnel_id, "s": base64.b64encode(secret).decode()}
        return base64.b64encode(json.dumps(text).encode()).decode()

    def authenticate(self, account_tag: str, tunnel_id: str, secret: bytes) -> str | None:
        """Accept the one tunnel with its secret, unless told otherwise."""
        self.attempts += 1
        self._changed.set()
        if (account_tag, tunnel_id) != (ACCOUNT, self.tunnel_id):
            return "Unauthorized: Tunnel not found"
        return self.refusal if secret == SECRET else "Unauthorized: Invalid tunnel secret"

    def configuration(self, tunnel_id: str) -> TunnelConfiguration | None:
        """Give what was set."""
        del tunnel_id
        return self.remote

    def connected(self, connection: ConnectionInfo) -> None:
        """Remember a connection."""
        self.live.append(connection)
        self._changed.set()

    def disconnected(self, connection: ConnectionInfo, *, graceful: bool) -> None:
        """Remember how a connection went."""
        self.live.remove(connection)
        self.gone.append((connection, graceful))
        self._changed.set()

    def local_configuration(self, tunnel_id: str, config: Mapping[str, Any]) -> None:
        """Remember an upload."""
        del tunnel_id
        self.local.append(config)
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something heard has made a condition true."""
        async with asyncio.timeout(_PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@dataclass
class Connector:
    """A connector process."""

    process: asyncio.subprocess.Process
    metrics: str
    """`host:port` of its status page."""
    log: Path

    async def page(self, path: str) -> tuple[int, str]:
        """Fetch a page of its status server; waits until the server is up."""
        host, _, port = self.metrics.partition(":")

        async def is_up() -> bool:
            with contextlib.suppress(ConnectionRefusedError):
                _, probe = await asyncio.open_connection(host, int(port))
                probe.close()
                return True
            return False

        await _poll(is_up)
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    async def ready_with(self, connections: int) -> None:
        """Wait until `/ready` tells a number of connections."""

        async def is_ready() -> bool:
            _, text = await self.page("/ready")
            return bool(json.loads(text)["readyConnections"] == connections)

        await _poll(is_ready)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def exit_code(self) -> int:
        """Wait for its end."""
        async with asyncio.timeout(_PATIENCE_S):
            return await self.process.wait()


@dataclass
class TunnelEdge:
    """A listening terminator with one tunnel."""

    directory: RecordingDirectory
    terminator: TunnelTerminator
    port: int
    folder: Path
    _connectors: list[Connector] = field(default_factory=list)

    async def start(
        self, program: ConnectorProgram, *flags: str, token: str | None = None, connections: int = 1
    ) -> Connector:
        """Start a connector of the tunnel; does not wait for its registration."""
        edge = ["--edge", f"127.0.0.1:{self.port}"] * (connections + 1)
        metrics = f"127.0.0.1:{free_port()}"
        log = self.folder / f"connector-{len(self._connectors)}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                *("tunnel", "--no-autoupdate", "--no-prechecks", "--protocol", "http2", *edge),
                *("--ha-connections", str(connections), "--retries", "0"),
                *("--cacert", str(self.folder / "ca.pem"), "--metrics", metrics),
                *flags,
                *("run", "--token", token or self.directory.token),
                stdout=output,
                stderr=output,
            )
        self._connectors.append(Connector(process, metrics, log))
        return self._connectors[-1]

    async def start_registered(
        self, program: ConnectorProgram, *flags: str, connections: int = 1
    ) -> Connector:
        """Start a connector and wait until all of its connections are registered and configured."""
        before = len(self.directory.live)
        connector = await self.start(program, *flags, connections=connections)
        await self.directory.until(lambda: len(self.directory.live) == before + connections)
        if self.directory.remote is not None:
            await self.runs(self.directory.live[-1].client_id, self.directory.remote.version)
        return connector

    async def runs(self, client_id: str, version: int) -> None:
        """Wait until a connector has acknowledged a configuration."""

        async def has_acknowledged() -> bool:
            return self.terminator.applied_version(client_id) == version

        await _poll(has_acknowledged)

    async def configure(self, version: int, *ingress: Mapping[str, Any]) -> None:
        """Set a remotely managed configuration and push it; a catch-all that answers 404 is added."""
        rules = [*ingress, {"service": "http_status:404"}]
        self.directory.remote = TunnelConfiguration(version, {"ingress": rules})
        await self.terminator.push(self.directory.tunnel_id, self.directory.remote)

    async def close(self) -> None:
        """End what was started, and show the logs of connectors."""
        for connector in self._connectors:
            if connector.process.returncode is None:
                connector.process.kill()
            await connector.process.wait()
            sys.stdout.write(f"--- {connector.log.name}\n{connector.log.read_text()}")
        await self.terminator.close()


@asynccontextmanager
async def tunnel_edge(
    folder: Path, authority: CertificateAuthority, *, tuning: Http2Tuning | None = None
) -> AsyncIterator[TunnelEdge]:
    """Run the tunnel side of an edge on a free loopback port."""
    authority.write(folder / "ca.pem")
    directory = RecordingDirectory()
    terminator = TunnelTerminator(directory, tuning=tuning)
    port = await terminator.start("127.0.0.1", 0, authority.tunnel_context())
    edge = TunnelEdge(directory, terminator, port, folder)
    try:
        yield edge
    finally:
        await edge.close()


async def _poll(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition of another process, of which nobody tells."""
    async with asyncio.timeout(_PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - another process sets no event here
            await asyncio.sleep(_POLL_S)


def free_port() -> int:
    """Find a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
