"""What makes pods of Deployments and runs their connectors: they connect, die, come back, drain."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from remote_account import RemoteAccount
from small_cluster import SmallCluster, containers

from tunnelpool.domain.kinds import MANAGED_BY, MANAGER

START_S = 2.0
RESTART_S = 10.0


@dataclass
class _Pod:
    deployment: tuple[str, str]
    template: str
    poke: asyncio.Event = field(default_factory=asyncio.Event)
    deleted: bool = False
    killed: bool = False
    ready: bool = False
    turned_at: float = 0.0
    """When `ready` became what it is."""

    def is_deleted(self) -> bool:
        """Tell whether it shall end."""
        return self.deleted


class Pods:
    """Deployment controller, kubelet and connector in one. A Deployment in `held` starts nothing."""

    def __init__(self, cluster: SmallCluster, remote: RemoteAccount) -> None:
        self._cluster = cluster
        self._remote = remote
        self._pods: dict[str, _Pod] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self.held: set[str] = set()
        self._released = asyncio.Event()
        cluster.listeners.append(self._changed)

    def kill(self, deployment: str, *, hold: bool = False) -> None:
        """End the connectors of a Deployment abruptly; with `hold` they do not come back."""
        if hold:
            self.held.add(deployment)
        for pod in self._of("default", deployment):
            pod.killed = True
            pod.poke.set()

    def release(self, deployment: str) -> None:
        """Let the connectors of a Deployment come back."""
        self.held.discard(deployment)
        self._released.set()
        self._released = asyncio.Event()

    def cut(self, deployment: str, *, hangs: bool = False) -> None:
        """Lose the connections of a Deployment while its pods look well, as a lost node's do for a while.

        With `hangs` they do not answer their readiness probes either.
        """
        for name, pod in self._named(deployment):
            self._remote.disconnect(self._tunnel_id(pod), name)
            self._show(name, pod, "running", ready=not hangs)

    def look_unready(self, deployment: str) -> None:
        """Let the pods of a Deployment be called unready, whatever becomes of their connections."""
        for name, pod in self._named(deployment):
            self._show(name, pod, "running", ready=False)

    def mend(self, deployment: str) -> None:
        """Let what was cut connect again."""
        for name, pod in self._named(deployment):
            self._remote.connect(self._tunnel_id(pod), name)
            self._show(name, pod, "running", ready=True)

    def _named(self, deployment: str) -> list[tuple[str, _Pod]]:
        return [(name, pod) for name, pod in self._pods.items() if pod.deployment == ("default", deployment)]

    def _tunnel_id(self, pod: _Pod) -> str:
        namespace, deployment = pod.deployment
        secret = self._cluster.get("Secret", deployment, namespace) or {}
        return self._remote.opened_by(secret.get("data", {}).get("token", ""))

    def ready(self) -> int:
        """Count the pods that are ready."""
        return sum(pod.ready for pod in self._pods.values())

    async def stop(self) -> None:
        """End all of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _of(self, namespace: str, deployment: str) -> list[_Pod]:
        return [pod for pod in self._pods.values() if pod.deployment == (namespace, deployment)]

    def _changed(self, kind: str, raw: dict[str, Any], gone: bool) -> None:
        if kind == "Deployment" and (raw["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER:
            asyncio.get_running_loop().call_soon(self._provide, raw, gone)

    def _provide(self, raw: dict[str, Any], gone: bool) -> None:
        meta = raw["metadata"]
        template = json.dumps(raw["spec"]["template"], sort_keys=True)
        mine = [pod for pod in self._of(meta["namespace"], meta["name"]) if not pod.deleted]
        if gone or meta.get("deletionTimestamp"):
            self._delete(mine)
            return
        current = [pod for pod in mine if pod.template == template]
        for _ in range(raw["spec"]["replicas"] - len(current)):
            self._start(raw, template)
        self._delete(current[raw["spec"]["replicas"] :])
        self._retire((meta["namespace"], meta["name"]), template)

    def _retire(self, deployment: tuple[str, str], template: str) -> None:
        """Delete pods of older templates once those of the latest are ready: surge 1, unavailable 0."""
        mine = [pod for pod in self._of(*deployment) if not pod.deleted]
        if any(pod.ready and pod.template == template for pod in mine):
            self._delete([pod for pod in mine if pod.template != template])

    def _delete(self, pods: list[_Pod]) -> None:
        for pod in pods:
            pod.deleted = True
            pod.poke.set()

    def _start(self, deployment: dict[str, Any], template: str) -> None:
        meta = deployment["metadata"]
        name = f"{meta['name']}-{next(self._numbers)}"
        pod = self._pods[name] = _Pod((meta["namespace"], meta["name"]), template)
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": meta["name"], "uid": meta["uid"]}
        self._cluster.write(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": meta["namespace"],
                    "labels": labels,
                    "ownerReferences": [{**owner, "uid": f"replicaset-of-{meta['uid']}"}],
                },
                "status": _status("waiting", ready=False, since=pod.turned_at),
            }
        )
        (container,) = containers(deployment)
        drain_s = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        task = asyncio.get_running_loop().create_task(self._run(name, pod, drain_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, name: str, pod: _Pod, drain_s: float) -> None:
        namespace, deployment = pod.deployment
        while not pod.is_deleted():
            await self._wait(pod, START_S)
            if pod.is_deleted():
                break
            tunnel_id = self._tunnel_id(pod)
            if not self._remote.connect(tunnel_id, name):
                self._show(name, pod, "running", ready=False)
                continue
            self._show(name, pod, "running", ready=True)
            self._retire(pod.deployment, pod.template)
            while not pod.killed and not pod.is_deleted():
                await self._wait(pod, None)
            if pod.is_deleted():
                await asyncio.sleep(drain_s)
            self._remote.disconnect(tunnel_id, name)
            if not pod.is_deleted():
                self._show(name, pod, "ended", ready=False)
                pod.killed = False
                await self._wait(pod, RESTART_S)
                while deployment in self.held and not pod.is_deleted():
                    await self._released.wait()
        self._show(name, pod, "ended", ready=False)
        del self._pods[name]
        self._cluster.delete("Pod", name, namespace)

    async def _wait(self, pod: _Pod, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await pod.poke.wait()
        except TimeoutError:
            return
        pod.poke.clear()

    def _show(self, name: str, pod: _Pod, state: str, *, ready: bool) -> None:
        if pod.ready is not ready:
            pod.turned_at = self._remote.clock.now()
        pod.ready = ready
        raw = self._cluster.get("Pod", name, pod.deployment[0])
        if raw is not None:
            self._cluster.write({**raw, "status": _status(state, ready=ready, since=pod.turned_at)})


def _status(state: str, *, ready: bool, since: float) -> dict[str, Any]:
    ended = {"terminated": {"exitCode": 137}}
    container: dict[str, Any] = {"name": "cloudflared", "ready": ready}
    match state:
        case "running":
            container["state"] = {"running": {}}
        case "ended":
            container |= {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}
        case _:
            container["state"] = {"waiting": {"reason": "ContainerCreating"}}
    return {
        "phase": "Running" if state != "waiting" else "Pending",
        "conditions": [
            {
                "type": "Ready",
                "status": "True" if ready else "False",
                "lastTransitionTime": f"{datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%SZ}",
            }
        ],
        "containerStatuses": [container],
    }
