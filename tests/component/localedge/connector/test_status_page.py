from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from localedge.connector.status_page import StatusPage, readiness


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    page = StatusPage({"/ready": lambda: readiness(0, "id"), "/healthcheck": lambda: (200, "OK\n")})
    yield await page.start(("127.0.0.1", 0))
    await page.close()


async def send(address: tuple[str, int], text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(text)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_page_is_served_with_its_status(address: tuple[str, int]) -> None:
    answer = await send(address, b"GET /ready?x HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert body == b'{"status":503,"readyConnections":0,"connectorId":"id"}'


@pytest.mark.parametrize(
    ("request_line", "first_line"),
    [
        (b"HEAD /healthcheck HTTP/1.1", b"HTTP/1.1 200 OK"),
        (b"GET /other HTTP/1.1", b"HTTP/1.1 404 Not Found"),
        (b"POST /ready HTTP/1.1", b"HTTP/1.1 405 Method Not Allowed"),
    ],
)
async def test_other_requests_are_answered_as_http_has_it(
    address: tuple[str, int], request_line: bytes, first_line: bytes
) -> None:
    answer = await send(address, request_line + b"\r\n\r\n")
    assert answer.split(b"\r\n")[0] == first_line


async def test_a_head_has_no_body(address: tuple[str, int]) -> None:
    assert (await send(address, b"HEAD /healthcheck HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\n")


@pytest.mark.parametrize("junk", [b"", b"GET", b"\r\n\r\n", b"x" * 20000])
async def test_what_is_no_request_is_hung_up_on(address: tuple[str, int], junk: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # a reset, when more came than was read
        assert await send(address, junk) == b""


async def test_ready_is_one_registered_connection() -> None:
    assert readiness(1, "id") == (200, '{"status":200,"readyConnections":1,"connectorId":"id"}')
