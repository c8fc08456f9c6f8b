"""A Tunnel under load: its connectors, the visitors' answers and the edge's own log, side by side."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from demo.disruptions import TUNNEL
from demo.open_loop import OpenLoop, open_loop
from demo.pod_diary import Life, PodDiary, pod_diary
from demo.scene import Scene
from demo.stage import TUNNEL_LABEL
from demo.waiting import NotYetError, wait_for
from openloop.load import Load
from openloop.report import report, timeline
from openloop.results import OK, Answer, SocketEvent

APPLICATION: Final = ("default", "app=web")
"""Namespace and labels of what the connectors lead to: a request can fail by its fault, too."""
STEADY_WITHIN_S: Final = 45.0
REPLACED_WITHIN_S: Final = 60.0
OPENED_WITHIN_S: Final = 5.0
"""At the first try, since a refusal is a fault of its own; on a busy machine that takes a while."""
LATE_S: Final = 3.0
"""What is noticed may have been so long ago: diary and WebSocket look about once a second."""


class Endurance:
    """A run under load. Made by `under_load`."""

    def __init__(self, scene: Scene, loop: OpenLoop, diary: PodDiary) -> None:
        self.loop = loop
        self.diary = diary
        self._scene = scene
        self._begun_at = time.monotonic()
        self._read_to = 0
        self._answered: set[str] = set()
        self._sessions: Counter[str | None] = Counter()
        self._said: dict[int, str] = {}
        self._sockets: dict[int, str] = {}

    @property
    def answers(self) -> list[Answer]:
        """What has become of the requests since everything was steady for the first time."""
        return [one for one in self.loop.answers if one.sent_at >= self._begun_at]

    @property
    def sockets(self) -> list[SocketEvent]:
        """What has happened to the WebSocket, its refusals before that moment left out."""
        return [one for one in self.loop.sockets if one.kind != "refused" or one.at >= self._begun_at]

    @property
    def lost(self) -> int:
        """How many of them were not answered with the page."""
        return sum(one.failed for one in self.answers)

    def standing(self) -> list[Life]:
        """List the connectors that are there and that nobody has deleted."""
        return [life for life in self.diary.lives if life.stays]

    async def replaced(self, old: Collection[Life], replicas: int) -> None:
        """Wait until none of the old pods stays, and each that stays has answered a visitor.

        Raises:
            WaitedInVainError: it did not come to that.

        """
        uids = {life.uid for life in old}

        async def look() -> None:
            now = self.standing()
            if len(now) != replicas or any(life.uid in uids or life.ready_at is None for life in now):
                raise NotYetError(f"pods: {now}")
            if silent := await self.silent(now):
                raise NotYetError(f"no answer yet by {silent}")

        await wait_for("connectors that are new and have answered", look, within_s=REPLACED_WITHIN_S)

    async def gone(self, replicas: int, *, within_s: float) -> None:
        """Wait until every pod that was to end is gone and so many are left.

        Raises:
            WaitedInVainError: more are left.

        """

        async def look() -> None:
            left = [life.name for life in self.diary.lives if life.gone_at is None]
            if len(left) != replicas:
                raise NotYetError(f"left: {left}")

        await wait_for("all old pods to be gone", look, within_s=within_s)

    async def enough(self, requests: int) -> None:
        """Wait until so many requests have been answered, well or not.

        Raises:
            WaitedInVainError: they have not.

        """

        async def look() -> None:
            if (seen := len(self.answers)) < requests:
                raise NotYetError(f"{seen} so far")

        await wait_for(f"{requests} requests", look, within_s=2 * requests / self.loop.load.per_second)

    async def silent(self, lives: Collection[Life]) -> list[str]:
        """Name those that have answered no visitor so far, by the edge's own log."""
        await self._catch_up()
        return [life.name for life in lives if not self.diary.connectors(life) & self._answered]

    async def sessions(self) -> Counter[str | None]:
        """Count the requests by what the edge says of their session: `new`, `held`, `away`, None without."""
        await self._catch_up()
        return self._sessions

    async def socket_faults(self, kept_s: float) -> list[str]:
        """Say what was wrong with the WebSocket.

        It lives as long as its connector: it may end `kept_s` seconds after the end of that has begun, not
        before, and must open anew at once. Refusal and silence are faults.
        """
        await self._catch_up()
        told = self.sockets
        faults = [
            f"{one.number} {one.kind}: {one.detail}" for one in told if one.kind in {"refused", "silent"}
        ]
        faults += [
            f"{one.number} ended ({one.detail}) {why}"
            for one in told
            if one.kind == "ended" and (why := self._ended_early(one.number, one.at, kept_s))
        ]
        for before, after in pairwise(one for one in told if one.kind in {"opened", "ended"}):
            if before.kind == "ended" and after.at - before.at > OPENED_WITHIN_S:
                faults.append(
                    f"{after.number} opened only {after.at - before.at:.1f} s after the last had ended"
                )
        return faults

    def report(self) -> str:
        """Say for people what has become of all requests, and when what was done."""
        told = report(self.answers, self.sockets, self.diary.happenings, self._said)
        return "\n".join([told, *timeline(self.diary.happenings, self._begun_at)])

    def _ended_early(self, number: int, at: float, kept_s: float) -> str:
        connector = self._sockets.get(number, "")
        life = next((one for one in self.diary.lives if connector in self.diary.connectors(one)), None)
        if life is None:
            return f"at connector {connector or 'unknown'}"
        if life.deleted_at is None:
            return f"though {life.name} stays"
        kept = at - life.deleted_at
        return f"{kept:.1f} s after the end of {life.name} began" if kept < kept_s - LATE_S else ""

    async def _catch_up(self) -> None:
        for entry in await self._scene.stage.edge.requests(self._read_to):
            self._read_to = int(entry["seq"])
            if entry["host"] == self._scene.hostname:
                self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        connector = entry["connector"]
        visit = entry["path"].partition("visit=")[2]
        if visit.isdigit() and entry["status"] != OK:
            self._said[int(visit)] = (
                f"the edge: {entry['outcome']}, error {entry['error']}, origin {entry['origin']}, "
                f"{self._pod_of(connector)}"
            )
        if connector is None:
            return
        self._answered.add(connector)
        self._sessions[entry["session"]] += 1
        if visit.startswith("socket-"):
            self._sockets[int(visit.removeprefix("socket-"))] = connector

    def _pod_of(self, connector: str | None) -> str:
        found = (life.name for life in self.diary.lives if connector in self.diary.connectors(life))
        return f"pod {next(found, 'unknown')}"


@asynccontextmanager
async def under_load(scene: Scene, folder: Path, per_second: float, **load: Any) -> AsyncIterator[Endurance]:
    """Bring a load, fields of `Load`, onto a scene's Tunnel; at the end all answers that are due have come.

    Raises:
        WaitedInVainError: nothing answers.

    """
    wanted = Load(scene.hostname, per_second, **load)
    async with (
        pod_diary(scene.stage.cluster, scene.namespace, f"{TUNNEL_LABEL}={TUNNEL}") as diary,
        pod_diary(scene.stage.cluster, *APPLICATION, diary.happenings),
        open_loop(scene.stage.edge.facts, wanted, folder / "load.log") as loop,
    ):
        await loop.wait_steady(within_s=STEADY_WITHIN_S)
        yield Endurance(scene, loop, diary)
