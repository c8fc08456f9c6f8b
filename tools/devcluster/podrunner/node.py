"""A node: its object, its Lease, the pods on it."""

import asyncio
import datetime as dt
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from devcluster.api import APPLY, STRATEGIC, TRANSIENT, Api, ApiError
from devcluster.loopback import AddressPool
from devcluster.podrunner.context import PodContext, Site, timestamp
from devcluster.podrunner.pod import Pod

Json = dict[str, Any]

HEARTBEAT_S = 2.0
LEASE_S = 40
KUBELET_VERSION = "v1.37.2"
# What `kubectl describe node` shows; nothing is metered.
CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "500", "ephemeral-storage": "100Gi"}


class Node:
    """A node of the cluster. Stopped, it is a lost node: its processes are dead and it says nothing."""

    def __init__(self, site: Site, name: str, zone: str, addresses: AddressPool) -> None:
        self.name = name
        self.zone = zone
        self.running = False
        self.pods: dict[str, Pod] = {}
        self._site = site
        self._addresses = addresses
        self._address = addresses.take()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._heartbeat: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Register, or come back: Ready, with heartbeats."""
        if self.running:
            return
        await self._register()
        self.running = True
        self._heartbeat = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        """Be lost: from one moment to the next, for all that the cluster can see."""
        self.running = False
        if self._heartbeat:
            self._heartbeat.cancel()
        for task in self._tasks.values():
            task.cancel()  # before the containers end, so that no status tells of it
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks)
        for uid in list(self.pods):
            self._forget(uid)

    def take(self, pod: Json) -> None:
        """Take a pod of this node that has appeared or changed."""
        uid = pod["metadata"]["uid"]
        if not self.running:
            return
        if uid in self.pods:
            self.pods[uid].update(pod)
        elif pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"} or _is_deleted(pod):
            context = PodContext(self._site, pod, self._addresses.take(), self._address)
            self.pods[uid] = Pod(context)
            self._tasks[uid] = asyncio.create_task(self._run(self.pods[uid]), name=context.name)

    def drop(self, pod: Json) -> None:
        """Take note that the object of a pod is gone."""
        if found := self.pods.get(pod["metadata"]["uid"]):
            found.removed()

    async def _run(self, pod: Pod) -> None:
        uid = pod.context.pod["metadata"]["uid"]
        try:
            await pod.run()
        except asyncio.CancelledError:
            await pod.crash()
            pod.remove_folder()
            raise
        self._forget(uid)

    def _forget(self, uid: str) -> None:
        pod = self.pods.pop(uid, None)
        self._tasks.pop(uid, None)
        if pod:
            self._addresses.give_back(pod.context.pod_ip)

    async def _register(self) -> None:
        api: Api = self._site.api
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": {
                    "kubernetes.io/hostname": self.name,
                    "kubernetes.io/os": "linux",
                    "topology.kubernetes.io/region": "local",
                    "topology.kubernetes.io/zone": self.zone,
                },
            },
        }
        try:
            await api.create("/api/v1/nodes", body)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        await self._renew_lease()
        await api.patch(f"/api/v1/nodes/{self.name}/status", {"status": self._status()}, STRATEGIC)

    def _status(self) -> Json:
        now = timestamp()
        healthy = (
            ("Ready", "True", "KubeletReady"),
            ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
            ("PIDPressure", "False", "KubeletHasSufficientPID"),
        )
        return {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "addresses": [
                {"type": "InternalIP", "address": self._address},
                {"type": "Hostname", "address": self.name},
            ],
            "conditions": [
                {
                    "type": kind,
                    "status": status,
                    "reason": reason,
                    "message": "devcluster's pod runner",
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                }
                for kind, status, reason in healthy
            ],
            "nodeInfo": {
                "kubeletVersion": KUBELET_VERSION,
                "containerRuntimeVersion": "devcluster://1",
                "osImage": "devcluster",
                "operatingSystem": "linux",
                "architecture": "",
                "kernelVersion": "",
                "bootID": "",
                "machineID": "",
                "systemUUID": "",
                "kubeProxyVersion": "",
            },
        }

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            with suppress(ApiError, *TRANSIENT):
                await self._renew_lease()

    async def _renew_lease(self) -> None:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": {"holderIdentity": self.name, "leaseDurationSeconds": LEASE_S, "renewTime": now},
        }
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{self.name}"
        await self._site.api.patch(path, lease, APPLY, fieldManager="devcluster", force="true")


def _is_deleted(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]
