"""A TCP forwarder in a few lines: each connection goes to the endpoint that is chosen when it arrives."""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

CHUNK = 64 * 1024
# A pod on loopback answers or refuses at once: what takes seconds is this process on a busy machine.
CONNECT_TIMEOUT_S = 15.0


class Forwarder:
    """Listens on one address and port. A connection for which `choose` gives None is reset."""

    def __init__(self, choose: Callable[[], tuple[str, int] | None]) -> None:
        self._choose = choose
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, address: str, port: int) -> None:
        """Begin. Raises OSError if the port cannot be had."""
        self._server = await asyncio.start_server(self._accept, address, port)

    def close(self) -> None:
        """Stop listening and end all connections."""
        if self._server:
            self._server.close()
        for task in self._connections:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            await self._forward(reader, writer)
        except (OSError, TimeoutError):
            _reset(writer)
        except asyncio.CancelledError:
            _reset(writer)  # closed on purpose: the stream protocol would log a cancelled handler

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        endpoint = self._choose()
        if endpoint is None:
            _reset(writer)
            return
        far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(*endpoint), CONNECT_TIMEOUT_S)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer))
                group.create_task(_pump(far_reader, writer))
        except* OSError:
            _reset(writer)
        finally:
            for each in (writer, far_writer):
                with suppress(OSError):
                    each.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a refusing host does, not as one that has said all."""
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
