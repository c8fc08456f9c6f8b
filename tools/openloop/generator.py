"""The loop that is open: sends when a request is due, whatever has become of those before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from openloop.load import Load, Order
from openloop.results import Answer, Tell


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `status` 0 and an `error` if nothing did."""

    status: int
    error: str = ""
    by: str = ""


Ask = Callable[[Order], Awaitable[Reply]]
"""Sends one request and waits for its end; raises nothing that belongs to the request."""


class Generator:
    """Sends a load and tells what became of each request, in the order in which they end."""

    def __init__(
        self,
        load: Load,
        ask: Ask,
        tell: Tell,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._load = load
        self._ask = ask
        self._tell = tell
        self._now = now
        self._sleep = sleep
        self._open: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Send until cancelled, then wait for the answers that are still due."""
        started = self._now()
        number = 0
        try:
            while True:
                number += 1
                order = self._load.order(number)
                # Those that are late go out at once, each with the moment at which it was due.
                await self._sleep(max(0.0, started + order.due_s - self._now()))
                task = asyncio.create_task(self._visit(order, started + order.due_s))
                self._open.add(task)
                task.add_done_callback(self._open.discard)
        finally:
            await asyncio.gather(*self._open)

    async def _visit(self, order: Order, due_at: float) -> None:
        sent_at = self._now()
        reply = await self._ask(order)
        self._tell(
            Answer(
                order.number, order.path, due_at, sent_at, self._now(), reply.status, reply.error, reply.by
            )
        )
