"""Ways in which things go wrong on the stage, and back again."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from yarl import URL

from demo.installation import NAMESPACE
from demo.stage import ROLLED_OUT_WITHIN_S, Stage
from demo.waiting import NotYetError, wait_for

BACK_WITHIN_S: Final = 60.0


async def enabled_origins(stage: Stage, pool: str) -> set[str]:
    """List the enabled origins of a pool at the edge by `TUNNEL_SLOT`; empty if there is no pool."""
    for one in (await stage.edge.state())["pools"]:
        if one["name"] == pool:
            return {"_".join(o["name"].split("_")[-2:]) for o in one["origins"] if o.get("enabled", True)}
    return set()


async def wait_enabled(stage: Stage, pool: str, origins: set[str], within_s: float) -> None:
    """Wait until these and no other origins of a pool are enabled.

    Raises:
        WaitedInVainError: it did not come.

    """

    async def look() -> None:
        now = await enabled_origins(stage, pool)
        if now != origins:
            raise NotYetError(f"enabled are {sorted(now)}")

    await wait_for(f"{sorted(origins)} of pool {pool} to be enabled", look, within_s=within_s)


async def tunnel_ids(stage: Stage, namespace: str) -> list[str]:
    """List the ids of a namespace's tunnels."""
    tunnels = (await stage.edge.state())["tunnels"]
    return [one["id"] for one in tunnels if f"_{namespace}_" in one["name"] and not one.get("deleted_at")]


@asynccontextmanager
async def hanging(stage: Stage, pod: str, namespace: str) -> AsyncIterator[None]:
    """Stop the processes of a pod: they neither work nor end."""
    await stage.cluster.processes.kill(pod, namespace, number=signal.SIGSTOP)
    try:
        yield
    finally:
        await stage.cluster.processes.kill(pod, namespace, number=signal.SIGCONT)


@asynccontextmanager
async def slandered(stage: Stage, ids: list[str]) -> AsyncIterator[None]:
    """Have Cloudflare's API call tunnels down that are connected."""
    await stage.edge.control("PUT", "/pretend/tunnels", {"status": "down", "ids": ids})
    try:
        yield
    finally:
        await stage.edge.control("DELETE", "/pretend")


@asynccontextmanager
async def rate_limited(stage: Stage) -> AsyncIterator[None]:
    """Have Cloudflare's API answer every call with 429."""
    await stage.edge.add_fault("* /*", status=429, headers={"retry-after": "5"})
    try:
        yield
    finally:
        await stage.edge.clear_faults()


@asynccontextmanager
async def operator_gone(stage: Stage) -> AsyncIterator[None]:
    """Run no operator meanwhile."""
    deployment = f"deployment/{stage.operator.deployment}"

    async def gone() -> None:
        if await stage.cluster.pods(NAMESPACE, stage.operator.selector):
            raise NotYetError("its pod is still there")

    await stage.cluster.kubectl("scale", "-n", NAMESPACE, deployment, "--replicas=0")
    try:
        await wait_for("the operator to be gone", gone, within_s=BACK_WITHIN_S)
        yield
    finally:
        await stage.cluster.kubectl("scale", "-n", NAMESPACE, deployment, "--replicas=1")
        await stage.wait_operator()


@asynccontextmanager
async def api_server_hanging(stage: Stage) -> AsyncIterator[None]:
    """Let the cluster's API accept connections and answer nothing."""
    pid = _api_server(URL(stage.cluster.facts.server).port or 0)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def spare(stage: Stage, node: str) -> None:
    """Move the operator and the application away from a node that shall be lost."""
    await stage.cluster.kubectl("cordon", node)
    try:
        for namespace, deployment, selector in (
            (NAMESPACE, stage.operator.deployment, stage.operator.selector),
            ("default", "web", "app=web"),
        ):
            for pod in await stage.cluster.pods(namespace, selector):
                if pod["spec"].get("nodeName") == node:
                    await stage.cluster.kubectl("delete", "pod", "-n", namespace, pod["metadata"]["name"])
            await stage.cluster.wait_rolled_out(namespace, deployment, within_s=ROLLED_OUT_WITHIN_S)
    finally:
        await stage.cluster.kubectl("uncordon", node)


@asynccontextmanager
async def node_lost(stage: Stage, node: str) -> AsyncIterator[None]:
    """Lose a node, with all that runs on it; it comes back in the end."""
    await stage.cluster.processes.stop_node(node)
    try:
        yield
    finally:
        await stage.cluster.processes.start_node(node)
        await stage.cluster.kubectl(
            "wait", f"node/{node}", "--for=condition=Ready", f"--timeout={BACK_WITHIN_S:.0f}s"
        )


def _api_server(port: int) -> int:
    """Find the process that serves the cluster's API at a port.

    Raises:
        LookupError: there is none.

    """
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            argv = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if argv[0].endswith(b"/kube-apiserver") and f"--secure-port={port}".encode() in argv:
            return int(entry.name)
    raise LookupError(f"no kube-apiserver serves port {port}")
