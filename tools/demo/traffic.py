"""Steady traffic from visitors who do not know each other: open loop, a new connection each, no retry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from demo.edge import EdgeFacts
from demo.fallback import NAME as FALLBACK
from demo.samples import OK, Sample, settled_since, share
from demo.waiting import NotYetError, wait_for

TUNNELS: Final = "tunnels"
"""Source of an answer that came from the web application in the cluster."""
TIMEOUT_S = 10.0
RECENT: Final = 20
"""How many answers tell how things stand."""
STRANGER: Final = "a stranger"


class Traffic:
    """Sends `per_second` requests a second to a host name by way of an edge, and keeps what became of each.

    Open loop: a slow answer delays no other request, as with real visitors. Each request carries its
    number, so that the edge's own log can be laid beside.
    """

    def __init__(self, facts: EdgeFacts, hostname: str, per_second: float) -> None:
        self._hostname = hostname
        self._interval_s = 1 / per_second
        self._tls = facts.visitor_tls()
        address, port = facts.door
        self._url = f"https://{address}:{port}/"
        self._open: set[asyncio.Task[None]] = set()
        self._sent = 0
        self._samples: list[Sample] = []

    @property
    def samples(self) -> list[Sample]:
        """What is known so far, by the time of sending."""
        return sorted(self._samples, key=lambda one: one.sent_at)

    async def run(self) -> None:
        """Send until cancelled, then wait for the answers that are still due."""
        connector = aiohttp.TCPConnector(force_close=True, limit=0, ssl=self._tls)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            try:
                due = time.monotonic()
                while True:
                    self._sent += 1
                    task = asyncio.create_task(self._visit(session, self._sent))
                    self._open.add(task)
                    task.add_done_callback(self._open.discard)
                    due += self._interval_s
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
            finally:
                await asyncio.gather(*self._open)

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

    async def _visit(self, session: aiohttp.ClientSession, number: int) -> None:
        sent_at = time.monotonic()
        status, source = 0, ""
        try:
            async with session.get(
                self._url,
                params={"visit": number},
                headers={"Host": self._hostname},
                server_hostname=self._hostname,
            ) as answer:
                body = await answer.json() if answer.content_type == "application/json" else {}
                status = answer.status
                source = _source(body) if status == OK else ""
        except (aiohttp.ClientError, TimeoutError, ValueError):
            pass  # the status says it: none
        self._samples.append(Sample(number, sent_at, status, source, time.monotonic() - sent_at))


def _source(body: dict[str, object]) -> str:
    if body.get("served_by") == FALLBACK:
        return FALLBACK
    return TUNNELS if "pod" in body else STRANGER


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
