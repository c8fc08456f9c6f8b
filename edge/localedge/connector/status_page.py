"""The connector's own small HTTP server: `/ready`, `/healthcheck`, `/metrics`, `/config`.

Written by hand, since a pod is probed every few seconds and many connectors run at once: a web framework
would cost each of them start time and memory for four fixed answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable

_HEAD_BYTES = 1 << 13
_PATIENCE_S = 5.0
_DEFAULT_HOST, _DEFAULT_PORTS = "localhost", range(20241, 20246)
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}

Page = Callable[[], tuple[int, str]]
"""Makes a status and a text."""


class StatusPage:
    """Serves fixed paths by GET and HEAD, one request for each connection."""

    def __init__(self, pages: dict[str, Page]) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None

    async def start(self, address: tuple[str, int] | None) -> tuple[str, int]:
        """Listen; without an address on the first free of cloudflared's usual ports, else on any.

        Raises:
            OSError: the address is taken.

        """
        if address is not None:
            return await self._listen(*address)
        for port in _DEFAULT_PORTS:
            with contextlib.suppress(OSError):
                return await self._listen(_DEFAULT_HOST, port)
        return await self._listen(_DEFAULT_HOST, 0)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _listen(self, host: str, port: int) -> tuple[str, int]:
        self._server = await asyncio.start_server(self._serve, host, port, limit=_HEAD_BYTES)
        name = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                method, target = head.split(b" ", 2)[:2]
                writer.write(self._answer(method.decode("latin-1"), target.decode("latin-1")))
                await writer.drain()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a request, or nobody waits for the answer
        finally:
            writer.close()

    def _answer(self, method: str, target: str) -> bytes:
        page = self._pages.get(target.partition("?")[0])
        if method not in ("GET", "HEAD"):
            status, text = 405, "Method Not Allowed\n"
        elif page is None:
            status, text = 404, "404 page not found\n"
        else:
            status, text = page()
        body = text.encode()
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + (b"" if method == "HEAD" else body)


def readiness(ready_connections: int, connector_id: str) -> tuple[int, str]:
    """Write the `/ready` page: ready with at least one registered connection."""
    status = 200 if ready_connections else 503
    document = {"status": status, "readyConnections": ready_connections, "connectorId": connector_id}
    return status, json.dumps(document, separators=(",", ":"))
