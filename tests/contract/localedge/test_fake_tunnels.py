"""The fake tunnels of the tests behave as the real terminator does with a connector behind it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from json import dumps
from pathlib import Path
from typing import Any, Protocol

import pytest
from aiohttp import web

from localedge.testing import FakeAnswer, FakeTunnels
from localedge.tunnel.ca import CertificateAuthority
from localedge.tunnel.interface import (
    ConnectionInfo,
    NoConnectionError,
    TunnelConfiguration,
    TunnelRequest,
    Tunnels,
)
from localedge.tunnel.terminator import TunnelTerminator

TUNNEL = "11111111-2222-4333-8444-555555555555"
SECRET = b"s" * 32
HOST = "my.example.com"


@dataclass
class Directory:
    """One tunnel, and what was said of its connections."""

    config: Mapping[str, Any] = field(default_factory=dict)
    came: list[ConnectionInfo] = field(default_factory=list)
    went: list[tuple[str, bool]] = field(default_factory=list)

    def authenticate(self, account_tag: str, tunnel_id: str, secret: bytes) -> str | None:
        """Let the one tunnel in."""
        good = (account_tag, tunnel_id, secret) == ("account", TUNNEL, SECRET)
        return None if good else "Unauthorized: Tunnel not found"

    def configuration(self, tunnel_id: str) -> TunnelConfiguration | None:
        """Give the configuration of version 1."""
        del tunnel_id
        return TunnelConfiguration(1, self.config)

    def connected(self, connection: ConnectionInfo) -> None:
        """Note who came."""
        self.came.append(connection)

    def disconnected(self, connection: ConnectionInfo, *, graceful: bool) -> None:
        """Note who went."""
        self.went.append((connection.client_id, graceful))

    def local_configuration(self, tunnel_id: str, config: Mapping[str, Any]) -> None:
        """Hear nothing: the tunnel is remotely managed."""


class Side(Protocol):
    """Tunnels, and how to start and end connectors on them."""

    tunnels: Tunnels
    directory: Directory

    async def connect(self) -> str:
        """Start a connector of one connection; returns its id."""

    async def leave(self, client_id: str, *, graceful: bool) -> None:
        """End a connector."""


async def until(condition: Any) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.01)


class FakeSide:
    """The fake."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.fake = FakeTunnels(self.directory, time.time)
        self.tunnels: Tunnels = self.fake

    async def connect(self) -> str:
        """Connect a function."""
        return self.fake.connect(TUNNEL, application, connections=1)

    async def leave(self, client_id: str, *, graceful: bool) -> None:
        """Let it go."""
        self.fake.leave(TUNNEL, client_id, graceful=graceful)


class RealSide:
    """The terminator, with stand-in connectors as processes and an application on loopback."""

    def __init__(self, stack: AsyncExitStack, folder: Path) -> None:
        self._stack = stack
        self._ca = folder / "ca.pem"
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self.directory = Directory()
        self.terminator = TunnelTerminator(self.directory)
        self.tunnels: Tunnels = self.terminator
        self._port = 0

    async def start(self) -> None:
        """Start the application and the terminator."""
        runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        service = f"http://127.0.0.1:{runner.addresses[0][1]}"
        rules = [{"hostname": HOST, "service": service}, {"service": "http_status:404"}]
        self.directory.config = {"ingress": rules, "warp-routing": {"enabled": False}}
        authority = CertificateAuthority()
        authority.write(self._ca)
        self._port = await self.terminator.start("127.0.0.1", 0, authority.tunnel_context())
        self._stack.push_async_callback(self.terminator.close)

    async def connect(self) -> str:
        """Start a process and wait until it serves by the configuration that it was sent."""
        known = {c.client_id for c in self.directory.came}
        address = f"127.0.0.1:{self._port}"
        token = b64encode(
            dumps({"a": "account", "t": TUNNEL, "s": b64encode(SECRET).decode()}).encode()
        ).decode()
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("localedge")),
            *("connector", "tunnel", "--edge", address, "--edge", address, "--ha-connections", "1", "run"),
            env={
                **os.environ,
                "TUNNEL_TOKEN": token,
                "TUNNEL_CACERT": str(self._ca),
                "TUNNEL_METRICS": "127.0.0.1:0",
                "TUNNEL_TRANSPORT_PROTOCOL": "http2",
            },
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._stack.push_async_callback(end, process)
        await until(lambda: {c.client_id for c in self.directory.came} > known)
        client = next(c.client_id for c in self.directory.came if c.client_id not in known)
        await until(lambda: self.terminator.applied_version(client) is not None)
        self._processes[client] = process
        return client

    async def leave(self, client_id: str, *, graceful: bool) -> None:
        """Signal the process and wait until the edge has heard of it."""
        self._processes[client_id].send_signal(signal.SIGTERM if graceful else signal.SIGKILL)
        await until(lambda: client_id in {client for client, _ in self.directory.went})


async def end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


async def application(request: TunnelRequest) -> FakeAnswer:
    if request.path == "/missing":
        return FakeAnswer(404, b"nothing here", (("x-a", "1"), ("x-a", "2")))
    body = request.body if isinstance(request.body, bytes) else b"".join([c async for c in request.body])
    return FakeAnswer(200, f"{request.method} {request.authority} {request.path} ".encode() + body)


async def serve(request: web.BaseRequest) -> web.StreamResponse:
    answer = await application(
        TunnelRequest(request.method, request.host, request.raw_path, [], await request.read())
    )
    assert isinstance(answer.body, bytes)
    response = web.Response(status=answer.status, body=answer.body)
    for name, value in answer.headers:
        response.headers.add(name, value)
    return response


@pytest.fixture(params=["fake", "real"])
async def side(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Side]:
    async with AsyncExitStack() as stack:
        if request.param == "fake":
            yield FakeSide()
        else:
            real = RealSide(stack, tmp_path)
            await real.start()
            yield real


async def ask(tunnels: Tunnels, path: str = "/", **fields: Any) -> tuple[int, bytes, str]:
    request = TunnelRequest(
        fields.pop("method", "GET"), HOST, path, [("accept-encoding", "identity")], **fields
    )
    response = await tunnels.request(TUNNEL, request, timeout_s=10)
    body = b"".join([chunk async for chunk in response.body])
    return response.status, body, response.connection.client_id


async def test_a_request_is_answered_by_the_application(side: Side) -> None:
    client = await side.connect()
    assert await ask(side.tunnels, "/a?b=c", method="POST", body=b"body") == (
        200,
        b"POST my.example.com /a?b=c body",
        client,
    )
    response = await side.tunnels.request(TUNNEL, TunnelRequest("GET", HOST, "/missing", []))
    assert (response.status, response.source) == (404, "origin")
    assert sorted(value for name, value in response.headers if name == "x-a") == ["1", "2"]
    assert b"".join([chunk async for chunk in response.body]) == b"nothing here"


async def test_a_tunnel_without_connections_takes_no_request(side: Side) -> None:
    assert list(side.tunnels.connections(TUNNEL)) == []
    with pytest.raises(NoConnectionError):
        await ask(side.tunnels)


async def test_connectors_come_and_go_and_the_directory_hears_how(side: Side) -> None:
    first, second = await side.connect(), await side.connect()
    assert {c.client_id for c in side.tunnels.connections(TUNNEL)} == {first, second}
    assert {(await ask(side.tunnels))[2] for _ in range(40)} == {first, second}
    await side.leave(first, graceful=True)
    assert {(await ask(side.tunnels))[2] for _ in range(10)} == {second}
    await side.leave(second, graceful=False)
    assert side.directory.went == [(first, True), (second, False)]
    with pytest.raises(NoConnectionError):
        await ask(side.tunnels)


async def test_a_pushed_configuration_is_acknowledged(side: Side) -> None:
    client = await side.connect()
    assert side.tunnels.applied_version(client) == 1
    await side.tunnels.push(TUNNEL, TunnelConfiguration(2, {"ingress": [{"service": "http_status:418"}]}))
    assert side.tunnels.applied_version(client) == 2


async def test_disconnected_connectors_are_heard_of(side: Side) -> None:
    client = await side.connect()
    await side.tunnels.disconnect(TUNNEL, client)
    await until(lambda: (client, True) in side.directory.went)
