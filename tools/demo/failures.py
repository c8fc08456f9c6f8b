"""Why requests failed: each failure laid beside the edge's own note of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from demo.edge import LocalEdge
from demo.samples import Sample
from demo.traffic import Traffic, steady_traffic

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that got anything but the page, and where the edge had sent it."""

    sent_s: float
    """Seconds after the watch began."""
    status: int
    """As the visitor saw it; 0 if there was no answer in time."""
    pool: str
    origin: str
    """Empty if the edge had found none."""
    error: int
    """Cloudflare's number of the page; 0 if it was no page of the edge's own."""

    def __str__(self) -> str:
        """Say it in a line."""
        where = f"{self.pool}/{self.origin}" if self.origin else "nowhere"
        return f"{self.sent_s:6.2f} s: status {self.status or 'none'}, sent to {where}, error {self.error}"


class Watch:
    """Traffic to a host name, and what the edge notes meanwhile of requests and of writes."""

    def __init__(
        self, edge: LocalEdge, hostname: str, traffic: Traffic, since: Mapping[str, int], began: float
    ) -> None:
        self._edge = edge
        self._hostname = hostname
        self.traffic = traffic
        self._since = since
        self._began = began

    @property
    def now_s(self) -> float:
        """Seconds since the watch began."""
        return time.monotonic() - self._began

    async def failures(self) -> list[Failure]:
        """List the failures so far that have ended, in the order of sending."""
        noted = by_visit(await self._edge.requests(self._since["requests"]), self._hostname)
        return [explained(one, noted, self._began) for one in self.traffic.samples if one.failed]

    async def writes(self, pool: str) -> list[Json]:
        """List the accepted writes to a pool."""
        ids = {one["id"] for one in (await self._edge.state())["pools"] if one["name"] == pool}
        return [
            call
            for call in await self._edge.calls(self._since["calls"])
            if call["method"] != "GET" and call["status"] == 200 and call["path"].rpartition("/")[2] in ids  # noqa: PLR2004 - HTTP OK
        ]

    def at_s(self, call: Json) -> float:
        """Tell when a call was taken, in seconds since the watch began."""
        epoch = datetime.fromisoformat(call["time"]).timestamp()
        return epoch - (time.time() - time.monotonic()) - self._began


@asynccontextmanager
async def watched(edge: LocalEdge, hostname: str, per_second: float) -> AsyncIterator[Watch]:
    """Send traffic for the length of the block and keep what becomes of it."""
    since = {"requests": await edge.last_request(), "calls": await edge.last_call()}
    began = time.monotonic()
    async with steady_traffic(edge.facts, hostname, per_second) as traffic:
        yield Watch(edge, hostname, traffic, since, began)


def by_visit(requests: Iterable[Json], hostname: str) -> dict[int, Json]:
    """Find the edge's note of each visit to a host name, by its number."""
    found = {}
    for one in requests:
        number = parse_qs(urlsplit(one["path"]).query).get("visit", [""])[0]
        if one["host"] == hostname and number.isdigit():
            found[int(number)] = one
    return found


def explained(sample: Sample, noted: Mapping[int, Json], began: float) -> Failure:
    """Lay a failed request beside the edge's note of it."""
    note = noted.get(sample.number, {})
    return Failure(
        sent_s=sample.sent_at - began,
        status=sample.status,
        pool=note.get("pool") or "",
        origin=note.get("origin") or "",
        error=note.get("error") or 0,
    )


def unexplained(
    failures: Sequence[Failure], culprits: Collection[str], *, until_s: float, from_s: float = 0.0
) -> list[str]:
    """List the failures that were not sent to one of these origins in this time, in words.

    `culprits` are ends of names of origins, such as `_web_1`.
    """
    return [
        str(one)
        for one in failures
        if not (from_s <= one.sent_s <= until_s and one.origin.endswith(tuple(culprits)))
    ]
