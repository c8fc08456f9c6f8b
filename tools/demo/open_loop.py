"""The load generator as a child process, and what it has told so far."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from demo.children import running
from demo.edge import EdgeFacts
from demo.waiting import NotYetError, wait_for
from openloop.load import Load
from openloop.program import options
from openloop.results import Answer, Record, SocketEvent, read

READY_WITHIN_S = 30.0
RECENT_S = 2.0


class OpenLoop:
    """A load under way. Its results are read from the child's log, in the order in which they came."""

    def __init__(self, load: Load, log: Path) -> None:
        self.load = load
        self._log = log
        self._offset = 0
        self._records: list[Record] = []

    @property
    def answers(self) -> list[Answer]:
        """What has become of the requests that have ended."""
        self._catch_up()
        return [each for each in self._records if isinstance(each, Answer)]

    @property
    def sockets(self) -> list[SocketEvent]:
        """What has happened to the WebSocket."""
        self._catch_up()
        return [each for each in self._records if isinstance(each, SocketEvent)]

    async def wait_steady(self, *, within_s: float) -> None:
        """Wait until requests of the last seconds have all been answered by the application.

        Raises:
            WaitedInVainError: they have not.

        """

        async def look() -> None:
            since = time.monotonic() - RECENT_S
            recent = [each for each in self.answers if each.sent_at >= since]
            good = sum(not each.failed and bool(each.by) for each in recent)
            if good < RECENT_S * self.load.per_second / 2 or good < len(recent):
                raise NotYetError(f"{good} of {len(recent)} answers of the last {RECENT_S:.0f} s are good")

        await wait_for(f"steady answers from {self.load.hostname}", look, within_s=within_s)

    def _catch_up(self) -> None:
        with self._log.open() as file:
            file.seek(self._offset)
            while (line := file.readline()).endswith("\n"):
                self._offset = file.tell()
                record = read(line)
                if record is not None:
                    self._records.append(record)


@asynccontextmanager
async def open_loop(facts: EdgeFacts, load: Load, log: Path) -> AsyncIterator[OpenLoop]:
    """Send a load for the length of the block, and wait at its end for the answers that are due.

    Raises:
        ChildError: the generator did not start.

    """
    address, port = facts.door
    door = f"{address}:{port}"
    argv = [sys.executable, "-m", "openloop", door, load.hostname, f"--ca={facts.ca_file}", *options(load)]
    async with running(
        "the load generator",
        argv,
        log,
        ready_within_s=READY_WITHIN_S,
        stop_within_s=load.timeout_s + 5,
    ):
        yield OpenLoop(load, log)
