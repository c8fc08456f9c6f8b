"""One WebSocket, held open: an echo each second, and opened anew whenever it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Protocol

import aiohttp

from openloop.load import numbered
from openloop.results import SocketEvent, SocketKind, Tell

EVERY_S = 1.0
ECHO_WITHIN_S = 5.0
AGAIN_AFTER_S = 0.5
"""How long is waited after a refusal; after an end it is opened anew at once."""


class Socket(Protocol):
    """What is used of a WebSocket."""

    @property
    def close_code(self) -> int | None:
        """Why it was closed; 1006 if nobody said."""

    async def send_str(self, data: str) -> None:
        """Send a text."""

    async def receive(self, timeout: float | None = None) -> aiohttp.WSMessage:  # noqa: ASYNC109 - aiohttp's
        """Wait for a message."""

    async def close(self) -> object:
        """Close it."""


class SocketHolder:
    """Holds it, and tells what happens to it. An end is no failure by itself: connectors end, too."""

    def __init__(
        self,
        path: str,
        connect: Callable[[str], Awaitable[Socket]],
        tell: Tell,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._path = path
        self._connect = connect
        self._tell = tell
        self._now = now
        self._sleep = sleep

    async def run(self) -> None:
        """Hold it until cancelled."""
        for number in count(1):
            try:
                socket = await self._connect(numbered(self._path, f"socket-{number}"))
            except (aiohttp.ClientError, TimeoutError) as error:
                self._say("refused", number, f"{type(error).__name__}: {error}")
                await self._sleep(AGAIN_AFTER_S)
                continue
            self._say("opened", number)
            try:
                await self._echo(socket, number)
            finally:
                await socket.close()

    async def _echo(self, socket: Socket, number: int) -> None:
        for turn in count(1):
            text = f"{number}.{turn}"
            try:
                await socket.send_str(text)
                message = await socket.receive(timeout=ECHO_WITHIN_S)
            except TimeoutError:
                self._say("silent", number, f"no echo within {ECHO_WITHIN_S:.0f} s")
                return
            except (aiohttp.ClientError, ConnectionError) as error:
                self._say("ended", number, f"{type(error).__name__}: {error}")
                return
            if message.type is not aiohttp.WSMsgType.TEXT:
                self._say("ended", number, f"closed with {socket.close_code}")
                return
            if message.data != text:
                self._say("silent", number, f"{message.data!r} came back for {text!r}")
                return
            await self._sleep(EVERY_S)

    def _say(self, kind: SocketKind, number: int, detail: str = "") -> None:
        self._tell(SocketEvent(self._now(), kind, number, detail))
