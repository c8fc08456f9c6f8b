"""One cluster: control plane, pod runner and control socket, from folder to folder."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.control import ControlServer
from devcluster.controlplane.plane import ControlPlane
from devcluster.crds import apply_crds
from devcluster.loopback import claim_block
from devcluster.podrunner.context import Site
from devcluster.podrunner.images import ImageTable
from devcluster.podrunner.isolation import choose_isolation
from devcluster.podrunner.runner import PodRunner

Json = dict[str, Any]

NODES = ("node-1", "node-2")
STATE_FILE = "cluster.json"
# What a run makes in its folder; logs and the audit log are left for whoever wants to know.
OWN_FOLDERS = ("pki", "etcd", "pods", "logs")
OWN_FILES = ("kubeconfig", "audit.log", "audit-policy.yaml", STATE_FILE)
SECRET_PARTS = ("pki", "etcd", "pods", "kubeconfig", STATE_FILE)


@dataclass(frozen=True)
class Options:
    """What `devcluster run` is told. `node_grace_s`: seconds without a heartbeat until a node is lost."""

    folder: Path
    etcd: Path
    kubernetes: Path
    crds: Sequence[Path] = ()
    images: Path | None = None
    isolation: str = "auto"
    node_grace_s: int = 10


class FolderInUseError(RuntimeError):
    """A cluster runs in this folder already."""


@asynccontextmanager
async def cluster(options: Options) -> AsyncIterator[tuple[Json, asyncio.Task[None]]]:
    """Run a cluster; yields its facts when it is ready, and a task that ends only if a part of it fails."""
    clear_folder(options.folder)
    images = ImageTable(options.images)
    block = claim_block()
    plane = ControlPlane(block, options.folder, options.etcd, options.kubernetes, options.node_grace_s)
    try:
        plane.write_files()
        await plane.start()
        async with plane.open_api() as api:
            if options.crds:
                await apply_crds(api, options.crds)
            (options.folder / "pods").mkdir(mode=0o700)  # Secrets and tokens lie there as files
            isolation = await choose_isolation(options.folder / "pods", options.isolation)
            address, port = plane.endpoints.address, plane.endpoints.apiserver
            variables = {
                "KUBERNETES_SERVICE_HOST": address,
                "KUBERNETES_SERVICE_PORT": str(port),
                "KUBERNETES_SERVICE_PORT_HTTPS": str(port),
            }
            site = Site(
                api,
                images,
                isolation,
                options.folder / "pods",
                options.folder / "logs",
                plane.files.ca,
                variables,
            )
            runner = PodRunner(site, block, (address, port), NODES)
            facts: Json = {
                "kubeconfig": str(plane.files.kubeconfig),
                "server": plane.endpoints.server,
                "dir": str(options.folder),
                "audit_log": str(plane.files.audit_log),
                "bin": str(options.kubernetes),
                "nodes": list(NODES),
                "pid": os.getpid(),
                "block": block.number,
                "isolation": isolation.name,
                "limits": isolation.limits,
            }
            control = ControlServer(runner, block, os.geteuid(), lambda: {**facts, **describe(runner)})
            async with _running(runner, plane) as watching:
                await control.start()
                write_state(options.folder, facts)
                yield facts, watching
                await control.stop()
    finally:
        await plane.stop()
        block.close()
        for name in SECRET_PARTS:
            _remove(options.folder / name)


@asynccontextmanager
async def _running(runner: PodRunner, plane: ControlPlane) -> AsyncIterator[asyncio.Task[None]]:
    ready = asyncio.Event()
    waiting = asyncio.create_task(ready.wait())
    running = asyncio.create_task(runner.run(ready))
    watching = asyncio.create_task(_watch_over(plane, running))
    try:
        await asyncio.wait({waiting, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            await watching
        yield watching
    finally:
        for task in (waiting, watching, running):
            task.cancel()
            await asyncio.wait({task})


async def _watch_over(plane: ControlPlane, running: asyncio.Task[None]) -> None:
    """Wait for what should not happen, and raise it."""
    watching = asyncio.create_task(plane.watch_over())
    try:
        done, _ = await asyncio.wait({watching, running}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
    for task in done:
        await task


def describe(runner: PodRunner) -> Json:
    """Tell what runs where, for `status`."""
    return {
        "nodes": {
            node.name: {
                "running": node.running,
                "pods": [
                    {
                        "namespace": pod.context.namespace,
                        "name": pod.context.name,
                        "ip": pod.context.pod_ip,
                        "containers": {
                            each.record.name: next(iter(each.record.state)) for each in pod.containers
                        },
                    }
                    for pod in node.pods.values()
                ],
            }
            for node in runner.nodes.values()
        }
    }


def clear_folder(folder: Path) -> None:
    """Make `folder` ready for a new run. Raises FolderInUseError."""
    state = read_state(folder)
    if state and is_alive(state):
        raise FolderInUseError(f"a cluster runs in {folder} already (process {state['pid']})")
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*OWN_FOLDERS, *OWN_FILES):
        _remove(folder / name)


def write_state(folder: Path, facts: Json) -> None:
    """Leave the facts where `status`, `down` and the others find them."""
    (folder / STATE_FILE).write_text(json.dumps({**facts, "born": _birth(os.getpid())}))


def read_state(folder: Path) -> Json | None:
    """Return the facts of the cluster of a folder; None if there is none, or its run was cut short."""
    try:
        state: Json = json.loads((folder / STATE_FILE).read_text())
    except (OSError, ValueError):
        return None
    return state


def is_alive(state: Json) -> bool:
    """Whether the process of these facts still runs, and is not another by the same number."""
    return state.get("born") is not None and _birth(state["pid"]) == state["born"]


def _birth(pid: int) -> str | None:
    """When a process was started, in clock ticks since boot."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
