"""A WebSocket is held, and what happens to it is told."""

import asyncio
from collections import deque

import aiohttp
import pytest

from openloop.results import Record, SocketEvent
from openloop.socket_holder import Socket, SocketHolder

pytestmark = pytest.mark.looptime(noop_cycles=1)


class Echo:
    """Sends back what it gets, so often; then `end` is what it does."""

    def __init__(self, turns: int, end: str) -> None:
        self._turns = turns
        self._end = end
        self._sent: deque[str] = deque()
        self.closed = False

    @property
    def close_code(self) -> int | None:
        """The code of a connection that was cut."""
        return 1006

    async def send_str(self, data: str) -> None:
        """Take a text, or break."""
        if not self._turns and self._end == "reset":
            raise aiohttp.ClientConnectionResetError("cut")
        self._sent.append(data)

    async def receive(self, timeout: float | None = None) -> aiohttp.WSMessage:  # noqa: ASYNC109 - aiohttp's
        """Give it back, or do what it does at its end."""
        if self._turns:
            self._turns -= 1
            return aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, self._sent.popleft(), None)
        if self._end == "silent":
            await asyncio.sleep(timeout or 0)
            raise TimeoutError
        if self._end == "other":
            return aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, "something else", None)
        return aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)

    async def close(self) -> object:
        """Take note."""
        self.closed = True
        return None


async def held(sockets: list[Echo | Exception], seconds: float) -> list[SocketEvent]:
    told: list[Record] = []
    coming = iter(sockets)

    async def connect(path: str) -> Socket:
        assert path.startswith("/ws?visit=socket-")
        one = next(coming)
        if isinstance(one, Exception):
            raise one
        return one

    task = asyncio.create_task(
        SocketHolder("/ws", connect, told.append, now=asyncio.get_running_loop().time).run()
    )
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return [each for each in told if isinstance(each, SocketEvent)]


async def test_while_it_lives_nothing_is_told_and_at_the_end_it_is_closed() -> None:
    echo = Echo(1000, "closed")
    assert [each.kind for each in await held([echo], 20)] == ["opened"]
    assert echo.closed


@pytest.mark.parametrize(
    ("end", "kind"), [("closed", "ended"), ("reset", "ended"), ("silent", "silent"), ("other", "silent")]
)
async def test_what_ends_it_is_told_and_it_is_opened_anew_at_once(end: str, kind: str) -> None:
    first, second = Echo(3, end), Echo(1000, end)
    told = await held([first, second], 12)
    assert [(each.kind, each.number) for each in told] == [("opened", 1), (kind, 1), ("opened", 2)]
    assert told[1].at == told[2].at
    assert first.closed


async def test_a_refusal_is_told_and_tried_again_a_moment_later() -> None:
    told = await held([aiohttp.ClientConnectionError("530"), Echo(1000, "closed")], 3)
    assert [each.kind for each in told] == ["refused", "opened"]
    assert "530" in told[0].detail
