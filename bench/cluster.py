"""A real API server for the bench: control plane only, and a stand-in for nodes that calls every pod ready.

Deployments become ReplicaSets and pods by Kubernetes' own controllers; no pod is run.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.fleet import API_VERSION, NAMESPACE, Json
from demo.audit import AuditLog, Use
from demo.installation import credentials, read_operator
from demo.stage import SLOT_LABEL, TUNNEL_LABEL
from devcluster.api import Api
from devcluster.controlplane.kubeconfig import kubeconfig, write_kubeconfig
from devcluster.controlplane.plane import ControlPlane
from devcluster.loopback import claim_block
from devcluster.toolchain.build import ensure_built
from devcluster.toolchain.recipe import ETCD, KUBERNETES

ROOT = Path(__file__).parents[1]
SYSTEM = "tunnelpool-system"
GROUP = f"/apis/{API_VERSION}"
KINDS = ("healthchecks", "lbpools", "loadbalancers", "tunnels")
AT_ONCE = 16
NODE_GRACE_S = 3600
Connect = Callable[[str, str, str], Awaitable[None]]
"""Starts a connector: namespace, Tunnel, slot."""
_TOKEN_S = 36_000
_READY = {
    "status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running control plane, with an administrator's rights, and the way in for the operator."""

    api: Api
    audit: AuditLog
    operator_user: str
    operator_kubeconfig: Path

    async def create_all(self, manifests: Iterable[tuple[str, Json]]) -> None:
        """Create resources, many at a time."""
        await at_once(
            [
                self.api.create(f"{GROUP}/namespaces/{NAMESPACE}/{plural}", manifest)
                for plural, manifest in manifests
            ]
        )

    async def patch(self, plural: str, name: str, spec: Json) -> None:
        """Change the spec of a resource."""
        await self.api.patch(f"{GROUP}/namespaces/{NAMESPACE}/{plural}/{name}", {"spec": spec})

    async def unsettled(self) -> list[str]:
        """Name the resources that are not Ready as of their newest generation."""
        late = []
        for plural in KINDS:
            for raw in (await self.api.get(f"{GROUP}/{plural}"))["items"]:
                status = raw.get("status") or {}
                ready = any(
                    one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", ())
                )
                if not ready or status.get("observedGeneration") != raw["metadata"]["generation"]:
                    late.append(f"{plural}/{raw['metadata']['name']}")
        return late

    def uses(self, since: int) -> list[Use]:
        """List what the operator has asked of the API server, its Lease left out."""
        entries = self.audit.entries(self.operator_user, since)
        return [one.use for one in entries if one.use.resource != "leases"]


async def at_once(calls: Sequence[Any]) -> None:
    """Await calls, a few at a time, in their order."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(call: Any) -> None:
        async with gate:
            await call

    await asyncio.gather(*(one(call) for call in calls))


@asynccontextmanager
async def control_plane(
    folder: Path, account_id: str, api_token: str, connect: Connect
) -> AsyncIterator[Cluster]:
    """Run etcd, kube-apiserver and kube-controller-manager with what install.yaml holds but the operator."""
    folder.mkdir(parents=True)  # noqa: ASYNC240 - nothing else runs yet
    block = claim_block()
    plane = ControlPlane(block, folder, ensure_built(ETCD), ensure_built(KUBERNETES), NODE_GRACE_S)
    try:
        plane.write_files()
        await plane.start()
        async with plane.open_api() as api:
            operator = await _install(plane, account_id, api_token)
            token = await _token(api, operator.service_account)
            file = write_kubeconfig(
                folder / "operator.kubeconfig",
                kubeconfig(plane.endpoints.server, plane.files.ca, {"token": token}),
            )
            nodes = asyncio.create_task(_call_pods_ready(api, connect), name="nodes")
            try:
                yield Cluster(api, AuditLog(plane.files.audit_log), operator.user, file)
            finally:
                nodes.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await nodes
    finally:
        await plane.stop()
        block.close()


async def _install(plane: ControlPlane, account_id: str, api_token: str) -> Any:
    text = (ROOT / "install.yaml").read_text()
    documents = [one for one in yaml.safe_load_all(text) if one and one["kind"] != "Deployment"]
    documents += list(yaml.safe_load_all(credentials(account_id, api_token)))
    process = await asyncio.create_subprocess_exec(
        str(ensure_built(KUBERNETES) / "kubectl"),
        *("--kubeconfig", str(plane.files.kubeconfig), "apply", "--server-side", "--filename", "-"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"HOME": str(plane.files.folder)},
    )
    said, _ = await process.communicate(yaml.safe_dump_all(documents).encode())
    if process.returncode:
        raise RuntimeError(f"install.yaml could not be applied:\n{said.decode()}")
    return read_operator(text)


async def _token(api: Api, service_account: str) -> str:
    path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{service_account}/token"
    answer = await api.create(path, {"spec": {"expirationSeconds": _TOKEN_S}})
    return str(answer["status"]["token"])


async def _call_pods_ready(api: Api, connect: Connect) -> None:
    """Stand in for nodes: as soon as a pod is there its connector is connected, and so it is ready."""
    listing = await api.get("/api/v1/pods")
    async for event in api.watch("/api/v1/pods", listing["metadata"]["resourceVersion"]):
        meta = event["object"]["metadata"]
        if event["type"] == "ADDED":
            await connect(meta["namespace"], meta["labels"][TUNNEL_LABEL], meta["labels"][SLOT_LABEL])
            await api.patch(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status", _READY)
