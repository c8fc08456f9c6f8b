"""One pod on one node, from its binding to the end of its last container."""

import asyncio
import logging
import shutil
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from devcluster.api import STRATEGIC, TRANSIENT, ApiError
from devcluster.controlplane.kubeconfig import kubeconfig, write_kubeconfig
from devcluster.podrunner.container import Container
from devcluster.podrunner.context import PodContext, timestamp
from devcluster.podrunner.environment import ConfigError
from devcluster.podrunner.isolation import SERVICE_ACCOUNT
from devcluster.podrunner.status import PodState, lost, pod_status, waiting
from devcluster.podrunner.unsupported import refusals
from devcluster.podrunner.volumes import VolumeWriter

Json = dict[str, Any]

RETRY_S = 1.0
# How often the kubelet brings Secrets and ConfigMaps up to date.
VOLUME_PERIOD_S = 60.0

# The object is gone, or another of the same name stands there.
GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}

log = logging.getLogger(__name__)


class Pod:
    """Runs a pod and is its status' writer. `update` it with each new version of the object."""

    def __init__(self, context: PodContext) -> None:
        self.context = context
        spec = context.pod["spec"]
        policy = spec.get("restartPolicy", "Always")
        init_policy = "Never" if policy == "Never" else "OnFailure"
        self.init = [Container(context, each, init_policy) for each in spec.get("initContainers", ())]
        self.main = [Container(context, each, policy) for each in spec["containers"]]
        self._start_time = timestamp()
        self._recall(context.pod.get("status", {}))
        self._sent: Json = {}
        self._sent_version = 0
        self._over = False
        self._removed = asyncio.Event()
        self._deleting = asyncio.Event()
        self._terminations: set[asyncio.Task[None]] = set()
        self._grace_s: float | None = None
        self._observe_deletion()

    @property
    def containers(self) -> list[Container]:
        """Init containers, then the others."""
        return [*self.init, *self.main]

    def _recall(self, status: Json) -> None:
        """Take over what an earlier life of this node has told: its containers count as restarted."""
        known = {
            each["name"]: each
            for kind in ("initContainerStatuses", "containerStatuses")
            for each in status.get(kind, ())
        }
        for container in self.containers:
            before = known.get(container.record.name, {})
            if before.get("containerID"):
                container.record.restart_count = before["restartCount"] + 1
                container.record.last_state = lost(before)
                self._start_time = status.get("startTime", self._start_time)

    def update(self, pod: Json) -> None:
        """Take a new version of the object; an older one, which a watch may still bring, is passed over."""
        if _version(pod) < _version(self.context.pod):
            return
        self.context.pod = pod
        self.context.object_changed.announce()
        self._observe_deletion()
        if _version(pod) >= self._sent_version and self._differs_from(pod.get("status", {})):
            self._sent = {}
        self.context.state_changed.set()  # readiness gates, generation, or another's hand in the status

    def removed(self) -> None:
        """Take note that the object is gone: deleted by force, or by us."""
        self._removed.set()
        self._begin_termination(0.0)

    async def run(self) -> None:
        """Run the pod to its end. Cancel it only after `crash`."""
        writing = asyncio.create_task(self._write_statuses())
        working = asyncio.create_task(self._work())
        try:
            await self._deleting.wait()
            while self._terminations:
                await asyncio.wait(self._terminations)
            self._over = True
        finally:
            writing.cancel()
            working.cancel()
        await asyncio.wait({writing, working})
        if not self._removed.is_set():
            await self._say_farewell()
        self.remove_folder()

    async def crash(self) -> None:
        """SIGKILL all containers; nothing is told to the API."""
        await asyncio.gather(*(container.crash() for container in self.containers))

    def remove_folder(self) -> None:
        """Remove the volumes and what else lies there."""
        shutil.rmtree(self.context.folder, ignore_errors=True)

    def signal(self, number: int, container: str | None = None) -> list[int]:
        """Signal the programs of the pod, or of one container; the process ids that it reached."""
        chosen = [each for each in self.containers if container in {None, each.record.name}]
        return [pid for each in chosen if (pid := each.send(number)) is not None]

    def _observe_deletion(self) -> None:
        metadata = self.context.pod["metadata"]
        if "deletionTimestamp" in metadata:
            self._begin_termination(float(metadata.get("deletionGracePeriodSeconds", 0)))

    def _begin_termination(self, grace_s: float) -> None:
        if self._grace_s is not None and grace_s >= self._grace_s:
            return  # a later word counts only if it asks for more haste
        self._grace_s = grace_s
        self._deleting.set()
        task = asyncio.create_task(self._terminate(grace_s))
        self._terminations.add(task)
        task.add_done_callback(self._terminations.discard)

    async def _terminate(self, grace_s: float) -> None:
        await asyncio.gather(*(container.terminate(grace_s) for container in self.containers))

    async def _work(self) -> None:
        problems = refusals(self.context.pod)
        if problems:
            self._all_wait("CreateContainerConfigError", f"devcluster does not emulate {', '.join(problems)}")
            return
        writer = await self._mount()
        renewing = asyncio.create_task(self._renew_volumes(writer))
        try:
            for container in self.init:
                await container.start()
                if container.record.exit_code != 0 or self._deleting.is_set():
                    return
            for container in self.main:
                container.record.state = waiting("ContainerCreating")
            self.context.state_changed.set()
            if not self._deleting.is_set():
                await asyncio.wait([container.start() for container in self.main])
        finally:
            renewing.cancel()

    async def _mount(self) -> VolumeWriter:
        """Write the volumes, however often it takes, as the kubelet does."""
        context = self.context
        context.folder.mkdir(parents=True, exist_ok=True)
        writer = VolumeWriter(context.site.api, context.folder / "volumes", lambda: context.facts)
        self._all_wait("PodInitializing" if self.init else "ContainerCreating", "")
        while True:
            try:
                await writer.write_all()
            except (ConfigError, ApiError, *TRANSIENT) as error:
                self._all_wait("ContainerCreating", f"MountVolume.SetUp failed: {error}")
                await asyncio.sleep(RETRY_S)
            else:
                self._write_kubeconfig()
                return writer

    async def _renew_volumes(self, writer: VolumeWriter) -> None:
        while True:
            await asyncio.sleep(VOLUME_PERIOD_S)
            with suppress(ConfigError, ApiError, *TRANSIENT):
                await writer.write_all()

    def _write_kubeconfig(self) -> None:
        """Write the ServiceAccount as a kubeconfig, for where there are no mounts (see isolation)."""
        context = self.context
        for container in context.pod["spec"]["containers"]:
            for mount in context.mounts(container):
                if mount.target == SERVICE_ACCOUNT:
                    user = {"tokenFile": f"{mount.source}/token"}
                    content = kubeconfig(context.site.api.server, context.site.ca, user)
                    write_kubeconfig(context.folder / "kubeconfig", content)

    def _all_wait(self, reason: str, message: str) -> None:
        for container in self.containers:
            container.record.state = waiting(reason, message)
        self.context.state_changed.set()

    # The status: written whenever it differs from what was written last.

    def _status(self) -> Json:
        init, main = ([each.record for each in group] for group in (self.init, self.main))
        context = self.context
        state = PodState(
            context.pod, init, main, context.pod_ip, context.host_ip, self._start_time, self._over
        )
        return pod_status(state, self._sent or context.pod.get("status", {}), timestamp())

    def _differs_from(self, status: Json) -> bool:
        """Whether somebody else (the node-lifecycle controller) has changed a condition of ours."""
        theirs = {item["type"]: item["status"] for item in status.get("conditions", ())}
        ours = {item["type"]: item["status"] for item in self._sent.get("conditions", ())}
        return any(theirs.get(kind, value) != value for kind, value in ours.items())

    async def _write_statuses(self) -> None:
        while True:
            await self.context.state_changed.wait()
            self.context.state_changed.clear()
            status = self._status()
            if status == self._sent:
                continue
            try:
                await self._patch_status(status)
            except ApiError as error:
                if error.status in GONE:
                    return
                log.error("status of pod %s: %s", self.context.name, error)  # noqa: TRY400 - no bug of ours
                await asyncio.sleep(RETRY_S)
            except TRANSIENT:
                self.context.state_changed.set()
                await asyncio.sleep(RETRY_S)

    async def _patch_status(self, status: Json) -> None:
        # The list is merged by address: without the directive, that of an earlier life would stay too.
        addresses = [*status["podIPs"], {"$patch": "replace"}]
        body = {
            "metadata": {"uid": self.context.pod["metadata"]["uid"]},
            "status": {**status, "podIPs": addresses},
        }
        answer = await self.context.site.api.patch(f"{self.context.path}/status", body, STRATEGIC)
        self._sent, self._sent_version = status, _version(answer)

    async def _say_farewell(self) -> None:
        """Write the last status, then remove the object."""
        options = {
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": self.context.pod["metadata"]["uid"]},
        }
        while True:
            try:
                if self.context.pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}:
                    await self._patch_status(self._status())
                await self.context.site.api.delete(self.context.path, options)
            except ApiError as error:
                if error.status not in GONE:
                    log.error("end of pod %s: %s", self.context.name, error)  # noqa: TRY400 - no bug of ours
            except TRANSIENT:
                await asyncio.sleep(RETRY_S)
                continue
            return


def _version(pod: Json) -> int:
    return int(pod["metadata"]["resourceVersion"])
