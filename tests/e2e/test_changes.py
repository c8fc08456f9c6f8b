"""A change reaches what runs, and what others change in the cluster is set right."""

from __future__ import annotations

import json

from demo.scene import Scene
from demo.stage import Stage
from demo.waiting import NotYetError, wait_for

WITHIN_S = 30.0


async def connector_uids(scene: Scene) -> set[str]:
    pods = await scene.stage.cluster.pods(scene.namespace, "tunnelpool.dev/tunnel=web")
    return {pod["metadata"]["uid"] for pod in pods}


async def test_a_changed_origin_request_reaches_connectors_that_go_on_running(scene: Scene) -> None:
    await scene.tunnel(replicas=1)
    await scene.wait_current()
    before = await connector_uids(scene)
    await scene.tunnel(replicas=1, originRequest={"httpHostHeader": "inner.example.net"})

    async def look() -> None:
        seen = (await scene.page()).get("host")
        if seen != "inner.example.net":
            raise NotYetError(f"the application sees the host {seen}")

    await wait_for("the new setting", look, within_s=WITHIN_S)
    assert await connector_uids(scene) == before


async def test_a_changed_pod_template_is_rolled_out(scene: Scene) -> None:
    await scene.tunnel(replicas=1)
    await scene.wait_current()
    before = await connector_uids(scene)
    await scene.tunnel(replicas=1, podTemplate={"labels": {"team": "blue"}})

    async def look() -> None:
        pods = await scene.stage.cluster.pods(scene.namespace, "tunnelpool.dev/tunnel=web,team=blue")
        if len(pods) != 1 or await connector_uids(scene) & before:
            raise NotYetError(f"{len(pods)} new pods")

    await wait_for("the new pod alone", look, within_s=WITHIN_S)
    await scene.wait_current()


async def test_what_somebody_else_changes_in_a_disruption_budget_is_set_right(
    theatre: Stage, scene: Scene
) -> None:
    await scene.tunnel(replicas=1)
    await scene.wait_current()
    path = f"/apis/policy/v1/namespaces/{scene.namespace}/poddisruptionbudgets/web-connectors"
    await theatre.cluster.api.patch(path, {"spec": {"maxUnavailable": 5}})

    async def look() -> None:
        spec = (await theatre.cluster.api.get(path))["spec"]
        if spec["maxUnavailable"] != 1:
            raise NotYetError(json.dumps(spec))

    await wait_for("the budget of one", look, within_s=WITHIN_S)
