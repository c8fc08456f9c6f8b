"""What the pods of each origin show, and for how long they have shown it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tunnelpool.build.manifests import SLOT_LABEL, TUNNEL_LABEL
from tunnelpool.build.snapshot import Running
from tunnelpool.engine.ports import Clock
from tunnelpool.engine.store import Raw, Store

PODS_BY_ORIGIN: Final = "pods-by-origin"


@dataclass(frozen=True, slots=True)
class Seen:
    """The pods of one origin: their number, how many are ready, what that means and for how long."""

    pods: int
    ready: int
    running: Running
    for_s: float
    ready_since_s: float | None = None
    """When the latest of those that are ready became so, in seconds since the epoch; None if not known."""


class Connectors:
    """Follows the pods in the store; times are taken when a change arrives, so they survive no restart.

    An origin that is first looked at without a pod counts as ended from that moment on.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._since: dict[str, tuple[Running, float]] = {}
        store.add_index(PODS_BY_ORIGIN, "Pod", lambda raw: (origin_of(raw),))
        store.add_listener(self._changed)

    def now(self) -> float:
        """Tell the time by which it is reckoned for how long something has been seen."""
        return self._clock.monotonic()

    def look(self, namespace: str, tunnel: str, slot: int) -> Seen:
        """Tell what the pods of one origin show now."""
        name = f"{namespace}/{tunnel}/{slot}"
        pods = self._store.by(PODS_BY_ORIGIN, name)
        running, since = self._note(name, pods)
        ready = [pod for pod in pods if is_ready(pod)]
        became = max((at for pod in ready if (at := _ready_since(pod)) is not None), default=None)
        return Seen(len(pods), len(ready), running, self._clock.monotonic() - since, became)

    def _changed(self, kind: str, before: Raw | None, after: Raw | None) -> None:
        if kind != "Pod":
            return
        for raw in (before, after):
            if raw is not None:
                name = origin_of(raw)
                self._note(name, self._store.by(PODS_BY_ORIGIN, name))

    def _note(self, name: str, pods: Iterable[Raw]) -> tuple[Running, float]:
        running = judge(pods)
        known = self._since.get(name)
        if known is None or known[0] is not running:
            known = (running, self._clock.monotonic())
            self._since[name] = known
        return known


def origin_of(pod: Raw) -> str:
    """Name the origin that a connector pod belongs to: namespace/tunnel/slot."""
    meta = pod["metadata"]
    labels: Mapping[str, str] = meta.get("labels") or {}
    return f"{meta.get('namespace', '')}/{labels.get(TUNNEL_LABEL, '')}/{labels.get(SLOT_LABEL, '')}"


def judge(pods: Iterable[Raw]) -> Running:
    """Judge the pods of one origin. A pod that terminates serves for as long as it says that it is ready."""
    found = tuple(pods)
    if any(is_ready(pod) for pod in found):
        return Running.READY
    return Running.ENDED if all(has_ended(pod) for pod in found) else Running.NOT_READY


def is_ready(pod: Raw) -> bool:
    """Read a pod's Ready condition."""
    return _readiness(pod).get("status") == "True"


def _readiness(pod: Raw) -> Mapping[str, Any]:
    conditions: Iterable[Mapping[str, Any]] = (pod.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == "Ready"), {})


def _ready_since(pod: Raw) -> float | None:
    """Read when the Ready condition became what it is; by the node's clock, to the second."""
    try:
        return datetime.fromisoformat(str(_readiness(pod).get("lastTransitionTime"))).timestamp()
    except ValueError:
        return None


def has_ended(pod: Raw) -> bool:
    """Tell whether a pod has run and runs no more; one that waits for its restart has ended too."""
    status: Mapping[str, Any] = pod.get("status") or {}
    if status.get("phase") in {"Succeeded", "Failed"}:
        return True
    containers: Iterable[Mapping[str, Any]] = status.get("containerStatuses") or ()
    states = [
        "terminated" in (one.get("state") or {})
        or ("waiting" in (one.get("state") or {}) and "terminated" in (one.get("lastState") or {}))
        for one in containers
    ]
    return bool(states) and all(states)
