"""Pod status from container states."""

from typing import Any

import pytest

from devcluster.podrunner.status import ContainerRecord, PodState, phase, pod_status, waiting

Json = dict[str, Any]

RUNNING: Json = {"running": {"startedAt": "t"}}
FINE: Json = {"terminated": {"exitCode": 0}}
FAILED: Json = {"terminated": {"exitCode": 3}}
CREATING = waiting("ContainerCreating")
CRASHED = waiting("CrashLoopBackOff")


def record(state: Json, last: Json | None = None, *, ready: bool = False, name: str = "c") -> ContainerRecord:
    return ContainerRecord(name, "image", state, last or {}, ready=ready)


@pytest.mark.parametrize(
    ("policy", "states", "expected"),
    [
        ("Always", [(CREATING, None)], "Pending"),
        ("Always", [(RUNNING, None)], "Running"),
        ("Always", [(RUNNING, None), (CREATING, None)], "Pending"),
        ("Always", [(CRASHED, FAILED)], "Running"),
        ("Always", [(FINE, None)], "Running"),
        ("OnFailure", [(FINE, None)], "Succeeded"),
        ("OnFailure", [(FINE, None), (FAILED, None)], "Running"),
        ("Never", [(FINE, None)], "Succeeded"),
        ("Never", [(FINE, None), (FAILED, None)], "Failed"),
        ("Never", [(RUNNING, None), (FAILED, None)], "Running"),
    ],
)
def test_the_phase_follows_from_states_and_restart_policy(
    policy: str, states: list[tuple[Json, Json | None]], expected: str
) -> None:
    records = [record(state, last) for state, last in states]
    assert phase(policy, records, initialized=True, over=False) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [(FINE, "Succeeded"), (FAILED, "Failed"), (CREATING, "Failed"), (CRASHED, "Failed")],
)
def test_a_pod_at_its_end_has_succeeded_or_failed_whatever_its_policy(state: Json, expected: str) -> None:
    assert phase("Always", [record(state, FAILED)], initialized=True, over=True) == expected


def test_a_failed_init_container_fails_the_pod_only_if_it_is_not_tried_again() -> None:
    assert phase("Never", [record(FAILED)], initialized=False, over=False) == "Failed"
    assert phase("Always", [record(FAILED)], initialized=False, over=False) == "Pending"


def state_of(*main: ContainerRecord, init: tuple[ContainerRecord, ...] = (), **pod: Any) -> PodState:
    spec = {"containers": [], **pod.pop("spec", {})}
    return PodState(
        {"metadata": {"generation": 2}, "spec": spec, **pod}, init, main, "127.1.0.2", "127.1.0.1", "t0"
    )


def conditions(status: Json) -> dict[str, str]:
    return {each["type"]: each["status"] for each in status["conditions"]}


def test_a_pod_is_ready_when_all_its_containers_are() -> None:
    first, second = record(RUNNING, ready=True, name="a"), record(RUNNING, name="b")
    status = pod_status(state_of(first, second), {}, "t1")
    assert conditions(status)["Ready"] == conditions(status)["ContainersReady"] == "False"
    (ready,) = (each for each in status["conditions"] if each["type"] == "Ready")
    assert ready["message"] == "containers with unready status: [b]"
    second.ready = True
    status = pod_status(state_of(first, second), {}, "t1")
    assert conditions(status)["Ready"] == "True"
    assert status["podIP"] == "127.1.0.2"
    assert all(each["observedGeneration"] == 2 for each in status["conditions"])


def test_a_transition_time_moves_only_with_its_status() -> None:
    container = record(RUNNING)
    before = pod_status(state_of(container), {}, "t1")
    container.ready = True
    after = pod_status(state_of(container), before, "t2")
    times = {each["type"]: each["lastTransitionTime"] for each in after["conditions"]}
    assert times == {
        "PodReadyToStartContainers": "t1",
        "Initialized": "t1",
        "ContainersReady": "t2",
        "Ready": "t2",
    }


def test_a_closed_readiness_gate_keeps_a_pod_unready() -> None:
    spec = {"readinessGates": [{"conditionType": "example.com/gate"}]}
    container = record(RUNNING, ready=True)
    closed = pod_status(state_of(container, spec=spec), {}, "t1")
    assert conditions(closed)["Ready"] == "False"
    assert conditions(closed)["ContainersReady"] == "True"
    gate = {"conditions": [{"type": "example.com/gate", "status": "True"}]}
    assert conditions(pod_status(state_of(container, spec=spec, status=gate), {}, "t1"))["Ready"] == "True"


def test_a_pod_is_not_initialized_before_its_init_containers_have_succeeded() -> None:
    status = pod_status(state_of(record(CREATING), init=(record(RUNNING, name="setup"),)), {}, "t1")
    assert conditions(status)["Initialized"] == "False"
    assert status["phase"] == "Pending"
