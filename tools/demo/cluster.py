"""The development cluster as a child process, and the ways to it: kubectl, the API, its pods' processes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from demo.audit import AuditLog
from demo.children import running
from demo.kstatus import Verdict, explain, seen, verdict
from demo.waiting import NotYetError, wait_for
from devcluster.api import Api, ApiError
from devcluster.control import ControlClient

READY_WITHIN_S = 90.0
STOP_WITHIN_S = 40.0
KUBECTL_WITHIN_S = 120.0
NOT_FOUND = 404
GROUP = "/apis/tunnelpool.dev/v1alpha1"
KINDS = ("tunnels", "lbpools", "healthchecks", "loadbalancers")
Json = dict[str, Any]


class KubectlError(RuntimeError):
    """kubectl ended with another status than 0; the message is what it said."""


class BuildFailedError(RuntimeError):
    """The programs of the cluster could not be built; the reason is on the terminal."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What `devcluster run --json` says when it is ready."""

    kubeconfig: Path
    bin: Path
    audit_log: Path
    logs: Path
    cache: Path
    """For kubectl: it keeps what an API offers, and another cluster may come by the same address."""
    block: int
    server: str
    isolation: str

    @classmethod
    def read(cls, said: Json) -> Self:
        """Take what is needed of the ready line."""
        return cls(
            kubeconfig=Path(said["kubeconfig"]),
            bin=Path(said["bin"]),
            audit_log=Path(said["audit_log"]),
            logs=Path(said["dir"]) / "logs",
            cache=Path(said["dir"]) / "kubectl-cache",
            block=int(said["block"]),
            server=said["server"],
            isolation=said["isolation"],
        )


class Cluster:
    """A running cluster, with an administrator's rights."""

    def __init__(self, facts: ClusterFacts) -> None:
        self.facts = facts
        self.audit = AuditLog(facts.audit_log)
        self.api = _open_api(facts.kubeconfig)
        self.processes = ControlClient(facts.block)

    async def close(self) -> None:
        """Close the connections to it."""
        await self.api.close()

    async def try_kubectl(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        """Run kubectl; returns its exit status and all that it said."""
        process = await asyncio.create_subprocess_exec(
            str(self.facts.bin / "kubectl"),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={
                **os.environ,
                "KUBECONFIG": str(self.facts.kubeconfig),
                "KUBECACHEDIR": str(self.facts.cache),
            },
        )
        try:
            async with asyncio.timeout(KUBECTL_WITHIN_S):
                said, _ = await process.communicate(stdin.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, said.decode()

    async def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl.

        Raises:
            KubectlError: it ended with another status than 0.

        """
        status, said = await self.try_kubectl(*arguments, stdin=stdin)
        if status:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {said.strip()}")
        return said

    async def apply(self, manifests: str, namespace: str = "default") -> str:
        """Apply YAML."""
        return await self.kubectl("apply", "--namespace", namespace, "--filename", "-", stdin=manifests)

    async def find(self, path: str) -> Json | None:
        """Get an object or a list by its path in the API; None if there is none."""
        try:
            return await self.api.get(path)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def resource(self, plural: str, namespace: str, name: str) -> Json | None:
        """Get one of our objects, e.g. of `tunnels`."""
        return await self.find(f"{GROUP}/namespaces/{namespace}/{plural}/{name}")

    async def resources(self) -> list[Json]:
        """List the objects of all our kinds in all namespaces."""
        lists = [await self.api.get(f"{GROUP}/{plural}") for plural in KINDS]
        return [
            {"kind": found["kind"].removesuffix("List"), **one} for found in lists for one in found["items"]
        ]

    async def pods(self, namespace: str, selector: str) -> list[Json]:
        """List the pods with these labels, by name."""
        found = await self.api.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)
        return sorted(found["items"], key=lambda pod: str(pod["metadata"]["name"]))

    async def wait_current(self, namespace: str, *, within_s: float) -> None:
        """Wait until every object of ours in a namespace is as it should be, by kstatus.

        Raises:
            WaitedInVainError: one is not.

        """

        async def look() -> None:
            found = [one for one in await self.resources() if one["metadata"]["namespace"] == namespace]
            # To kstatus, an object that nobody has looked at yet is current: here that is not enough.
            late = [explain(one) for one in found if verdict(one) is not Verdict.CURRENT or not seen(one)]
            if late:
                raise NotYetError("; ".join(late))

        await wait_for(f"resources of namespace {namespace}", look, within_s=within_s)

    async def wait_rolled_out(self, namespace: str, deployment: str, *, within_s: float) -> None:
        """Wait until a Deployment runs as it was last told, and nothing older does.

        Raises:
            WaitedInVainError: it does not.

        """
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"

        async def look() -> None:
            raw = await self.api.get(path)
            status, wanted = raw.get("status") or {}, raw["spec"].get("replicas", 1)
            seen = status.get("observedGeneration", 0) >= raw["metadata"]["generation"]
            counts = [status.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas")]
            if not seen or counts != [wanted] * 3:
                raise NotYetError(f"{counts} of {wanted} pods exist, are new, are available")

        await wait_for(f"deployment {deployment}", look, within_s=within_s)


@asynccontextmanager
async def dev_cluster(folder: Path, images: Path) -> AsyncIterator[Cluster]:
    """Run a cluster with its files in `folder`; `images` is the table of images."""
    argv = [
        sys.executable,
        "-m",
        "devcluster",
        "run",
        "--json",
        "--dir",
        str(folder),
        "--images",
        str(images),
    ]
    async with running(
        "the development cluster",
        argv,
        folder.with_suffix(".log"),
        ready_within_s=READY_WITHIN_S,
        stop_within_s=STOP_WITHIN_S,
    ) as said:
        cluster = Cluster(ClusterFacts.read(said))
        try:
            yield cluster
        finally:
            await cluster.close()


async def build_programs(command: Sequence[str] = (sys.executable, "-m", "devcluster", "build")) -> None:
    """Build the cluster's programs where that is still to be done; progress goes to the terminal.

    Raises:
        BuildFailedError: it failed.

    """
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    if status:
        raise BuildFailedError("the programs of the development cluster could not be built")


def _open_api(kubeconfig: Path) -> Api:
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    certificate = (Path(user["client-certificate"]), Path(user["client-key"]))
    return Api(cluster["server"], Path(cluster["certificate-authority"]), certificate)
