"""The experiment of the demo: a connector dies without a word. Which requests fail, and until when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from demo.samples import between, last_failure_after
from demo.stage import Stage
from demo.traffic import Traffic

GRACE_S: Final = 5.0
"""How long the operator may take, by its promise, from the death of a connector to its write."""
WATCH_ON_S: Final = 3.0
"""How long is looked beyond the promised end: while one origin of three is dead, some request fails in it."""


@dataclass(frozen=True, slots=True)
class Outage:
    """What was measured. Seconds count from the kill; None: there was none."""

    killed_at: float
    """On the monotonic clock."""
    bound_s: float
    """Until when the last request may fail."""
    observed_s: float
    requests: int
    failed: int
    first_failure_s: float | None
    last_failure_s: float | None
    taken_out_s: float | None
    """When the edge accepted the PATCH that disabled the origin."""
    taken_out_by: str
    """That call, for people."""

    @property
    def bounded(self) -> bool:
        """Tell whether failures ended as promised."""
        return self.last_failure_s is None or self.last_failure_s <= self.bound_s

    def __str__(self) -> str:
        """Say it in a sentence."""
        last = (
            f", the last {self.last_failure_s:.1f} s after the kill"
            if self.last_failure_s is not None
            else ""
        )
        return f"{self.failed} of {self.requests} requests failed{last}"


async def kill_and_watch(
    stage: Stage,
    traffic: Traffic,
    tunnel: str,
    slot: int,
    namespace: str = "default",
    *,
    watch_on_s: float = WATCH_ON_S,
) -> Outage:
    """Kill the connector of one origin, hold it back, and watch until `watch_on_s` after the promised end."""
    bound_s = await stage.edge.config_lag_s() + GRACE_S
    since = await stage.edge.last_call()
    began = time.time() - time.monotonic()
    killed_at = await stage.kill_connector(tunnel, slot, namespace)
    await asyncio.sleep(max(0.0, killed_at + bound_s + watch_on_s - time.monotonic()))
    end = time.monotonic()
    seen = between(traffic.samples, killed_at, end)
    failures = [one for one in seen if one.failed]
    patch = origin_disabled(await stage.edge.calls(since), f"_{tunnel}_{slot}")
    last = last_failure_after(seen, killed_at)
    return Outage(
        killed_at=killed_at,
        bound_s=bound_s,
        observed_s=end - killed_at,
        requests=len(seen),
        failed=len(failures),
        first_failure_s=failures[0].sent_at - killed_at if failures else None,
        last_failure_s=None if last is None else last - killed_at,
        taken_out_s=None if patch is None else epoch(patch) - began - killed_at,
        taken_out_by="" if patch is None else f"{patch['method']} {_shortened(patch['path'])}",
    )


def origin_disabled(calls: Sequence[Mapping[str, Any]], ending: str) -> Mapping[str, Any] | None:
    """Find the first accepted PATCH of a pool that disables the origin whose name ends so."""
    for call in calls:
        if call["method"] != "PATCH" or "/pools/" not in call["path"] or call["status"] != 200:  # noqa: PLR2004 - HTTP OK
            continue
        origins = (call["body"] or {}).get("origins", ())
        if any(one["name"].endswith(ending) and one.get("enabled") is False for one in origins):
            return call
    return None


def _shortened(path: str) -> str:
    *_, collection, identifier = path.split("/")
    return f"…/{collection}/{identifier[:8]}…"


def epoch(call: Mapping[str, Any]) -> float:
    """Read when the edge took a call, in seconds since 1970."""
    return datetime.fromisoformat(call["time"]).timestamp()
