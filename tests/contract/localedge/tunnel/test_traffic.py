"""Requests through a connector: what the origin sees, what comes back. One connector serves all tests."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from localedge.tunnel.ca import CertificateAuthority
from localedge.tunnel.interface import Headers, StreamFailedError, TunnelRequest, TunnelResponse
from localedge.tunnel.testing import Connector, ConnectorProgram, TunnelEdge, free_port, tunnel_edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = "a.example.com"
MIB = 1 << 20


class Origin:
    """An application with one path for each behaviour, and a raw server for what an application cannot do."""

    def __init__(self) -> None:
        self.seen: list[web.BaseRequest] = []
        self.hung_up = asyncio.Event()
        self.port = self.raw_port = self.tls_port = 0
        server = web.Server(self._serve, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        self._raw: asyncio.Server | None = None

    async def start(self, authority: CertificateAuthority) -> None:
        """Listen with and without TLS, and raw."""
        await self._runner.setup()
        for context in (None, authority.https_context(["origin.test"])):
            site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
            await site.start()
        self.port, self.tls_port = (address[1] for address in self._runner.addresses)
        self._raw = await asyncio.start_server(self._serve_raw, "127.0.0.1", 0)
        self.raw_port = self._raw.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening."""
        if self._raw is not None:
            self._raw.close()
            await self._raw.wait_closed()
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request)
        match request.path:
            case "/echo":
                return web.Response(body=await request.read(), status=201)
            case "/digest":
                digest = hashlib.sha256()
                async for part in request.content.iter_any():
                    digest.update(part)
                return web.Response(text=digest.hexdigest())
            case "/big":
                return web.Response(body=b"x" * 20 * MIB)
            case "/not-modified":
                return web.Response(status=304, headers={"ETag": '"e"'})
            case "/events":
                return await self._events(request)
            case "/socket":
                return await self._socket(request)
            case "/no-socket":
                return web.Response(status=403, text="no socket for you")
            case _:
                answer = web.Response(text="hello")
                answer.headers.add("Set-Cookie", "a=1")
                answer.headers.add("Set-Cookie", "b=2")
                return answer

    async def _events(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: 1\n\n")
        try:
            await asyncio.Event().wait()
        finally:
            self.hung_up.set()
        return answer

    @staticmethod
    async def _socket(request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=["chat"])
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"you said {message.data}")
        return socket

    @staticmethod
    async def _serve_raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        match head.split()[1]:
            case b"/trailers":
                writer.write(b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n")
                writer.write(b"2\r\nok\r\n0\r\nX-T: tr\r\n\r\n")
            case b"/not-modified":
                writer.write(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n")
            case b"/cut":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            case b"/odd":
                writer.write(b"HTTP/1.1 200 OK\r\nX-Odd: \xc3\xa9 \xe9\r\nContent-Length: 0\r\n\r\n")
            case b"/empty":
                pass
            case path:
                raise AssertionError(path)
        await writer.drain()
        writer.close()


class Through:
    """Sends requests through the connector."""

    def __init__(self, edge: TunnelEdge, origin: Origin, connector: Connector) -> None:
        self.edge = edge
        self.origin = origin
        self.connector = connector

    async def send(self, method: str, path: str, *, host: str = HOST, **fields: Any) -> TunnelResponse:
        """Send a request and wait for the header fields of the answer."""
        headers: Headers = fields.pop("headers", [])
        timeout_s = fields.pop("timeout_s", 20)
        request = TunnelRequest(method, host, path, headers, **fields)
        return await self.edge.terminator.request(self.edge.directory.tunnel_id, request, timeout_s=timeout_s)

    async def get(self, path: str, *, host: str = HOST, **fields: Any) -> tuple[int, bytes, TunnelResponse]:
        """Send a GET and read the answer."""
        response = await self.send("GET", path, host=host, **fields)
        return response.status, await read(response), response


async def read(response: TunnelResponse) -> bytes:
    return b"".join([part async for part in response.body])


async def parts(*items: bytes) -> AsyncIterator[bytes]:
    for item in items:
        yield item


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def through(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, program: ConnectorProgram
) -> AsyncIterator[Through]:
    origin = Origin()
    await origin.start(authority)
    folder: Path = tmp_path_factory.mktemp("edge")
    async with tunnel_edge(folder, authority) as edge:
        tls = f"https://127.0.0.1:{origin.tls_port}"
        trusted = {"originServerName": "origin.test", "caPool": str(folder / "ca.pem")}
        await edge.configure(
            1,
            {"hostname": HOST, "service": f"http://127.0.0.1:{origin.port}"},
            {"hostname": "raw.example.com", "service": f"http://127.0.0.1:{origin.raw_port}"},
            {"hostname": "dead.example.com", "service": f"http://127.0.0.1:{free_port()}"},
            {"hostname": "tls.example.com", "service": tls},
            {"hostname": "any-tls.example.com", "service": tls, "originRequest": {"noTLSVerify": True}},
            {"hostname": "good-tls.example.com", "service": tls, "originRequest": trusted},
            {
                "hostname": "*.inner.example.com",
                "service": f"http://127.0.0.1:{origin.port}",
                "originRequest": {"httpHostHeader": "inner"},
            },
        )
        connector = await edge.start_registered(program)
        yield Through(edge, origin, connector)
    await origin.close()


async def test_a_request_reaches_the_origin_as_the_visitor_sent_it(through: Through) -> None:
    fields = [
        ("x-twice", "1"),
        ("x-twice", "2"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("connection", "x-gone"),
        ("x-gone", "1"),
        ("user-agent", "test"),
    ]
    status, body, response = await through.get("/a%20b//c?x=1&y=%2F", host=HOST.upper(), headers=fields)
    assert (status, body, response.source) == (200, b"hello", "origin")
    assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert ("content-length", "5") in response.headers
    seen = through.origin.seen[-1]
    assert (seen.method, seen.raw_path) == ("GET", "/a%20b//c?x=1&y=%2F")
    assert seen.headers["Host"] == HOST
    assert seen.headers.getall("X-Twice") == ["1", "2"]
    assert seen.headers["Cookie"] == "a=1; b=2"
    assert seen.headers["Accept-Encoding"] == "identity"
    assert seen.headers["Cf-Warp-Tag-Id"] == response.connection.client_id
    assert "X-Gone" not in seen.headers
    assert "X-Forwarded-Host" not in seen.headers


async def test_no_user_agent_is_invented(through: Through) -> None:
    await through.get("/")
    assert "User-Agent" not in through.origin.seen[-1].headers


async def test_the_host_header_of_a_rule_replaces_the_host(through: Through) -> None:
    await through.get("/", host="x.inner.example.com")
    seen = through.origin.seen[-1].headers
    assert (seen["Host"], seen["X-Forwarded-Host"]) == ("inner", "x.inner.example.com")


async def test_a_hostname_without_a_rule_goes_to_the_last_rule(through: Through) -> None:
    status, body, response = await through.get("/", host="other.example.com")
    assert (status, body, response.source, response.headers) == (404, b"", "origin", [])


async def test_a_body_of_known_length_keeps_its_length(through: Through) -> None:
    response = await through.send("POST", "/echo", body=b"12345")
    assert (response.status, await read(response)) == (201, b"12345")
    assert through.origin.seen[-1].headers["Content-Length"] == "5"


async def test_a_body_of_unknown_length_is_streamed_in_chunks(through: Through) -> None:
    response = await through.send("POST", "/echo", body=parts(b"12", b"345"))
    assert (response.status, await read(response)) == (201, b"12345")
    assert through.origin.seen[-1].headers["Transfer-Encoding"] == "chunked"


async def test_a_large_download_arrives_whole(through: Through) -> None:
    status, body, _ = await through.get("/big")
    assert (status, len(body), set(body)) == (200, 20 * MIB, {ord("x")})


async def test_a_large_upload_arrives_whole(through: Through) -> None:
    chunk = bytes(range(256)) * 1024
    response = await through.send("PUT", "/digest", body=parts(*[chunk] * 32))
    assert (await read(response)).decode() == hashlib.sha256(chunk * 32).hexdigest()


async def test_uploads_that_nobody_reads_do_not_use_the_connection_up(through: Through) -> None:
    for _ in range(40):
        response = await through.send("PUT", "/", host="other.example.com", body=bytes(60_000))
        assert (response.status, await read(response)) == (404, b"")
    response = await through.send("POST", "/echo", body=bytes(MIB))
    assert len(await read(response)) == MIB


async def test_a_head_has_the_length_and_no_body(through: Through) -> None:
    response = await through.send("HEAD", "/big")
    assert (response.status, await read(response)) == (200, b"")
    assert ("content-length", str(20 * MIB)) in response.headers


async def test_a_304_with_the_length_of_the_body_that_it_lacks_breaks_nothing(through: Through) -> None:
    connected = through.edge.terminator.connections(through.edge.directory.tunnel_id)
    for _ in range(2):
        status, body, response = await through.get("/not-modified", host="raw.example.com")
        assert (status, body) == (304, b"")
        assert ("content-length", "12") in response.headers
    assert through.edge.terminator.connections(through.edge.directory.tunnel_id) == connected


async def test_events_arrive_one_by_one_and_a_cancel_reaches_the_origin(through: Through) -> None:
    through.origin.hung_up.clear()
    response = await through.send("GET", "/events")
    assert await anext(response.body) == b"data: 1\n\n"
    assert not through.origin.hung_up.is_set()
    await response.body.aclose()  # type: ignore[attr-defined]  # the body of a tunnel can be closed
    async with asyncio.timeout(10):
        await through.origin.hung_up.wait()


async def test_trailers_of_an_origin_come_with_the_end(through: Through, program: ConnectorProgram) -> None:
    status, body, response = await through.get(
        "/trailers", host="raw.example.com", headers=[("te", "trailers")]
    )
    assert (status, body) == (200, b"ok")
    # The HTTP client of the stand-in does not give trailers: it says so in its module.
    assert response.trailers == ([("x-t", "tr")] if program.is_real else [])


async def test_octets_beyond_ascii_come_back_as_they_are(through: Through) -> None:
    _, _, response = await through.get("/odd", host="raw.example.com")
    assert dict(response.headers)["x-odd"].encode("latin-1") == b"\xc3\xa9 \xe9"


@pytest.mark.parametrize("sent", ["é".encode(), b"plain"])
async def test_octets_beyond_ascii_reach_the_origin_as_they_are(through: Through, sent: bytes) -> None:
    await through.get("/", headers=[("x-odd", sent.decode("latin-1"))])
    seen = dict(through.origin.seen[-1].raw_headers)  # type: ignore[attr-defined]  # aiohttp keeps the octets
    assert seen[b"X-Odd"] == sent


async def test_a_websocket_carries_raw_frames_both_ways(through: Through) -> None:
    sent: asyncio.Queue[bytes] = asyncio.Queue()

    async def frames() -> AsyncIterator[bytes]:
        while frame := await sent.get():
            yield frame

    response = await through.send(
        "GET",
        "/socket",
        headers=[
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "chat"),
        ],
        websocket=True,
        body=frames(),
    )
    fields = dict(response.headers)
    assert (response.status, response.source) == (101, "origin")
    assert fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert (fields["upgrade"].lower(), fields["sec-websocket-protocol"]) == ("websocket", "chat")
    for word in (b"one", b"two"):
        sent.put_nowait(b"\x81" + bytes([0x80 | len(word)]) + bytes(4) + word)
        answer = b"you said " + word
        assert await anext(response.body) == b"\x81" + bytes([len(answer)]) + answer
    sent.put_nowait(b"")
    assert b"you" not in await read(response)


async def test_an_origin_that_refuses_a_websocket_answers_itself(through: Through) -> None:
    response = await through.send("GET", "/no-socket", headers=[("sec-websocket-key", "x")], websocket=True)
    assert (response.status, await read(response), response.source) == (403, b"no socket for you", "origin")


@pytest.mark.parametrize("websocket", [False, True])
async def test_an_origin_that_is_down_is_502_by_cloudflared(through: Through, *, websocket: bool) -> None:
    response = await through.send("GET", "/", host="dead.example.com", websocket=websocket)
    assert (response.status, await read(response), response.source) == (502, b"", "cloudflared")


async def test_an_origin_that_closes_before_it_answers_is_502_by_cloudflared(through: Through) -> None:
    status, _, response = await through.get("/empty", host="raw.example.com")
    assert (status, response.source) == (502, "cloudflared")


async def test_an_origin_that_breaks_off_breaks_the_answer(through: Through) -> None:
    # cloudflared may hold the header fields of so short an answer back until it knows that it has failed.
    with pytest.raises(StreamFailedError):
        await through.get("/cut", host="raw.example.com")


@pytest.mark.parametrize(
    ("host", "status"),
    [("tls.example.com", 502), ("any-tls.example.com", 200), ("good-tls.example.com", 200)],
)
async def test_the_certificate_of_an_origin_counts_as_the_rule_says(
    through: Through, host: str, status: int
) -> None:
    assert (await through.get("/", host=host))[0] == status


async def test_an_answer_that_takes_too_long_is_given_up(through: Through) -> None:
    through.origin.hung_up.clear()
    started = await through.send("GET", "/events")
    with pytest.raises(TimeoutError):
        await through.send("POST", "/digest", body=never(), timeout_s=0.2)
    await started.body.aclose()  # type: ignore[attr-defined]  # the body of a tunnel can be closed


async def never() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def test_a_visitor_cannot_reach_into_the_connectors_network(through: Through) -> None:
    seen = len(through.origin.seen)
    status, body, _ = await through.get("/", headers=[("cf-cloudflared-proxy-src", "127.0.0.1:1")])
    assert (status, body, len(through.origin.seen)) == (200, b"hello", seen + 1)


async def test_more_requests_than_the_connector_takes_at_once_wait_their_turn(through: Through) -> None:
    answers = await asyncio.gather(*(through.get("/") for _ in range(400)))
    assert {(status, body) for status, body, _ in answers} == {(200, b"hello")}


async def test_requests_are_counted_under_cloudflareds_names(through: Through) -> None:
    await through.get("/", host="other.example.com")
    status, page = await through.connector.page("/metrics")
    assert status == 200
    names = {line.split("{")[0].split(" ")[0] for line in page.splitlines() if not line.startswith("#")}
    assert names >= {
        "build_info",
        "cloudflared_tunnel_ha_connections",
        "cloudflared_tunnel_total_requests",
        "cloudflared_tunnel_request_errors",
        "cloudflared_tunnel_response_by_code",
        "cloudflared_tunnel_concurrent_requests_per_tunnel",
        "cloudflared_tunnel_server_locations",
        "cloudflared_tunnel_tunnel_register_success",
        "cloudflared_orchestration_config_version",
    }
    assert 'cloudflared_tunnel_server_locations{connection_id="0",edge_location="LHR"} 1' in page
