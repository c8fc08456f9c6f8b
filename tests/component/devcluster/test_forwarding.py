"""The forwarder of a Service."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from devcluster.loopback import free_port
from devcluster.podrunner.forwarding import Forwarder

ADDRESS = "127.0.0.1"


@pytest.fixture
async def shouting() -> AsyncIterator[int]:
    """Serve: answer in capitals when the client has said all. The port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, ADDRESS, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def ask(port: int, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    try:
        writer.write(text)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def test_bytes_go_both_ways_and_so_does_the_end(shouting: int) -> None:
    port = free_port(ADDRESS)
    forwarder = Forwarder(lambda: (ADDRESS, shouting))
    await forwarder.listen(ADDRESS, port)
    text = b"hello " * 50_000
    assert await ask(port, text) == text.upper()
    forwarder.close()


async def test_a_connection_is_reset_when_there_is_nobody_to_take_it() -> None:
    nobody = free_port(ADDRESS)
    for choose in (lambda: None, lambda: (ADDRESS, nobody)):
        port = free_port(ADDRESS)
        forwarder = Forwarder(choose)
        await forwarder.listen(ADDRESS, port)
        with pytest.raises(ConnectionResetError):
            await ask(port, b"x")
        forwarder.close()


async def test_closing_ends_the_connections_that_are_open(shouting: int) -> None:
    port = free_port(ADDRESS)
    taken = asyncio.Event()

    def choose() -> tuple[str, int]:
        taken.set()
        return ADDRESS, shouting

    forwarder = Forwarder(choose)
    await forwarder.listen(ADDRESS, port)
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    await asyncio.wait_for(taken.wait(), 5)
    forwarder.close()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
