"""The way to a cluster for one run of a command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tunnelpool.crd.base import Resource
from tunnelpool.crd.parsing import InvalidResourceError, parse
from tunnelpool.domain.errors import ClusterRefusedError, NotFoundError
from tunnelpool.domain.kinds import Kind
from tunnelpool.engine.clock import SystemClock
from tunnelpool.engine.store import Raw
from tunnelpool.kube.client import KubeClient
from tunnelpool.kube.cluster import KubeCluster
from tunnelpool.kube.events import EventRecorder


@dataclass(frozen=True, slots=True)
class Reach:
    """A cluster that can be asked."""

    client: KubeClient
    cluster: KubeCluster


@asynccontextmanager
async def reach(kubeconfig: str) -> AsyncIterator[Reach]:
    """Connect as kubectl would: by a kubeconfig, else by the pod's own ServiceAccount.

    Raises:
        UnavailableError: no way to a cluster is configured.

    """
    client = await KubeClient.connect(kubeconfig)
    try:
        yield Reach(client, KubeCluster(client, EventRecorder(client, SystemClock())))
    finally:
        await client.close()


async def list_all(cluster: KubeCluster, kind: Kind, namespace: str = "") -> list[Raw]:
    """List the objects of a kind, each once; an empty namespace is all of them."""
    found: dict[tuple[str, str], Raw] = {}
    async for page in cluster.list_pages(kind, namespace):
        for raw in page:
            found[raw["metadata"].get("namespace", ""), raw["metadata"]["name"]] = raw
    return list(found.values())


async def list_resources(cluster: KubeCluster, kinds: Iterable[Kind], namespace: str = "") -> list[Raw]:
    """List our own resources.

    Raises:
        ClusterRefusedError: they may not be listed, or their definitions are not installed.

    """
    found: list[Raw] = []
    for kind in kinds:
        try:
            found += await list_all(cluster, kind, namespace)
        except NotFoundError as error:
            message = (
                f"the cluster does not know {kind.plural}.{kind.group}: install the definitions "
                "(`tunnelpool crds | kubectl apply --server-side -f -`)"
            )
            raise ClusterRefusedError(message, status=error.status) from error
    return found


def readable(raws: Iterable[Raw]) -> list[Resource]:
    """Read resources; what this version cannot read is left out (its own status says so)."""
    found = []
    for raw in raws:
        try:
            found.append(parse(str(raw["kind"]), raw))
        except InvalidResourceError:
            continue
    return found
