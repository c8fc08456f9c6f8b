"""Deletion ends: with the namespace and its Secret, with the operator gone first; who blocks it is named."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from demo.installation import NAMESPACE
from demo.scene import Scene
from demo.stage import ZONE, Stage
from demo.waiting import NotYetError, wait_for

NAMESPACE_GONE_WITHIN_S = 60.0


async def _wait_namespace_gone(scene: Scene) -> None:
    async def look() -> None:
        found = await scene.stage.cluster.find(f"/api/v1/namespaces/{scene.namespace}")
        if found is not None:
            raise NotYetError(str(found.get("status")))

    await wait_for(f"namespace {scene.namespace} to be gone", look, within_s=NAMESPACE_GONE_WITHIN_S)


async def test_a_namespace_goes_with_its_secret_and_leaves_nothing_at_the_edge(
    theatre: Stage, scene: Scene
) -> None:
    facts = theatre.edge.facts
    await scene.secret("own", apiToken=facts.api_token, accountId=facts.account_id)
    ref = {"name": "own"}
    await scene.put("HealthCheck", "web", {"path": "/healthz", "credentialsRef": ref})
    await scene.put("LBPool", scene.pool, {"healthCheckRef": {"name": "web"}, "credentialsRef": ref})
    await scene.tunnel(credentialsRef=ref)
    await scene.tunnel("plain", hostname=f"plain-{scene.hostname}", pool=None, credentialsRef=ref, replicas=1)
    await scene.wait_current()
    since = len(theatre.operator_log())
    await scene.leave()
    await _wait_namespace_gone(scene)
    await scene.wait_nothing_remote()
    said = [line for line in theatre.operator_log()[since:].splitlines() if '"ERROR"' in line]
    assert said == [], "an ending namespace is no error"


async def test_what_somebody_else_s_load_balancer_holds_is_named_and_goes_after_it(
    theatre: Stage, scene: Scene
) -> None:
    await scene.tunnel(replicas=1)
    await scene.wait_current()
    pool = (await scene.status("tunnels", "web"))["pool"]["id"]
    zone, name = theatre.edge.facts.zones[ZONE], f"hand-{scene.namespace}.{ZONE}"
    body = {"name": name, "default_pools": [pool], "fallback_pool": pool, "proxied": True}
    made = await theatre.edge.rest("POST", f"/zones/{zone}/load_balancers", body)
    await scene.stage.cluster.kubectl("delete", "tunnel", "web", "-n", scene.namespace, "--wait=false")
    message = await scene.wait_reason("tunnels", "web", "DeletionBlocked")
    assert f"load balancer '{name}'" in message
    await theatre.edge.rest("DELETE", f"/zones/{zone}/load_balancers/{made['id']}")
    await theatre.restart_operator()  # load balancers are listed every five minutes, and at the start
    await scene.wait_nothing_remote()


@asynccontextmanager
async def _uninstalled(theatre: Stage) -> AsyncIterator[None]:
    """Take the operator away for a while; its Deployment comes back as it was."""
    deployment = f"deployment/{theatre.operator.deployment}"
    await theatre.cluster.kubectl("scale", deployment, "-n", NAMESPACE, "--replicas=0")

    async def look() -> None:
        if await theatre.cluster.pods(NAMESPACE, theatre.operator.selector):
            raise NotYetError("the operator still runs")

    await wait_for("the operator to be gone", look, within_s=45)
    try:
        yield
    finally:
        await theatre.cluster.kubectl("scale", deployment, "-n", NAMESPACE, "--replicas=1")
        await theatre.wait_operator()


async def test_without_the_operator_release_lets_go_and_the_next_one_tidies_up(
    theatre: Stage, scene: Scene
) -> None:
    await scene.tunnel(replicas=1)
    await scene.wait_current()
    async with _uninstalled(theatre):
        await scene.leave()

        async def held() -> None:
            found = await theatre.cluster.resource("tunnels", scene.namespace, "web")
            if found is None or "deletionTimestamp" not in found["metadata"]:
                raise NotYetError("the deletion has not begun")

        await wait_for("the Tunnel to wait for its finalizer", held, within_s=20)
        told = await _release(scene)
        assert f"pool '{scene.pool}'" in told, "what stays at Cloudflare is named"
        assert f"load balancer '{scene.hostname}'" in told
        await _wait_namespace_gone(scene)
        assert await scene.remote(), "nobody was there to delete it"
    await scene.wait_nothing_remote()  # few enough to be meant


async def _release(scene: Scene) -> str:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("tunnelpool")),
        *("release", "--namespace", scene.namespace, "--yes"),
        env={**os.environ, "KUBECONFIG": str(scene.stage.cluster.facts.kubeconfig)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    return output.decode()
