"""The pod runner: scheduler, kubelets and proxy of the cluster in one."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from devcluster.api import MERGE, STRATEGIC, TRANSIENT, ApiError
from devcluster.loopback import LoopbackBlock
from devcluster.podrunner.context import HOLD, Changes, Site, timestamp
from devcluster.podrunner.informer import Informer
from devcluster.podrunner.node import Node
from devcluster.podrunner.pod import Pod
from devcluster.podrunner.scheduling import Unschedulable, choose_node
from devcluster.podrunner.services import Services

Json = dict[str, Any]

PODS_THIRD, PODS_LENGTH = 0, 32  # each node: 127.N.(32 * its index).0, 8190 addresses
SERVICES_THIRD, SERVICES_LENGTH = 128, 64


class PodRunner:
    """Everything between the API server and the processes of one cluster."""

    def __init__(
        self, site: Site, block: LoopbackBlock, apiserver: tuple[str, int], names: Sequence[str]
    ) -> None:
        self._site = site
        self.nodes = {
            name: Node(
                site, name, f"zone-{index + 1}", block.pool(PODS_THIRD + PODS_LENGTH * index, PODS_LENGTH)
            )
            for index, name in enumerate(names)
        }
        self._pods = Informer(site.api, "/api/v1/pods", self._on_pod)
        self._node_objects = Informer(site.api, "/api/v1/nodes", lambda *_: self._wake.announce())
        self.services = Services(
            block.pool(SERVICES_THIRD, SERVICES_LENGTH), apiserver, self._pods.items.values, self._write_hosts
        )
        self._service_objects = Informer(site.api, "/api/v1/services", self.services.take)
        self._wake = Changes()

    async def run(self, ready: asyncio.Event) -> None:
        """Run until cancelled, then kill all containers; `ready` is set when all nodes take pods."""
        for node in self.nodes.values():
            await node.start()
        try:
            async with asyncio.TaskGroup() as group:
                for informer in (self._node_objects, self._service_objects, self._pods):
                    group.create_task(informer.run())
                group.create_task(self.services.run())
                group.create_task(self._schedule())
                await self._pods.synced.wait()
                await self._service_objects.synced.wait()
                await self._wait_until_schedulable()
                ready.set()
        finally:
            await asyncio.gather(*(node.stop() for node in self.nodes.values()))

    async def stop_node(self, name: str) -> None:
        """Lose a node. Raises KeyError if there is none by that name."""
        await self.nodes[name].stop()

    async def start_node(self, name: str) -> None:
        """Bring a node back: it starts its pods anew. Raises KeyError."""
        await self.nodes[name].start()
        for pod in list(self._pods.items.values()):
            if pod["spec"].get("nodeName") == name:
                self.nodes[name].take(pod)

    async def hold(self, namespace: str, name: str) -> None:
        """Hold a pod's containers back from being started again. Raises KeyError, ApiError."""
        await self._annotate(self.find(namespace, name), "true")

    async def release(self, namespace: str, name: str) -> None:
        """Let a pod's containers start again. Raises KeyError, ApiError."""
        await self._annotate(self.find(namespace, name), None)

    def find(self, namespace: str, name: str) -> Pod:
        """Return a pod that runs here. Raises KeyError."""
        for node in self.nodes.values():
            for pod in node.pods.values():
                if (pod.context.namespace, pod.context.name) == (namespace, name):
                    return pod
        raise KeyError(f"{namespace}/{name}")

    async def _annotate(self, pod: Pod, value: str | None) -> None:
        body = {"metadata": {"annotations": {HOLD: value}, "uid": pod.context.pod["metadata"]["uid"]}}
        # Taken over at once: a kill that follows must not race with the watch.
        pod.update(await self._site.api.patch(pod.context.path, body, MERGE))

    def _on_pod(self, pod: Json, gone: bool) -> None:
        self._wake.announce()
        node = self.nodes.get(pod["spec"].get("nodeName", ""))
        if node:
            (node.drop if gone else node.take)(pod)
            self._write_pod_hosts(node.pods.get(pod["metadata"]["uid"]))
        if self.services.has_headless:
            self._write_hosts()

    def _write_hosts(self) -> None:
        for node in self.nodes.values():
            for pod in node.pods.values():
                self._write_pod_hosts(pod)

    def _write_pod_hosts(self, pod: Pod | None) -> None:
        """In place, since a container has this very file bound over its /etc/hosts."""
        if pod is None:
            return
        context = pod.context
        aliases = [
            f"{alias['ip']}\t{' '.join(alias['hostnames'])}"
            for alias in context.pod["spec"].get("hostAliases", ())
        ]
        lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost", f"{context.pod_ip}\t{context.hostname}", *aliases]
        text = "\n".join([*lines, *self.services.hosts_lines(context.namespace), ""])
        context.folder.mkdir(parents=True, exist_ok=True)
        if not context.hosts.exists() or context.hosts.read_text() != text:
            context.hosts.write_text(text)

    async def _schedule(self) -> None:
        """Bind whatever can be bound, each time that a pod or a node has changed."""
        await self._node_objects.synced.wait()
        await self._pods.synced.wait()
        while True:
            changed = self._wake.next()
            for pod in list(self._pods.items.values()):
                if not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]:
                    with suppress(ApiError, *TRANSIENT):
                        await self._bind(pod)
            await changed.wait()

    async def _bind(self, pod: Json) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        try:
            node = choose_node(pod, self._node_objects.items.values(), self._pods.items.values())
        except Unschedulable as error:
            await self._say_unschedulable(path, pod, str(error))
            return
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"], "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._site.api.create(f"{path}/binding", binding)
        # Counted at once, or the next pod would be placed as if this one were not there.
        pod["spec"]["nodeName"] = node

    async def _say_unschedulable(self, path: str, pod: Json, message: str) -> None:
        told = {item["type"]: item for item in pod.get("status", {}).get("conditions", ())}
        if told.get("PodScheduled", {}).get("message") == message:
            return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": timestamp(),
        }
        await self._site.api.patch(f"{path}/status", {"status": {"conditions": [condition]}}, STRATEGIC)

    async def _wait_until_schedulable(self) -> None:
        """Wait: new nodes are tainted not-ready until the node-lifecycle controller has seen them."""
        probe: Json = {"metadata": {"namespace": ""}, "spec": {}}
        while True:
            changed = self._wake.next()
            try:
                for name in self.nodes:
                    choose_node(probe, [self._node_objects.items["", name]], [])
            except (Unschedulable, KeyError):
                await changed.wait()
            else:
                return
