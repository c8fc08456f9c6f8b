"""What pods show of an origin, and for how long: the evidence of law 7."""

from __future__ import annotations

from typing import Any

import pytest

from tunnelpool.build.manifests import labels
from tunnelpool.build.snapshot import Running
from tunnelpool.engine.connectors import Connectors, judge
from tunnelpool.engine.store import Store


class SteppedClock:
    """Time that a test steps."""

    at = 100.0

    def monotonic(self) -> float:
        """Tell the time."""
        return self.at

    def now(self) -> float:
        """Tell the time."""
        return self.at


def pod(
    state: str = "running", *, ready: bool = False, name: str = "a", version: int = 1, since: str = ""
) -> dict[str, Any]:
    """Write a connector pod."""
    ended = {"terminated": {"exitCode": 1}}
    containers = {
        "running": [{"state": {"running": {}}}],
        "creating": [{"state": {"waiting": {"reason": "ContainerCreating"}}}],
        "terminated": [{"state": ended}],
        "restarting": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}],
        "back": [{"state": {"running": {}}, "lastState": ended}],
        "pending": [],
        "failed": [],
    }
    meta = {"namespace": "default", "name": name, "uid": name, "resourceVersion": str(version)}
    return {
        "metadata": {**meta, "labels": labels("web", 0)},
        "status": {
            "phase": "Failed" if state == "failed" else "Running",
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if ready else "False",
                    **({"lastTransitionTime": since} if since else {}),
                }
            ],
            "containerStatuses": containers[state],
        },
    }


@pytest.mark.parametrize(
    ("pods", "running"),
    [
        ([], Running.ENDED),
        ([pod(ready=True)], Running.READY),
        ([pod()], Running.NOT_READY),
        ([pod("creating")], Running.NOT_READY),
        ([pod("pending")], Running.NOT_READY),
        ([{"metadata": {}}], Running.NOT_READY),
        ([pod("back")], Running.NOT_READY),
        ([pod("terminated")], Running.ENDED),
        ([pod("restarting")], Running.ENDED),
        ([pod("failed")], Running.ENDED),
        ([pod("terminated"), pod(ready=True)], Running.READY),
        ([pod("terminated"), pod("creating")], Running.NOT_READY),
        ([pod("terminated"), pod("restarting")], Running.ENDED),
    ],
)
def test_pods_are_judged_together(pods: list[dict[str, Any]], running: Running) -> None:
    assert judge(pods) is running


def test_a_state_lasts_from_the_change_on_whenever_it_is_looked_at() -> None:
    store, clock = Store(), SteppedClock()
    connectors = Connectors(store, clock)
    store.put("Pod", pod(ready=True))
    clock.at += 50
    store.put("Pod", pod("terminated", version=2))
    clock.at += 2
    seen = connectors.look("default", "web", 0)
    assert (seen.running, seen.for_s, seen.pods, seen.ready) == (Running.ENDED, 2.0, 1, 0)
    store.put("Pod", pod("restarting", version=3))
    clock.at += 2
    assert connectors.look("default", "web", 0).for_s == 4.0
    store.put("Pod", pod("back", version=4))
    assert connectors.look("default", "web", 0).for_s == 0.0


def test_a_pod_that_is_gone_counts_as_ended_from_then_on() -> None:
    store, clock = Store(), SteppedClock()
    connectors = Connectors(store, clock)
    store.put("Pod", pod(ready=True))
    clock.at += 50
    store.remove("Pod", "default", "a", "a")
    clock.at += 3
    seen = connectors.look("default", "web", 0)
    assert (seen.running, seen.for_s, seen.pods) == (Running.ENDED, 3.0, 0)


def test_an_origin_never_seen_before_has_just_ended() -> None:
    connectors = Connectors(Store(), SteppedClock())
    seen = connectors.look("default", "web", 7)
    assert (seen.running, seen.for_s) == (Running.ENDED, 0.0)


def test_of_several_pods_that_are_ready_the_one_that_became_so_last_is_the_newest_witness() -> None:
    store = Store()
    connectors = Connectors(store, SteppedClock())
    assert connectors.look("default", "web", 0).ready_since_s is None
    store.put("Pod", pod(ready=True))
    assert connectors.look("default", "web", 0).ready_since_s is None, "it does not say since when"
    store.put("Pod", pod(ready=True, name="b", since="1970-01-01T00:01:00Z"))
    store.put("Pod", pod(ready=True, name="c", since="1970-01-01T00:02:00Z"))
    store.put("Pod", pod(name="d", since="1970-01-01T00:03:00Z"))
    assert connectors.look("default", "web", 0).ready_since_s == 120.0
