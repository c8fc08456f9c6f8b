"""The command line against a real API server, the operator at work and the edge."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from demo.scene import SERVICE, Scene
from demo.waiting import NotYetError, wait_for

MONITOR = "DELETE /accounts/*/load_balancers/monitors/*"


async def tunnelpool(scene: Scene, *arguments: str, stdin: str = "") -> tuple[int, str]:
    """Run the command line with kubectl's way to the cluster; answer with exit status and output."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("tunnelpool")),
        *arguments,
        env={**os.environ, "KUBECONFIG": str(scene.stage.cluster.facts.kubeconfig)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return process.returncode, output.decode()


def manifest(scene: Scene, **more: object) -> str:
    spec = {
        "hostname": scene.hostname,
        "service": SERVICE,
        "pool": scene.pool,
        "replicas": 2,
        "drainSeconds": 0,
    }
    head = {"apiVersion": "tunnelpool.dev/v1alpha1", "kind": "Tunnel"}
    return json.dumps(
        {**head, "metadata": {"name": "web", "namespace": scene.namespace}, "spec": {**spec, **more}}
    )


async def test_a_plan_comes_true_and_then_there_is_nothing_to_do(scene: Scene) -> None:
    given = manifest(scene)
    status, told = await tunnelpool(scene, "plan", "-f", "-", "-o", "json", stdin=given)
    assert status == 2, told
    planned = json.loads(told)
    created = {step["name"] for step in planned["steps"] if step["side"] == "cloudflare"}
    assert not await scene.remote()
    await scene.apply(given)
    await scene.wait_current()
    found = {one.partition(" ")[2] for one in await scene.remote()}
    assert {scene.pool, scene.hostname} <= created
    assert {name for name in created if name.startswith("tunnelpool_")} <= found
    assert planned["problems"] == []

    status, told = await tunnelpool(scene, "plan", "-f", "-", stdin=given)
    assert (status, told.splitlines()[0]) == (0, "Nothing to do: everything is as asked."), told
    status, told = await tunnelpool(scene, "plan", "--namespace", scene.namespace)
    assert status == 0, told

    status, told = await tunnelpool(scene, "plan", "-f", "-", stdin=manifest(scene, weight=0.5))
    assert status == 2
    assert "weight  1 -> 0.5" in told
    assert "Operator: 1 to change." in told


async def test_the_status_shows_who_serves(scene: Scene) -> None:
    await scene.apply(manifest(scene))
    await scene.wait_current()

    async def look() -> None:
        status, told = await tunnelpool(scene, "status", "--namespace", scene.namespace, "-o", "json")
        assert status == 0, told
        (host,) = json.loads(told)["hostnames"]
        (pool,) = host["pools"]
        if (host["answeredBy"], pool["serving"], pool["mayFail"]) != ("load balancer", True, 1):
            raise NotYetError(told)

    await wait_for("the status to show the pool that serves", look, within_s=30)


async def test_a_deletion_that_cloudflare_does_not_take_is_released(scene: Scene) -> None:
    edge = scene.stage.edge
    await scene.put("HealthCheck", "web", {})
    await scene.wait_current()
    monitor = (await scene.status("healthchecks", "web"))["id"]
    await edge.add_fault(MONITOR, status=503, times=1000)
    try:
        await scene.stage.cluster.kubectl(
            "delete", "healthcheck", "web", "--namespace", scene.namespace, "--wait=false"
        )
        status, told = await tunnelpool(scene, "release", "--namespace", scene.namespace, "--yes")
        assert status == 0, told
        assert f"monitor of '{scene.namespace}/web' ({monitor})" in told
        assert "an operator runs in namespace" in told

        async def gone() -> None:
            if await scene.stage.cluster.resource("healthchecks", scene.namespace, "web") is not None:
                raise NotYetError("it is still there")

        await wait_for("the HealthCheck to be gone", gone, within_s=10)
        assert monitor in json.dumps((await edge.state())["monitors"])
    finally:
        await edge.clear_faults()
        await edge.rest("DELETE", f"/accounts/{edge.facts.account_id}/load_balancers/monitors/{monitor}")
