import logging
from typing import Any

import pytest

from tunnelpool.kube.client import KubeClient
from tunnelpool.kube.events import REPEAT_AFTER_S, EventRecorder

_TUNNEL = {
    "apiVersion": "tunnelpool.dev/v1alpha1",
    "kind": "Tunnel",
    "metadata": {"namespace": "a", "name": "web", "uid": "u1", "resourceVersion": "7"},
}


class _Clock:
    passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    def now(self) -> float:
        return 1_700_000_000.25 + self.passed


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def recorder(client: KubeClient, clock: _Clock) -> EventRecorder:
    return EventRecorder(client, clock, "pod-1")


async def _post(recorder: EventRecorder, message: str = "moved", reason: str = "FailedOver") -> None:
    await recorder.post(_TUNNEL, reason=reason, message=message, warning=True)


async def test_an_event_says_what_happened_to_which_object(api: Any, recorder: EventRecorder) -> None:
    await _post(recorder)
    (asked,) = api.asked
    assert (asked.method, asked.path) == ("POST", "/apis/events.k8s.io/v1/namespaces/a/events")
    assert asked.body["regarding"] == {
        "apiVersion": "tunnelpool.dev/v1alpha1",
        "kind": "Tunnel",
        "namespace": "a",
        "name": "web",
        "uid": "u1",
        "resourceVersion": "7",
    }
    assert (asked.body["reason"], asked.body["note"], asked.body["type"]) == (
        "FailedOver",
        "moved",
        "Warning",
    )
    assert asked.body["eventTime"] == "2023-11-14T22:13:20.250000Z"
    assert asked.body["reportingInstance"] == "pod-1"


async def test_the_same_is_told_once_in_ten_minutes(api: Any, clock: _Clock, recorder: EventRecorder) -> None:
    await _post(recorder)
    clock.passed = REPEAT_AFTER_S - 1
    await _post(recorder)
    assert len(api.asked) == 1
    clock.passed = REPEAT_AFTER_S
    await _post(recorder)
    assert len(api.asked) == 2


async def test_something_else_is_told_at_once(api: Any, recorder: EventRecorder) -> None:
    await _post(recorder)
    await _post(recorder, message="moved again")
    await _post(recorder, reason="FailedBack")
    assert len(api.asked) == 3


async def test_failing_to_tell_is_harmless_logged_and_tried_again(
    api: Any, recorder: EventRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    api.answers.append((403, {"message": "events is forbidden"}))
    with caplog.at_level(logging.WARNING):
        await _post(recorder)
    assert "events is forbidden" in caplog.text
    await _post(recorder)
    assert len(api.asked) == 2


async def test_what_is_remembered_does_not_grow_for_ever(recorder: EventRecorder) -> None:
    for number in range(5000):
        recorder._remember(("u", "r", str(number)), 0.0)
    assert len(recorder._told) == 4096


async def test_a_long_message_is_cut_at_the_limit_of_the_api(api: Any, recorder: EventRecorder) -> None:
    await _post(recorder, message="ä" * 1000)
    note = api.asked[0].body["note"]
    assert len(note.encode()) <= 1024
    assert note.endswith("ä…")
