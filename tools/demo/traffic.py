"""Steady traffic of the load generator in this process, and who answers it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from demo.edge import EdgeFacts
from demo.fallback import NAME as FALLBACK
from demo.samples import Sample, settled_since, share
from demo.waiting import NotYetError, wait_for
from openloop.generator import Generator
from openloop.load import Load
from openloop.results import Answer, Record
from openloop.visitors import Door, visitors

TUNNELS: Final = "tunnels"
"""Source of an answer that came from the web application in the cluster."""
TIMEOUT_S = 10.0
RECENT: Final = 20
"""How many answers tell how things stand."""
STRANGER: Final = "a stranger"


class Traffic:
    """Sends `per_second` requests a second to a host name by way of an edge, and keeps the results."""

    def __init__(self, facts: EdgeFacts, hostname: str, per_second: float) -> None:
        self._load = Load(hostname, per_second, timeout_s=TIMEOUT_S)
        self._door = Door(*facts.door, facts.visitor_tls())
        self._samples: list[Sample] = []

    @property
    def samples(self) -> list[Sample]:
        """What is known so far, by the time of sending."""
        return sorted(self._samples, key=lambda one: one.sent_at)

    async def run(self) -> None:
        """Send until cancelled, then wait for the answers that are still due."""
        async with visitors(self._load, self._door) as people:
            await Generator(self._load, people.ask, self._take).run()

    async def wait_settled(self, source: str, *, for_s: float, within_s: float) -> float:
        """Wait until `source` alone has answered for a while; returns the time at which that began.

        Raises:
            WaitedInVainError: it has not, within `within_s` seconds.

        """

        async def look() -> float:
            samples = self.samples
            since = settled_since(samples, source)
            if since is None or samples[-1].sent_at - since < for_s:
                raise NotYetError(f"answers so far: {share(samples[-RECENT:])}")
            return since

        return await wait_for(f"answers from {source}", look, within_s=within_s)

    def _take(self, record: Record) -> None:
        if isinstance(record, Answer):
            source = _source(record.by) if not record.failed else ""
            self._samples.append(Sample(record.number, record.sent_at, record.status, source, record.took_s))


def _source(by: str) -> str:
    if by == FALLBACK:
        return FALLBACK
    return TUNNELS if by else STRANGER


async def visit(facts: EdgeFacts, hostname: str) -> dict[str, Any]:
    """Visit a host name once; returns the JSON of the answer, empty if it was none."""
    address, port = facts.door
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
        session.get(
            f"https://{address}:{port}/",
            headers={"Host": hostname},
            server_hostname=hostname,
            ssl=facts.visitor_tls(),
        ) as answer,
    ):
        said: dict[str, Any] = await answer.json() if answer.content_type == "application/json" else {}
        return said


@asynccontextmanager
async def steady_traffic(facts: EdgeFacts, hostname: str, per_second: float) -> AsyncIterator[Traffic]:
    """Send traffic for the length of the block."""
    traffic = Traffic(facts, hostname, per_second)
    task = asyncio.create_task(traffic.run(), name=f"traffic to {hostname}")
    try:
        yield traffic
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
