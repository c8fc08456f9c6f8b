"""The place of a run: a counting edge, a control plane, a fleet, and the operator whenever it is wanted."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from bench.cluster import Cluster, control_plane
from bench.fleet import Fleet, Json
from bench.operator_process import Operator, running_operator
from demo.children import running
from demo.edge import EdgeFacts, LocalEdge
from demo.progress import Progress
from demo.waiting import NotYetError, wait_for

EDGE_READY_S = 30.0
EDGE_STOP_S = 10.0
SETTLED_WITHIN_S = 1500.0
LOOK_EVERY_S = 2.0
ANSWER_S = 30.0
"""For a busy machine."""
QUIET_S = 5.0
"""So long nothing must wait in the operator's queue before it counts as done."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls to Cloudflare's API, oldest first."""

    entries: Sequence[Json]

    @property
    def writes(self) -> list[Json]:
        """Those that change something."""
        return [one for one in self.entries if one["method"] != "GET"]

    def lookups(self) -> list[Json]:
        """List the reads of single objects: those whose path names more than an account or a zone.

        Configurations of tunnels are left out: they have no listing, and are read in rotation (law 3).
        """
        return [
            one
            for one in self.entries
            if one["method"] == "GET"
            and one["route"].count("{") > 1
            and not one["route"].endswith("/configurations")
        ]

    def by_kind(self) -> str:
        """Tell methods and routes, the most frequent first."""
        found = Counter(f"{one['method']} {_shortened(one['route'])}" for one in self.entries)
        return ", ".join(f"{count} {name}" for name, count in found.most_common())

    def last_write_at(self) -> float:
        """Tell when the last write was taken, in seconds since the epoch."""
        return max(datetime.fromisoformat(one["time"]).timestamp() for one in self.writes)


@dataclass(slots=True)
class Testbed:
    """What stands there."""

    folder: Path
    edge: LocalEdge
    cluster: Cluster
    http: httpx.AsyncClient
    progress: Progress
    fleet: Fleet
    profiled: bool = False

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[Operator]:
        """Run the operator for the length of the block, which begins once it is ready."""
        async with running_operator(
            self.folder, self.cluster.operator_kubeconfig, self.edge.facts, profiled=self.profiled
        ) as operator:
            await operator.wait_ready(self.http)
            yield operator

    async def calls(self, since: int) -> Calls:
        """Read the edge's journal."""
        return Calls(await self.edge.calls(since))

    async def grow(self, fleet: Fleet) -> None:
        """Apply the resources that a larger fleet has and the present one lacks."""
        there = {(plural, raw["metadata"]["name"]) for plural, raw in self.fleet.manifests()}
        await self.cluster.create_all(
            (plural, raw)
            for plural, raw in fleet.manifests()
            if (plural, raw["metadata"]["name"]) not in there
        )
        self.fleet = fleet

    async def wait_settled(self, operator: Operator, within_s: float = SETTLED_WITHIN_S) -> float:
        """Wait until every resource is Ready and nothing waits; returns when that was (monotonic)."""

        async def ready() -> float:
            late = await self.cluster.unsettled()
            if late:
                raise NotYetError(f"{len(late)} are not ready, as {', '.join(late[:3])}")
            return time.monotonic()

        at = await wait_for("all resources", ready, within_s=within_s, every_s=LOOK_EVERY_S)
        await self.wait_idle(operator)
        return at

    async def wait_idle(self, operator: Operator) -> float:
        """Wait until the operator's queue has been empty for a while; returns since when (monotonic)."""
        since: list[float] = []

        async def look() -> float:
            if await operator.backlog(self.http):
                since.clear()
                raise NotYetError("keys wait")
            since.append(time.monotonic())
            if since[-1] - since[0] < QUIET_S:
                raise NotYetError("not for long enough")
            return since[0]

        return await wait_for("an empty queue", look, within_s=SETTLED_WITHIN_S, every_s=0.5)


@asynccontextmanager
async def counting_edge(folder: Path) -> AsyncIterator[tuple[LocalEdge, str]]:
    """Run a counting edge; yields it, and the URL at which connectors are started."""
    folder.mkdir(parents=True)  # noqa: ASYNC240 - nothing else runs yet
    argv = [sys.executable, "-m", "bench.counting_edge", str(folder)]
    async with running(
        "the counting edge",
        argv,
        folder / "edge.log",
        ready_within_s=EDGE_READY_S,
        stop_within_s=EDGE_STOP_S,
    ) as said:
        edge = LocalEdge(EdgeFacts.read(said))
        try:
            yield edge, str(said["connect_url"])
        finally:
            await edge.close()


@asynccontextmanager
async def testbed(folder: Path, progress: Progress, *, profiled: bool) -> AsyncIterator[Testbed]:
    """Bring edge and control plane up; there is no resource yet, and no operator."""
    async with AsyncExitStack() as stack:
        edge, connect_url = await stack.enter_async_context(counting_edge(folder / "edge"))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=ANSWER_S))

        async def connect(namespace: str, tunnel: str, slot: str) -> None:
            (await http.post(f"{connect_url}/{namespace}/{tunnel}/{slot}")).raise_for_status()

        cluster = await stack.enter_async_context(
            control_plane(folder / "cluster", edge.facts.account_id, edge.facts.api_token, connect)
        )
        progress.event("counting edge and control plane are up")
        yield Testbed(folder, edge, cluster, http, progress, Fleet(0, 0, 0), profiled)


def _shortened(route: str) -> str:
    return "/".join("…" if part.startswith("{") else part for part in route.split("/")[3:]) or route
