"""Probes, the end of a container, crashes and lost nodes."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from devcluster.manifests import deployment, script_container, script_pod
from devcluster.testing import Namespace, eventually

pytestmark = pytest.mark.integration

Json = dict[str, Any]


def container_status(space: Namespace, pod: str) -> Json:
    (status,) = space.get("pod", pod)["status"].get("containerStatuses", [{}])
    found: Json = status
    return found


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_pod_is_ready_when_its_probe_says_so_and_no_longer_when_not(
    space: Namespace, tmp_path: Path
) -> None:
    flag = tmp_path / "ready"
    probe = {"exec": {"command": ["test", "-e", str(flag)]}, "periodSeconds": 1, "failureThreshold": 1}
    space.apply(script_pod("gated", "sleep 1000", readinessProbe=probe))
    eventually(lambda: "running" in container_status(space, "gated").get("state", {}))
    assert container_status(space, "gated")["ready"] is False
    flag.touch()
    space.wait("pod/gated")
    flag.unlink()
    space.wait("pod/gated", "Ready=false")


def test_a_container_that_fails_its_liveness_probe_is_started_again(space: Namespace, tmp_path: Path) -> None:
    flag = tmp_path / "alive"
    flag.touch()
    probe = {"exec": {"command": ["test", "-e", str(flag)]}, "periodSeconds": 1, "failureThreshold": 1}
    space.apply(script_pod("frail", "trap 'exit 7' TERM; sleep 1000 & wait", livenessProbe=probe))
    space.wait("pod/frail")
    flag.unlink()
    eventually(lambda: container_status(space, "frail")["restartCount"] > 0)
    assert container_status(space, "frail")["lastState"]["terminated"]["exitCode"] == 7


def test_the_pre_stop_hook_comes_first_then_sigterm_then_sigkill_after_the_grace(space: Namespace) -> None:
    polite = script_pod(
        "polite",
        "trap 'echo sigterm; exit 0' TERM; while :; do sleep 0.05; done",
        spec={"terminationGracePeriodSeconds": 20},
        lifecycle={"preStop": {"exec": {"command": ["/bin/sh", "-c", "echo hook >> /proc/1/fd/1"]}}},
    )
    sleepy = script_pod(
        "sleepy",
        "trap 'date +%s; exit 0' TERM; date +%s; while :; do sleep 0.05; done",
        spec={"terminationGracePeriodSeconds": 20},
        lifecycle={"preStop": {"sleep": {"seconds": 2}}},
    )
    deaf = script_pod("deaf", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    space.apply(polite, sleepy, deaf)
    for name in ("polite", "sleepy", "deaf"):
        space.wait(f"pod/{name}")
    space.kubectl("delete", "pod", "polite", "sleepy", "deaf", "--timeout=15s")
    assert space.log("polite") == "hook\nsigterm\n"
    begin, end = map(int, space.log("sleepy").split())
    assert end - begin >= 2
    assert space.log("deaf") == "up\n"


def test_a_crashing_container_is_restarted_once_at_once_then_with_back_off(space: Namespace) -> None:
    space.apply(script_pod("crasher", "exit 3"))
    seen: list[Json] = []

    def backs_off() -> bool:
        seen.append(container_status(space, "crasher"))
        return seen[-1].get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"

    eventually(backs_off)
    status = seen[-1]
    assert status["restartCount"] == 1
    assert status["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container=main")
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert space.get("pod", "crasher")["status"]["phase"] == "Running"


async def test_a_killed_pod_that_is_held_stays_down_until_it_is_released(space: Namespace) -> None:
    space.apply(script_pod("target", "sleep 1000"))
    space.wait("pod/target")
    control = space.cluster.control
    reached = await control.kill("target", space.name, hold=True)
    assert len(reached) == 1
    space.wait("pod/target", "Ready=false")
    ended = container_status(space, "target")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "Error")
    assert await control.kill("target", space.name) == []  # nothing runs that could be killed
    await control.release("target", space.name)
    space.wait("pod/target")
    assert container_status(space, "target")["restartCount"] == 1


async def test_a_pod_that_is_deleted_just_when_it_starts_again_ends_by_sigterm_and_leaves_no_process(
    space: Namespace,
) -> None:
    names = [f"target-{number}" for number in range(4)]
    script = "trap 'echo sigterm; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    space.apply(*(script_pod(name, script) for name in names))
    control = space.cluster.control
    for name in names:
        space.wait(f"pod/{name}")
        await control.kill(name, space.name, hold=True)
        space.wait(f"pod/{name}", "Ready=false")
    for delay_s, name in enumerate(names):
        await control.release(name, space.name)
        await asyncio.sleep(delay_s * 0.03)
        space.kubectl("delete", "pod", name, "--wait=false")
    space.kubectl("wait", "pod", *names, "--for=delete", "--timeout=15s")
    for name in names:
        first, *rest = space.log(name).split()
        assert first == "up"
        assert rest in ([], ["sigterm"], ["up", "sigterm"]), name


async def test_a_stopped_process_hangs_without_ending(space: Namespace) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    space.apply(script_pod("hung", "while :; do echo tick; sleep 0.05; done", readinessProbe=probe))
    space.wait("pod/hung")
    (pid,) = await space.cluster.control.kill("hung", space.name, number=signal.SIGSTOP)
    eventually(lambda: process_state(pid) == "T")
    assert container_status(space, "hung")["ready"] is True


async def test_the_pods_of_a_lost_node_are_replaced_and_it_can_come_back(space: Namespace) -> None:
    tolerations = [
        {
            "key": f"node.kubernetes.io/{taint}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 1,
        }
        for taint in ("unreachable", "not-ready")
    ]
    spec: Json = {
        "containers": [script_container("sleep 1000")],
        "terminationGracePeriodSeconds": 2,
        "tolerations": tolerations,
    }
    space.apply(deployment("mobile", 2, spec))
    space.kubectl("rollout", "status", "deployment/mobile", "--timeout=30s")
    (lost,) = (pod for pod in space.pods("app=mobile") if pod["spec"]["nodeName"] == "node-2")
    name = lost["metadata"]["name"]

    await space.cluster.control.stop_node("node-2")
    try:
        assert "running" in container_status(space, name)["state"]  # nobody is there to tell otherwise
        space.wait(f"pod/{name}", "Ready=false")
        eventually(lambda: [pod["spec"]["nodeName"] for pod in space.pods("app=mobile")] == ["node-1"] * 2)
        space.kubectl("rollout", "status", "deployment/mobile", "--timeout=30s")
        assert "deletionTimestamp" in space.get("pod", name)["metadata"]
    finally:
        await space.cluster.control.start_node("node-2")
    space.kubectl("wait", f"pod/{name}", "--for=delete", "--timeout=15s")
    space.wait("node/node-2")
