"""What happens to connectors in the life of a cluster, each done as people and tools do it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from demo.cluster import GROUP
from demo.images import CONNECTOR_IMAGE
from demo.installation import NAMESPACE
from demo.pod_diary import CONTAINER
from demo.scene import Scene
from demo.stage import Stage
from demo.waiting import NotYetError, wait_for
from devcluster.api import STRATEGIC, ApiError

TUNNEL: Final = "web"
ROTATE: Final = "tunnelpool.dev/rotate"
EVICTED_WITHIN_S: Final = 60.0
EVICT_EVERY_S: Final = 1.0
STOPPED_WITHIN_S: Final = 45.0
_TOO_MANY, _NOT_FOUND = 429, 404


async def change_image(scene: Scene, tag: str) -> None:
    """Give the connectors another image."""
    await _patch(scene, {"spec": {"podTemplate": {"image": f"{CONNECTOR_IMAGE}:{tag}"}}})


async def rotate(scene: Scene, value: str) -> None:
    """Ask for new tunnel secrets."""
    await _patch(scene, {"metadata": {"annotations": {ROTATE: value}}})


async def scale(scene: Scene, replicas: int) -> None:
    """Ask for so many connectors."""
    await _patch(scene, {"spec": {"replicas": replicas}})


async def evict(scene: Scene, pods: Iterable[str]) -> None:
    """Evict pods one after another by the Eviction API, as `kubectl drain` does: refused is asked again.

    Raises:
        WaitedInVainError: the disruption budget did not let one go.

    """
    for name in pods:

        async def ask(name: str = name) -> None:
            path = f"/api/v1/namespaces/{scene.namespace}/pods/{name}/eviction"
            body = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": name, "namespace": scene.namespace},
            }
            try:
                await scene.stage.cluster.api.create(path, body)
            except ApiError as error:
                if error.status == _TOO_MANY:
                    raise NotYetError(str(error)) from None
                if error.status != _NOT_FOUND:
                    raise

        await wait_for(f"eviction of {name}", ask, within_s=EVICTED_WITHIN_S, every_s=EVICT_EVERY_S)


@asynccontextmanager
async def cordoned(stage: Stage, node: str) -> AsyncIterator[None]:
    """Let a node take no pods for the length of the block."""
    await stage.cluster.kubectl("cordon", node)
    try:
        yield
    finally:
        await stage.cluster.kubectl("uncordon", node)


@asynccontextmanager
async def operator_stopped(stage: Stage) -> AsyncIterator[None]:
    """Run no operator for the length of the block."""
    deployment = f"deployment/{stage.operator.deployment}"
    scale_to = ("scale", "-n", NAMESPACE, deployment)
    await stage.cluster.kubectl(*scale_to, "--replicas=0")

    async def look() -> None:
        if left := await stage.cluster.pods(NAMESPACE, stage.operator.selector):
            raise NotYetError(f"{len(left)} pods are left")

    try:
        await wait_for("the operator to stop", look, within_s=STOPPED_WITHIN_S)
        yield
    finally:
        await stage.cluster.kubectl(*scale_to, "--replicas=1")
        await stage.wait_operator()


async def _patch(scene: Scene, change: dict[str, object]) -> None:
    await scene.stage.cluster.api.patch(f"{GROUP}/namespaces/{scene.namespace}/tunnels/{TUNNEL}", change)


async def take_protection_off(scene: Scene, slot: int) -> None:
    """Let one origin's Deployment stop its pods before it starts others, and those end at once.

    Only while the operator is stopped: it would set it right.
    """
    name = f"{TUNNEL}-connector-{slot}"
    container = {"name": CONTAINER, "lifecycle": None}
    change: dict[str, object] = {
        "spec": {
            "strategy": {"type": "Recreate", "rollingUpdate": None},
            "template": {"spec": {"containers": [container]}},
        }
    }
    path = f"/apis/apps/v1/namespaces/{scene.namespace}/deployments/{name}"
    await scene.stage.cluster.api.patch(path, change, STRATEGIC)
    await scene.stage.cluster.wait_rolled_out(scene.namespace, name, within_s=EVICTED_WITHIN_S)
