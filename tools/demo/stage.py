"""The stage: everything that a story or an end-to-end test needs, brought up together and gone together."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo.children import tail
from demo.cluster import Cluster, build_programs, dev_cluster
from demo.decoys import Decoys, make_decoys
from demo.edge import LocalEdge, local_edge
from demo.fallback import Fallback, fallback_server, write_certificate
from demo.images import ConnectorProgram, find_connector, write_image_table
from demo.installation import NAMESPACE, Operator, credentials, write_kustomization
from demo.progress import Progress
from demo.waiting import NotYetError, wait_for

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "install.yaml"
WEB = Path(__file__).with_name("web.yaml")
ZONE = "example.com"
HOSTNAME = f"my.{ZONE}"
ROLLED_OUT_WITHIN_S = 60.0
TUNNEL_LABEL = "tunnelpool.dev/tunnel"
SLOT_LABEL = "tunnelpool.dev/slot"


@dataclass(frozen=True, slots=True)
class StageOptions:
    """How the stage is set up."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """Further TUNNELPOOL_… variables of the operator."""
    edge: Sequence[str] = ()
    """Further flags of `localedge serve`."""
    fallback_hostname: str = HOSTNAME
    """The host name in the certificate of the fallback."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What stands on it. Made by `stage`."""

    folder: Path
    edge: LocalEdge
    cluster: Cluster
    operator: Operator
    fallback: Fallback
    decoys: Decoys
    connector: ConnectorProgram

    async def connector_pod(self, tunnel: str, slot: int, namespace: str = "default") -> str:
        """Name the pod of one origin of a Tunnel.

        Raises:
            WaitedInVainError: there is not exactly one.

        """
        selector = f"{TUNNEL_LABEL}={tunnel},{SLOT_LABEL}={slot}"

        async def look() -> str:
            pods = await self.cluster.pods(namespace, selector)
            names = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            if len(names) != 1:
                raise NotYetError(f"pods: {names}")
            return str(names[0])

        return await wait_for(f"one pod with {selector}", look, within_s=ROLLED_OUT_WITHIN_S)

    async def kill_connector(self, tunnel: str, slot: int, namespace: str = "default") -> float:
        """Kill the connector of one origin and keep it from starting again; returns when that was."""
        pod = await self.connector_pod(tunnel, slot, namespace)
        at = time.monotonic()
        await self.cluster.processes.kill(pod, namespace, hold=True)
        return at

    async def release_connector(self, tunnel: str, slot: int, namespace: str = "default") -> float:
        """Let a connector that was killed start again; returns when that was."""
        pod = await self.connector_pod(tunnel, slot, namespace)
        at = time.monotonic()
        await self.cluster.processes.release(pod, namespace)
        return at

    async def wait_operator(self) -> None:
        """Wait until the operator's Deployment runs as it was last told."""
        await self.cluster.wait_rolled_out(NAMESPACE, self.operator.deployment, within_s=ROLLED_OUT_WITHIN_S)

    async def restart_operator(self) -> None:
        """Delete the operator's pod and wait until the next one is ready."""
        pods = await self.cluster.pods(NAMESPACE, self.operator.selector)
        old = {pod["metadata"]["uid"] for pod in pods}
        await self.cluster.kubectl("delete", "pods", "-n", NAMESPACE, "-l", self.operator.selector)

        async def look() -> None:
            now = await self.cluster.pods(NAMESPACE, self.operator.selector)
            if not now or {pod["metadata"]["uid"] for pod in now} & old:
                raise NotYetError("the old pod is still there, or no new one yet")

        await wait_for("a new operator pod", look, within_s=ROLLED_OUT_WITHIN_S)
        await self.wait_operator()

    async def set_operator(self, **settings: str) -> None:
        """Change variables of the operator, named without their prefix, and wait until it runs with them."""
        pairs = [f"TUNNELPOOL_{name.upper()}={value}" for name, value in settings.items()]
        deployment = f"deployment/{self.operator.deployment}"
        await self.cluster.kubectl("set", "env", "-n", NAMESPACE, deployment, *pairs)
        await self.wait_operator()

    def operator_log(self) -> str:
        """Read all that the operator's pods have logged, in the order in which they came."""
        return "\n".join(path.read_text(errors="replace") for path in self._operator_logs())

    def operator_tail(self) -> str:
        """Read the end of the newest operator's log; empty if there is none."""
        logs = self._operator_logs()
        return tail(logs[-1]) if logs else ""

    def _operator_logs(self) -> list[Path]:
        pattern = f"{NAMESPACE}_{self.operator.deployment}-*_{self.operator.container}.log"
        return sorted(self.cluster.facts.logs.glob(pattern), key=lambda path: path.stat().st_mtime)

    async def tunnel_tokens(self) -> list[str]:
        """Read the token of every connector, from the Secrets where they belong."""
        found = await self.cluster.api.get("/api/v1/secrets", labelSelector=TUNNEL_LABEL)
        return [base64.b64decode(one["data"]["token"]).decode() for one in found["items"]]


@asynccontextmanager
async def stage(
    folder: Path, progress: Progress, options: StageOptions | None = None, *, beside: Stage | None = None
) -> AsyncIterator[Stage]:
    """Bring everything up, with a word about each part; at the end nothing of it is left running.

    `beside` another stage only a further cluster comes up, with an operator of its own, at the same edge.

    Raises:
        BuildFailedError, ChildError, KubectlError, WaitedInVainError: a part did not come up.
        NoConnectorError: CLOUDFLARED names no program.

    """
    options = options or StageOptions()
    connector = find_connector()
    progress.event(f"connectors run {connector}")
    await build_programs()
    progress.event("etcd, kube-apiserver, kube-controller-manager and kubectl are built")
    async with AsyncExitStack() as stack:
        if beside is None:
            fallback, edge = await _outside(folder, progress, options, stack)
        else:
            fallback, edge = beside.fallback, beside.edge
        images = write_image_table(folder / "images.json", connector)
        cluster = await stack.enter_async_context(dev_cluster(folder / "cluster", images))
        progress.event(
            f"Kubernetes serves at {cluster.facts.server} (pods isolated by {cluster.facts.isolation})"
        )
        decoys = beside.decoys if beside is not None else await make_decoys(edge, ZONE)
        operator = await _install(folder, edge, cluster, options)
        made = Stage(folder, edge, cluster, operator, fallback, decoys, connector)
        await asyncio.gather(made.wait_operator(), _start_web(cluster))
        progress.event("the operator runs as the pod of install.yaml, under its ServiceAccount")
        yield made


async def _outside(
    folder: Path, progress: Progress, options: StageOptions, stack: AsyncExitStack
) -> tuple[Fallback, LocalEdge]:
    """Bring up what is not in the cluster: the fallback and the edge."""
    certificate = write_certificate(folder, options.fallback_hostname)
    fallback = await stack.enter_async_context(fallback_server(certificate))
    progress.event(
        f"the fallback, a web server outside the cluster, listens on {fallback.address}:{fallback.port}"
    )
    flags = ["--zone", ZONE, "--origin-ca", str(certificate), *options.edge]
    edge = await stack.enter_async_context(local_edge(folder / "edge", flags))
    progress.event(f"the local edge stands in for Cloudflare at {edge.facts.api_url}")
    return fallback, edge


async def _install(folder: Path, edge: LocalEdge, cluster: Cluster, options: StageOptions) -> Operator:
    operator = write_kustomization(
        folder / "install",
        INSTALL,
        api_url=edge.facts.api_url,
        edge=edge.facts.edge,
        ca_file=edge.facts.ca_file,
        settings=options.settings,
    )
    await cluster.kubectl("apply", "--server-side", "--kustomize", str(folder / "install"))
    await cluster.apply(credentials(edge.facts.account_id, edge.facts.api_token), NAMESPACE)
    await cluster.kubectl(
        "wait",
        "--for=condition=Established",
        "crds",
        "--timeout=30s",
        *(f"{plural}.tunnelpool.dev" for plural in ("tunnels", "lbpools", "healthchecks", "loadbalancers")),
    )
    return operator


async def _start_web(cluster: Cluster) -> None:
    await cluster.apply(WEB.read_text())
    await cluster.wait_rolled_out("default", "web", within_s=ROLLED_OUT_WITHIN_S)
