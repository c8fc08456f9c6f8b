"""Which pods came and went, and when: to lay beside requests that failed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from demo.cluster import Cluster
from openloop.report import Happening

EVERY_S: Final = 0.3
CONTAINER: Final = "cloudflared"
CONNECTOR_ID: Final = re.compile(r"Connector ID: ([0-9a-f-]{36})")
Json = dict[str, Any]


@dataclass(slots=True)
class Life:
    """A pod's; moments are those at which it was noticed, on the monotonic clock, None: not yet."""

    uid: str
    name: str
    node: str = ""
    ready: bool = False
    ready_at: float | None = None
    """For the first time."""
    deleted_at: float | None = None
    """When its end began: somebody has deleted or evicted it."""
    gone_at: float | None = None

    @property
    def stays(self) -> bool:
        """Tell whether it is there and nobody has deleted it."""
        return self.deleted_at is None and self.gone_at is None


class PodDiary:
    """Looks at the pods of a selector a few times a second. Made by `pod_diary`."""

    def __init__(
        self, cluster: Cluster, namespace: str, selector: str, happenings: list[Happening] | None = None
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._selector = selector
        self._lives: dict[str, Life] = {}
        self.happenings: list[Happening] = [] if happenings is None else happenings

    @property
    def lives(self) -> list[Life]:
        """Every pod that was ever there, in the order in which they came."""
        return list(self._lives.values())

    def note(self, text: str) -> None:
        """Add something that was done."""
        self.happenings.append(Happening(time.monotonic(), text))

    def connectors(self, life: Life) -> set[str]:
        """Read from its log by which ids a pod has introduced itself to the edge."""
        return connectors_in(self._cluster.facts.logs / f"{self._namespace}_{life.name}_{CONTAINER}.log")

    async def look(self) -> None:
        """Take note of what has changed."""
        pods = await self._cluster.pods(self._namespace, self._selector)
        now = time.monotonic()
        for pod in pods:
            self._see(pod, now)
        present = {pod["metadata"]["uid"] for pod in pods}
        for life in self._lives.values():
            if life.uid not in present and life.gone_at is None:
                life.gone_at = now
                self._say(now, life, "is gone")

    async def keep(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    def _see(self, pod: Json, now: float) -> None:
        meta = pod["metadata"]
        if meta["uid"] not in self._lives:
            self._lives[meta["uid"]] = life = Life(meta["uid"], meta["name"])
            self._say(now, life, "is there")
        life = self._lives[meta["uid"]]
        life.node = pod["spec"].get("nodeName", "")
        if _ready(pod) is not life.ready:
            life.ready = not life.ready
            self._say(now, life, f"is ready on {life.node}" if life.ready else "is not ready any more")
        if life.ready and life.ready_at is None:
            life.ready_at = now
        if life.deleted_at is None and "deletionTimestamp" in meta:
            life.deleted_at = now
            self._say(now, life, "is being ended")

    def _say(self, now: float, life: Life, text: str) -> None:
        self.happenings.append(Happening(now, f"pod {life.name} {text}"))


@asynccontextmanager
async def pod_diary(
    cluster: Cluster, namespace: str, selector: str, happenings: list[Happening] | None = None
) -> AsyncIterator[PodDiary]:
    """Keep a diary for the length of the block, in `happenings` if it shall share one."""
    diary = PodDiary(cluster, namespace, selector, happenings)
    await diary.look()
    task = asyncio.create_task(diary.keep(), name=f"diary of {namespace}")
    try:
        yield diary
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def connectors_in(log: Path) -> set[str]:
    """Find the ids in a connector's log; none if there is no log yet."""
    try:
        return set(CONNECTOR_ID.findall(log.read_text(errors="replace")))
    except FileNotFoundError:
        return set()


def _ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
