"""Requests of visitors: name, load balancer, pool, origin, tunnel or address, and what comes back."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import ClientSession, WSMsgType, web

from localedge.edge import TlsContexts
from localedge.options import EdgeOptions
from localedge.state.store import Lags
from localedge.testing import Application, FakeAnswer, edge_with_fake_tunnels
from localedge.tunnel.ca import CertificateAuthority
from localedge.tunnel.interface import TunnelRequest

Client = Any
OriginOf = Callable[..., dict[str, Any]]
HOST = "my.example.com"


def answering(body: bytes | AsyncIterator[bytes] = b"ok", **fields: Any) -> Application:
    async def application(request: TunnelRequest) -> FakeAnswer:
        del request
        return FakeAnswer(body=body, **fields)

    return application


@asynccontextmanager
async def origin_server(handler: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def tell(request: web.BaseRequest) -> web.StreamResponse:
    told = {name: request.headers.get(name) for name in ("Host", "CF-Connecting-IP", "X-Forwarded-Proto")}
    body = (await request.read()).decode()
    return web.json_response({**told, "path": request.raw_path, "body": body}, headers={"X-Origin": "yes"})


async def connected(client: Client, name: str, application: Application) -> str:
    tunnel: str = await client.tunnel(name)
    client.fake.tunnels.connect(tunnel, application)
    return tunnel


async def journal(client: Client) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (await client.control("GET", "/requests"))["entries"]
    return entries


async def test_a_request_reaches_the_tunnel_with_the_origins_host(
    client: Client, origin_of: OriginOf
) -> None:
    tunnel = await connected(client, "t", answering(b"hello", headers=(("x-a", "1"), ("x-a", "2"))))
    origin = origin_of("a", tunnel, header={"Host": ["inner.example.com"]})
    await client.balancer([(await client.pool("p", [origin]))["id"]])
    answer = await client.visit(f"{HOST.upper()}:80", "/a%2Fb?c=d%20e", headers={"CF-Ray": "forged"})
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert answer.headers.get_list("x-a") == ["1", "2"]
    sent = client.fake.tunnels.requests[-1]
    assert (sent.method, sent.authority, sent.path) == ("GET", "inner.example.com", "/a%2Fb?c=d%20e")
    fields = dict(sent.headers)
    assert fields["cf-connecting-ip"] == "127.0.0.1"
    assert fields["cf-ray"] == answer.headers["cf-ray"]
    assert not {"connection", "host", "transfer-encoding", "upgrade"} & fields.keys()
    entry = (await journal(client))[-1]
    assert (entry["pool"], entry["origin"], entry["tunnel"], entry["status"]) == ("p", "a", tunnel, 200)
    assert entry["connector"] == client.fake.tunnels.connections(tunnel)[0].client_id


async def test_bodies_stream_both_ways(client: Client, origin_of: OriginOf) -> None:
    async def echo(request: TunnelRequest) -> FakeAnswer:
        assert not isinstance(request.body, bytes)
        return FakeAnswer(body=request.body)

    tunnel = await connected(client, "t", echo)
    await client.balancer([(await client.pool("p", [origin_of("a", tunnel)]))["id"]])
    body = bytes(range(256)) * 8192
    answer = await client.visit(HOST, method="POST", content=body)
    assert answer.content == body


async def test_the_first_byte_does_not_wait_for_the_last(client: Client, origin_of: OriginOf) -> None:
    more = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await more.wait()
        yield b"data: 2\n\n"

    tunnel = await connected(client, "t", answering(events()))
    await client.balancer([(await client.pool("p", [origin_of("a", tunnel)]))["id"]])
    url = f"http://127.0.0.1:{client.fake.ports.http}/"
    async with client.http.stream("GET", url, headers={"Host": HOST}) as answer:
        chunks = answer.aiter_raw()
        assert await anext(chunks) == b"data: 1\n\n"
        more.set()
        assert await anext(chunks) == b"data: 2\n\n"


async def test_a_stream_that_breaks_breaks_the_visitors_connection(
    client: Client, origin_of: OriginOf
) -> None:
    tunnel = await connected(client, "t", answering(b"half", breaks=True))
    await client.balancer([(await client.pool("p", [origin_of("a", tunnel)]))["id"]])
    with pytest.raises(httpx.TransportError):
        await client.visit(HOST)


async def test_compressed_bodies_pass_as_they_are(client: Client) -> None:
    packed = gzip.compress(b"text")

    async def echo(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=await request.read(), headers={"Content-Encoding": "gzip"})

    runner = web.ServerRunner(web.Server(echo, auto_decompress=False), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = {"name": "a", "address": "127.0.0.1", "port": runner.addresses[0][1]}
    await client.balancer([(await client.pool("p", [origin]))["id"]])
    answer = await client.visit(HOST, method="POST", content=packed, headers={"Content-Encoding": "gzip"})
    await runner.cleanup()
    assert (answer.headers["content-encoding"], answer.content) == ("gzip", b"text")


async def test_a_body_that_waits_for_100_continue_is_asked_for(client: Client, origin_of: OriginOf) -> None:
    async def echo(request: TunnelRequest) -> FakeAnswer:
        assert "expect" not in dict(request.headers)
        assert not isinstance(request.body, bytes)
        return FakeAnswer(body=request.body)

    tunnel = await connected(client, "t", echo)
    await client.balancer([(await client.pool("p", [origin_of("a", tunnel)]))["id"]])
    reader, writer = await asyncio.open_connection("127.0.0.1", client.fake.ports.http)
    head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"body")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()


async def test_a_visitor_who_leaves_ends_the_request_at_the_origin(
    client: Client, origin_of: OriginOf
) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow(_request: TunnelRequest) -> FakeAnswer:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return FakeAnswer()

    tunnel = await connected(client, "t", slow)
    await client.balancer([(await client.pool("p", [origin_of("a", tunnel)]))["id"]])
    _, writer = await asyncio.open_connection("127.0.0.1", client.fake.ports.http)
    writer.write(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    await asyncio.wait_for(began.wait(), 5)
    writer.close()
    await asyncio.wait_for(ended.wait(), 5)
    entry = (await journal(client))[-1]
    assert (entry["status"], entry["outcome"]) == (499, "aborted")
    assert (entry["origin"], entry["tunnel"]) == ("a", tunnel), "where the visitor had been sent"


async def test_origins_share_the_requests(client: Client, origin_of: OriginOf) -> None:
    tunnels = [await connected(client, name, answering(name.encode())) for name in "abc"]
    origins = [origin_of(name, tunnel) for name, tunnel in zip("abc", tunnels, strict=True)]
    await client.balancer([(await client.pool("p", origins))["id"]])
    seen = Counter([(await client.visit(HOST)).text for _ in range(90)])
    assert set(seen) == {"a", "b", "c"}
    counters = (await client.control("GET", "/counters"))["requests"]
    assert sum(c["count"] for c in counters) == 90


async def test_a_disabled_origin_gets_nothing_and_a_disabled_pool_fails_over(
    client: Client, origin_of: OriginOf
) -> None:
    a, b, c = [await connected(client, name, answering(name.encode())) for name in "abc"]
    first = await client.pool("p", [origin_of("a", a, enabled=False), origin_of("b", b)])
    second = await client.pool("q", [origin_of("c", c)])
    await client.balancer([first["id"], second["id"]])
    assert {(await client.visit(HOST)).text for _ in range(10)} == {"b"}
    path = f"{client.fake.account_path}/load_balancers/pools/{first['id']}"
    await client.ok("PATCH", path, {"enabled": False})
    assert (await client.visit(HOST)).text == "c"


async def test_a_tunnel_without_connections_is_530_with_error_1033(
    client: Client, origin_of: OriginOf
) -> None:
    pool = await client.pool("p", [origin_of("a", await client.tunnel("t"))])
    await client.balancer([pool["id"]])
    answer = await client.visit(HOST)
    assert (answer.status_code, answer.headers["retry-after"]) == (530, "120")
    assert "1033" in answer.text


async def test_530_and_502_are_no_reason_for_another_try(client: Client, origin_of: OriginOf) -> None:
    gone = await client.tunnel("gone")
    refused = await connected(client, "refused", answering(b"", status=502, source="cloudflared"))
    fine = await connected(client, "fine", answering())
    origins = [origin_of(n, t) for n, t in (("gone", gone), ("refused", refused), ("fine", fine))]
    await client.balancer([(await client.pool("p", origins))["id"]])
    statuses = Counter([(await client.visit(HOST)).status_code for _ in range(60)])
    assert set(statuses) == {200, 502, 530}
    assert {e["tries"] for e in await journal(client)} == {1}
    assert {e["outcome"] for e in await journal(client) if e["status"] == 502} == {"cloudflared"}


async def test_no_pool_and_no_fallback_is_530_with_error_1016(client: Client, origin_of: OriginOf) -> None:
    tunnel = await connected(client, "t", answering())
    pool = await client.pool("p", [origin_of("a", tunnel)], enabled=False)
    await client.balancer([pool["id"]])
    answer = await client.visit(HOST)
    assert (answer.status_code, "1016" in answer.text) == (530, True)


async def test_an_unknown_name_is_error_1001(client: Client) -> None:
    answer = await client.visit("nobody.example.com")
    assert (answer.status_code, "1001" in answer.text) == (409, True)


async def test_a_load_balancer_beats_a_record_and_gives_the_name_back(
    client: Client, origin_of: OriginOf
) -> None:
    by_record = await connected(client, "r", answering(b"record"))
    by_balancer = await connected(client, "b", answering(b"balancer"))
    record = {
        "type": "CNAME",
        "name": HOST,
        "content": f"{by_record}.cfargotunnel.com",
        "proxied": True,
    }
    await client.ok("POST", f"{client.fake.zone_path}/dns_records", record)
    assert (await client.visit(HOST)).text == "record"
    pool = await client.pool("p", [origin_of("a", by_balancer)])
    balancer = await client.balancer([pool["id"]])
    assert (await client.visit(HOST)).text == "balancer"
    path = f"{client.fake.zone_path}/load_balancers/{balancer['id']}"
    await client.ok("PATCH", path, {"enabled": False})
    assert (await client.visit(HOST)).text == "record"


async def test_a_wildcard_answers_for_names_without_their_own_entry(
    client: Client, origin_of: OriginOf
) -> None:
    tunnel = await connected(client, "t", answering(b"wild"))
    pool = await client.pool("p", [origin_of("a", tunnel)])
    await client.balancer([pool["id"]], name="*.example.com")
    assert (await client.visit("anything.example.com")).text == "wild"
    assert (await client.visit("example.com")).status_code == 409


@pytest.mark.parametrize("options", [EdgeOptions(Path(), lags=Lags(config=3, state=0, death=5), seed=1)])
async def test_the_data_plane_lags_behind_the_api_and_behind_a_death(
    client: Client, origin_of: OriginOf
) -> None:
    clock = client.fake.edge.clock
    tunnel = await client.tunnel("t")
    connector = client.fake.tunnels.connect(tunnel, answering())
    pool = await client.pool("p", [origin_of("a", tunnel)])
    await client.balancer([pool["id"]])
    assert (await client.visit(HOST)).status_code == 409
    clock.step(3)
    assert (await client.visit(HOST)).status_code == 200
    client.fake.tunnels.leave(tunnel, connector, graceful=False)
    assert (await client.visit(HOST)).status_code == 502
    clock.step(5)
    assert (await client.visit(HOST)).status_code == 530


async def test_a_graceful_leave_is_noticed_at_once(client: Client, origin_of: OriginOf) -> None:
    client.fake.edge.options.lags.death = 60
    tunnel = await client.tunnel("t")
    leaving = client.fake.tunnels.connect(tunnel, answering(b"old"))
    client.fake.tunnels.connect(tunnel, answering(b"new"))
    await client.balancer([(await client.pool("p", [origin_of("a", tunnel)]))["id"]])
    client.fake.tunnels.leave(tunnel, leaving, graceful=True)
    assert {(await client.visit(HOST)).text for _ in range(20)} == {"new"}


async def test_the_dead_half_of_a_tunnel_attracts_its_share_until_it_is_noticed(
    client: Client, origin_of: OriginOf
) -> None:
    client.fake.edge.options.lags.death = 60
    tunnel = await client.tunnel("t")
    dying = client.fake.tunnels.connect(tunnel, answering())
    client.fake.tunnels.connect(tunnel, answering())
    await client.balancer([(await client.pool("p", [origin_of("a", tunnel)]))["id"]])
    client.fake.tunnels.leave(tunnel, dying, graceful=False)
    statuses = Counter([(await client.visit(HOST)).status_code for _ in range(100)])
    assert 25 < statuses[502] < 75
    assert statuses[200] == 100 - statuses[502]


async def test_an_address_origin_is_reached_on_its_port_with_its_host(client: Client) -> None:
    async with origin_server(tell) as port:
        origin = {"name": "a", "address": "127.0.0.1", "port": port, "header": {"Host": ["in.example.com"]}}
        await client.balancer([(await client.pool("p", [origin]))["id"]])
        answer = await client.visit(HOST, "/x?y", method="POST", content=b"body")
    assert answer.headers["x-origin"] == "yes"
    assert answer.json() == {
        "Host": "in.example.com",
        "CF-Connecting-IP": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "path": "/x?y",
        "body": "body",
    }


async def test_a_refused_connection_is_tried_once_more_on_another_origin_of_the_pool(client: Client) -> None:
    async with origin_server(tell) as port:
        origins = [
            {"name": "down", "address": "127.0.0.2", "port": port, "weight": 1},
            {"name": "up", "address": "127.0.0.1", "port": port, "weight": 0.01},
        ]
        await client.balancer([(await client.pool("p", origins))["id"]])
        answers = [await client.visit(HOST, method="POST", content=b"b") for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["body"] for answer in answers} == {"b"}
    assert 2 in {entry["tries"] for entry in await journal(client)}


async def test_other_pools_are_tried_only_where_adaptive_routing_says_so(client: Client) -> None:
    async with origin_server(tell) as port:
        down = await client.pool("down", [{"name": "d", "address": "127.0.0.2", "port": port}])
        up = await client.pool("up", [{"name": "u", "address": "127.0.0.1", "port": port}])
        balancer = await client.balancer([down["id"], up["id"]])
        assert (await client.visit(HOST)).status_code == 521
        path = f"{client.fake.zone_path}/load_balancers/{balancer['id']}"
        await client.ok("PATCH", path, {"adaptive_routing": {"failover_across_pools": True}})
        assert (await client.visit(HOST)).status_code == 200


@pytest.mark.parametrize(
    ("mode", "visitor", "trusted", "status"),
    [
        ("off", "https", True, 520),
        ("full", "https", False, 200),
        ("strict", "https", True, 200),
        ("strict", "https", False, 526),
    ],
)
async def test_the_zones_ssl_mode_decides_how_an_address_origin_is_spoken_to(
    tmp_path: Path, mode: str, visitor: str, trusted: bool, status: int
) -> None:
    authority = CertificateAuthority()
    authority.write(tmp_path / "ca.pem")
    options = EdgeOptions(tmp_path, lags=Lags(0, 0, 0), origin_ca=tmp_path / "ca.pem" if trusted else None)
    tls = TlsContexts(authority.tunnel_context(), authority.https_context(["example.com", "*.example.com"]))
    async with (
        origin_server(tell, authority.https_context(["*.example.com"])) as port,
        edge_with_fake_tunnels(options, tls=tls) as fake,
        httpx.AsyncClient(
            base_url=fake.api,
            headers=dict(fake.headers),
            verify=ssl.create_default_context(cafile=str(tmp_path / "ca.pem")),
        ) as http,
    ):
        await http.patch(f"{fake.zone_path}/settings/ssl", json={"value": mode})
        origin = {"name": "a", "address": "127.0.0.1", "port": port, "header": {"Host": [HOST]}}
        body = {"name": "p", "origins": [origin], "check_regions": ["WNAM"]}
        pool = (await http.post(f"{fake.account_path}/load_balancers/pools", json=body)).json()["result"][
            "id"
        ]
        balancer = {"name": HOST, "proxied": True, "default_pools": [pool], "fallback_pool": pool}
        await http.post(f"{fake.zone_path}/load_balancers", json=balancer)
        answer = await http.get(
            f"{visitor}://127.0.0.1:{fake.ports.https}/",
            headers={"Host": HOST},
            extensions={"sni_hostname": HOST},
        )
    assert answer.status_code == status


async def websocket_echo(request: web.BaseRequest) -> web.StreamResponse:
    socket = web.WebSocketResponse(protocols=("chat",))
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(f"{message.data}!")
    return socket


async def test_a_websocket_to_an_address_origin_passes_raw(client: Client) -> None:
    async with origin_server(websocket_echo) as port, ClientSession() as session:
        origin = {"name": "a", "address": "127.0.0.1", "port": port}
        await client.balancer([(await client.pool("p", [origin]))["id"]])
        url = f"http://127.0.0.1:{client.fake.ports.http}/ws"
        async with session.ws_connect(url, headers={"Host": HOST}, protocols=("chat",)) as socket:
            assert socket.protocol == "chat"
            for text in ("a", "b" * 100_000):
                await socket.send_str(text)
                assert await socket.receive_str() == f"{text}!"


async def test_a_websocket_through_a_tunnel_passes_raw(client: Client, origin_of: OriginOf) -> None:
    async def raw_echo(request: TunnelRequest) -> FakeAnswer:
        assert request.websocket
        assert dict(request.headers)["sec-websocket-version"] == "13"
        assert not isinstance(request.body, bytes)
        return FakeAnswer(101, request.body, (("sec-websocket-accept", "x"), ("upgrade", "websocket")))

    tunnel = await connected(client, "t", raw_echo)
    await client.balancer([(await client.pool("p", [origin_of("a", tunnel)]))["id"]])
    reader, writer = await asyncio.open_connection("127.0.0.1", client.fake.ports.http)
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\nfirst".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert await reader.readexactly(5) == b"first"
    writer.write(b"\x00raw\xff")
    assert await reader.readexactly(5) == b"\x00raw\xff"
    writer.close()
    await writer.wait_closed()


async def test_a_seed_makes_choices_repeat_themselves(client: Client) -> None:
    same = replace(client.fake.edge.options)
    async with edge_with_fake_tunnels(same) as again:
        assert again.edge.account.id == client.fake.edge.account.id
