"""A connector's life at the edge: registration, configuration, loss and farewell."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from localedge.tunnel.interface import NoConnectionError, TunnelConfiguration, TunnelRequest, TunnelResponse
from localedge.tunnel.testing import Connector, ConnectorProgram, TunnelEdge

HOST = "a.example.com"


@dataclass
class SlowOrigin:
    """Answers with a first part at once and with the rest when it is let."""

    port: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def rule(self) -> dict[str, str]:
        """An ingress rule for it."""
        return {"hostname": HOST, "service": f"http://127.0.0.1:{self.port}"}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nfirst "
            )
            self.asked.set()
            await self.may_end.wait()
            writer.write(b"last")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def slow_origin() -> AsyncIterator[SlowOrigin]:
    origin = SlowOrigin()
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        origin.may_end.set()
        server.close()
        await server.wait_closed()


async def ask(edge: TunnelEdge, path: str = "/") -> TunnelResponse:
    request = TunnelRequest("GET", HOST, path, [])
    return await edge.terminator.request(edge.directory.tunnel_id, request, timeout_s=10)


async def read(response: TunnelResponse) -> bytes:
    return b"".join([part async for part in response.body])


async def status(edge: TunnelEdge) -> int:
    response = await ask(edge)
    await read(response)
    return response.status


def client_of(edge: TunnelEdge) -> str:
    return edge.directory.live[-1].client_id


async def test_four_connections_register_as_one_connector_and_it_is_ready(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    connector = await edge.start_registered(program, connections=4)
    live = edge.directory.live
    assert sorted(connection.index for connection in live) == [0, 1, 2, 3]
    assert len({connection.client_id for connection in live}) == 1
    assert len({connection.id for connection in live}) == 4
    assert {(c.origin_ip, c.colo) for c in live} == {("127.0.0.1", "LHR")}
    assert all("allow_remote_config" in c.features for c in live)
    await connector.ready_with(4)
    code, text = await connector.page("/ready")
    assert (code, json.loads(text)) == (
        200,
        {"status": 200, "readyConnections": 4, "connectorId": live[0].client_id},
    )
    assert [c.id for c in edge.terminator.connections(edge.directory.tunnel_id)] == [c.id for c in live]


async def test_more_connections_than_addresses_are_not_made(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    connector = await edge.start(program, "--ha-connections", "9", connections=1)
    await connector.ready_with(2)
    assert len(edge.directory.live) == 2


async def test_a_wrong_secret_is_refused_and_tried_again(edge: TunnelEdge, program: ConnectorProgram) -> None:
    connector = await edge.start(program, token=edge.directory.token_with(b"wrong"))
    await edge.directory.until(lambda: edge.directory.attempts >= 2)
    assert connector.process.returncode is None
    assert (await connector.page("/ready"))[0] == 503
    assert (await connector.page("/healthcheck"))[0] == 200


async def test_a_deleted_tunnel_is_tried_again_until_it_is_there(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    edge.directory.refusal = "Unauthorized: Tunnel not found"
    await edge.start(program)
    await edge.directory.until(lambda: edge.directory.attempts >= 2)
    edge.directory.refusal = None
    await edge.directory.until(lambda: edge.directory.live)


async def test_any_other_refusal_ends_a_connector_that_starts(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    edge.directory.refusal = "Rate limited"
    connector = await edge.start(program)
    assert await connector.exit_code() == 1


async def test_a_configuration_is_pushed_after_registration_and_at_each_change(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    edge.directory.remote = TunnelConfiguration(0, {"ingress": [{"service": "http_status:418"}]})
    connector = await edge.start_registered(program)
    assert edge.terminator.applied_version(client_of(edge)) == 0
    assert await status(edge) == 418
    await edge.configure(3, {"hostname": HOST, "service": "http_status:201"})
    assert edge.terminator.applied_version(client_of(edge)) == 3
    assert await status(edge) == 201
    shown = json.loads((await connector.page("/config"))[1])
    assert shown["version"] == 3
    assert [rule["service"] for rule in shown["config"]["ingress"]] == ["http_status:201", "http_status:404"]


async def test_an_older_configuration_changes_nothing(edge: TunnelEdge, program: ConnectorProgram) -> None:
    edge.directory.remote = TunnelConfiguration(5, {"ingress": [{"service": "http_status:418"}]})
    await edge.start_registered(program)
    await edge.configure(4)
    assert edge.terminator.applied_version(client_of(edge)) == 5
    assert await status(edge) == 418


async def test_a_bad_ingress_is_not_taken_and_the_old_one_serves_on(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    edge.directory.remote = TunnelConfiguration(1, {"ingress": [{"service": "http_status:418"}]})
    await edge.start_registered(program)
    bad = TunnelConfiguration(2, {"ingress": [{"hostname": HOST, "service": "http_status:201"}]})
    await edge.terminator.push(edge.directory.tunnel_id, bad)
    assert edge.terminator.applied_version(client_of(edge)) == 1
    assert await status(edge) == 418


async def test_what_is_in_flight_ends_under_the_old_configuration(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    async with slow_origin() as origin:
        await edge.configure(1, origin.rule)
        await edge.start_registered(program)
        response = await ask(edge)
        await edge.configure(2, {"hostname": HOST, "service": "http_status:201"})
        assert await status(edge) == 201
        origin.may_end.set()
        assert await read(response) == b"first last"


async def test_a_locally_managed_connector_uploads_its_configuration_and_is_pushed_none(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    await edge.start_registered(program)
    await edge.directory.until(lambda: edge.directory.local)
    assert edge.directory.local[0]["ingress"][0]["service"] == "http_status:503"
    assert edge.directory.local[0]["__configuration_flags"]["protocol"] == "http2"
    assert edge.terminator.applied_version(client_of(edge)) is None
    assert await status(edge) == 503


async def test_sigterm_lets_the_request_in_flight_end_and_exits_0(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    async with slow_origin() as origin:
        await edge.configure(1, origin.rule)
        connector = await edge.start_registered(program, "--grace-period", "20s", connections=2)
        response = await ask(edge)
        await origin.asked.wait()
        connector.signal(signal.SIGTERM)
        await edge.directory.until(lambda: len(edge.directory.gone) == 2)
        assert [graceful for _, graceful in edge.directory.gone] == [True, True]
        assert edge.terminator.connections(edge.directory.tunnel_id) == []
        with pytest.raises(NoConnectionError):
            await ask(edge)
        assert connector.process.returncode is None
        origin.may_end.set()
        assert await read(response) == b"first last"
        assert await connector.exit_code() == 0
        assert len(edge.directory.gone) == 2


async def test_a_request_that_outlasts_the_grace_period_is_cut_and_the_exit_code_is_0(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    async with slow_origin() as origin:
        await edge.configure(1, origin.rule)
        connector = await edge.start_registered(program, "--grace-period", "1s")
        response = await ask(edge)
        connector.signal(signal.SIGTERM)
        assert await connector.exit_code() == 0
        with pytest.raises(Exception, match=r"reset|closed|broke"):
            await read(response)


async def test_a_second_signal_ends_it_at_once(edge: TunnelEdge, program: ConnectorProgram) -> None:
    async with slow_origin() as origin:
        await edge.configure(1, origin.rule)
        connector = await edge.start_registered(program, "--grace-period", "60s")
        response = await ask(edge)
        connector.signal(signal.SIGTERM)
        await edge.directory.until(lambda: edge.directory.gone)
        connector.signal(signal.SIGTERM)
        assert await connector.exit_code() == -signal.SIGTERM
        await response.body.aclose()  # type: ignore[attr-defined]  # the body of a tunnel can be closed


async def test_sigterm_before_the_first_registration_exits_0(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    connector = await edge.start(program, token=edge.directory.token_with(b"wrong"))
    await edge.directory.until(lambda: edge.directory.attempts >= 1)
    connector.signal(signal.SIGTERM)
    assert await connector.exit_code() == 0


async def test_a_killed_connector_is_noticed_at_once_and_was_not_graceful(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    connector = await edge.start_registered(program)
    connector.signal(signal.SIGKILL)
    await edge.directory.until(lambda: edge.directory.gone)
    assert [graceful for _, graceful in edge.directory.gone] == [False]


async def test_a_frozen_connector_is_noticed_by_its_silence(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    connector = await edge.start_registered(program)
    connector.signal(signal.SIGSTOP)
    await edge.directory.until(lambda: edge.directory.gone)
    assert [graceful for _, graceful in edge.directory.gone] == [False]


async def test_a_dropped_connection_comes_back_with_the_same_connector_and_its_configuration(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    await edge.configure(1, {"hostname": HOST, "service": "http_status:201"})
    await edge.start_registered(program)
    client_id = client_of(edge)
    await edge.terminator.disconnect(edge.directory.tunnel_id)
    assert [graceful for _, graceful in edge.directory.gone] == [True]
    await edge.configure(2, {"hostname": HOST, "service": "http_status:202"})
    await edge.directory.until(lambda: edge.directory.live)
    assert client_of(edge) == client_id
    await edge.runs(client_id, 2)
    assert await status(edge) == 202


async def test_one_connector_can_be_dropped_while_another_stays(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    await edge.start_registered(program)
    first = client_of(edge)
    await edge.start_registered(program)
    second = client_of(edge)
    await edge.terminator.disconnect(edge.directory.tunnel_id, first)
    assert [c.client_id for c, _ in edge.directory.gone] == [first]
    assert second in {c.client_id for c in edge.directory.live}


async def test_a_status_address_that_is_taken_ends_the_connector(
    edge: TunnelEdge, program: ConnectorProgram
) -> None:
    first: Connector = await edge.start_registered(program)
    second = await edge.start(program, "--metrics", first.metrics)
    assert await second.exit_code() == 1
