"""Pod status from the states of its containers, by the kubelet's rules. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass
class ContainerRecord:
    """What is known of one container; `state` and `last_state` are Kubernetes' ContainerState."""

    name: str
    image: str
    state: Json
    last_state: Json
    container_id: str = ""
    restart_count: int = 0
    ready: bool = False
    started: bool = False

    def status(self) -> Json:
        """As ContainerStatus."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"devcluster://{self.image}" if self.container_id else "",
            "containerID": self.container_id,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restart_count,
        }

    @property
    def exit_code(self) -> int | None:
        """The exit code if it has ended and was not started again."""
        code = self.state.get("terminated", {}).get("exitCode")
        return None if code is None else int(code)


def waiting(reason: str, message: str = "") -> Json:
    """Make a ContainerState."""
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def lost(status: Json) -> Json:
    """Make the ContainerState of a container that was gone when its node came back."""
    return {
        "terminated": {
            "exitCode": 137,
            "reason": "ContainerStatusUnknown",
            "message": "The container could not be located when the node came back",
            "startedAt": status.get("state", {}).get("running", {}).get("startedAt"),
            "finishedAt": None,
            "containerID": status["containerID"],
        }
    }


def phase(restart_policy: str, records: Sequence[ContainerRecord], initialized: bool, over: bool) -> str:
    """Return the pod's phase; `over` when it is being deleted and nothing will be started again."""
    if not initialized:
        failed = any(record.exit_code for record in records) and (over or restart_policy == "Never")
        return "Failed" if failed else "Pending"
    running = sum("running" in record.state for record in records)
    if sum(_has_ended(record) for record in records) + running < len(records):
        return "Failed" if over else "Pending"
    if running:
        return "Running"
    succeeded = all(record.exit_code == 0 for record in records)
    if over or restart_policy == "Never":
        return "Succeeded" if succeeded else "Failed"
    if restart_policy == "OnFailure" and succeeded:
        return "Succeeded"
    return "Running"


def _has_ended(record: ContainerRecord) -> bool:
    """Also one that waits to be started again: it has been running before."""
    return "terminated" in (record.last_state if "waiting" in record.state else record.state)


@dataclass(frozen=True)
class PodState:
    """All that a pod's status is made of."""

    pod: Json
    init: Sequence[ContainerRecord]
    main: Sequence[ContainerRecord]
    pod_ip: str
    host_ip: str
    start_time: str
    over: bool = False

    @property
    def initialized(self) -> bool:
        """All init containers have succeeded."""
        return all(record.exit_code == 0 for record in self.init)

    @property
    def phase(self) -> str:
        """The phase, init containers deciding while they run."""
        policy = self.pod["spec"].get("restartPolicy", "Always")
        records = self.main if self.initialized else self.init
        return phase(policy, records, self.initialized, self.over)


def pod_status(state: PodState, previous: Json, now: str) -> Json:
    """PodStatus; a condition that keeps its status keeps its `lastTransitionTime` from `previous`."""
    pod_phase = state.phase
    unready = [record.name for record in state.main if not record.ready]
    if pod_phase in {"Succeeded", "Failed"}:
        reason = "PodCompleted" if pod_phase == "Succeeded" else "PodFailed"
        containers_ready: Json = {"status": "False", "reason": reason}
    elif unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        containers_ready = {"status": "False", "reason": "ContainersNotReady", "message": message}
    else:
        containers_ready = {"status": "True"}
    uninitialized = [record.name for record in state.init if record.exit_code != 0]
    incomplete = {
        "status": "False",
        "reason": "ContainersNotInitialized",
        "message": f"containers with incomplete status: [{' '.join(uninitialized)}]",
    }
    generation = state.pod["metadata"].get("generation")
    conditions = [
        {"type": "PodReadyToStartContainers", "status": "False" if state.over else "True"},
        {"type": "Initialized", **({"status": "True"} if state.initialized else incomplete)},
        {"type": "ContainersReady", **containers_ready},
        {"type": "Ready", **_gated(containers_ready, state.pod)},
    ]
    before = {condition["type"]: condition for condition in previous.get("conditions", ())}
    for condition in conditions:
        old = before.get(condition["type"], {})
        kept = old.get("lastTransitionTime") if old.get("status") == condition["status"] else None
        condition["lastTransitionTime"] = kept or now
        # a merge by type would keep the reason of the other status
        condition.setdefault("reason", None)
        condition.setdefault("message", None)
        if generation:
            condition["observedGeneration"] = generation
    return {
        **({"observedGeneration": generation} if generation else {}),
        "phase": pod_phase,
        "conditions": conditions,
        "podIP": state.pod_ip,
        "podIPs": [{"ip": state.pod_ip}],
        "hostIP": state.host_ip,
        "hostIPs": [{"ip": state.host_ip}],
        "startTime": state.start_time,
        "initContainerStatuses": [record.status() for record in state.init],
        "containerStatuses": [record.status() for record in state.main],
    }


def _gated(containers_ready: Json, pod: Json) -> Json:
    """Ready: what the containers say, unless a readiness gate is not open."""
    if containers_ready["status"] != "True":
        return containers_ready
    present = {item["type"]: item["status"] for item in pod.get("status", {}).get("conditions", ())}
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates", ())]
    closed = [gate for gate in gates if present.get(gate) != "True"]
    if not closed:
        return containers_ready
    message = f"readiness gates not open: {' '.join(closed)}"
    return {"status": "False", "reason": "ReadinessGatesNotReady", "message": message}
