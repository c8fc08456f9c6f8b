"""What a user's own objects bring about: a workload that is followed, a Service that gives an address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from demo.installation import NAMESPACE
from demo.scene import WITHIN_S, Scene
from demo.stage import Stage
from demo.waiting import NotYetError, wait_for

WEB = Path(__file__).parents[2] / "tools" / "demo" / "web.yaml"
ADDRESSES = f"/api/v1/namespaces/{NAMESPACE}/configmaps/tunnelpool-cloudflare-addresses"
OURS = {"ipv4": "127.0.0.0/8\n", "ipv6": "::1/128\n", "ranges": '["127.0.0.0/8", "::1/128"]'}


async def wait_origins(scene: Scene, count: int) -> None:
    """Wait until the scene's pool has so many origins, all of them enabled, and the Tunnel is at rest."""

    async def look() -> None:
        pools = [one for one in (await scene.stage.edge.state())["pools"] if one["name"] == scene.pool]
        enabled = [origin["enabled"] for pool in pools for origin in pool["origins"]]
        if enabled != [True] * count:
            raise NotYetError(f"origins: {enabled}")

    await wait_for(f"{count} origins", look, within_s=WITHIN_S)
    await scene.wait_current()


async def workload(scene: Scene) -> dict[str, Any]:
    """Read the Deployment of the user."""
    path = f"/apis/apps/v1/namespaces/{scene.namespace}/deployments/web"
    found = await scene.stage.cluster.find(path)
    assert found is not None
    return found


async def test_connectors_follow_a_workload_and_its_rolls_cost_no_write(scene: Scene) -> None:
    cluster, namespace = scene.stage.cluster, scene.namespace
    await scene.apply(WEB.read_text())
    await scene.tunnel(
        "shop", service=None, serviceRef={"name": "web", "port": 8080}, workloadRef={"name": "web"}
    )
    await wait_origins(scene, 1)
    before, calls = await workload(scene), await scene.stage.edge.last_call()
    for roll in range(2):
        told = {"spec": {"template": {"metadata": {"annotations": {"roll": str(roll)}}}}}
        patch = ("patch", "deployment", "web", "--namespace", namespace, "--patch", json.dumps(told))
        await cluster.kubectl(*patch)
        await cluster.wait_rolled_out(namespace, "web", within_s=WITHIN_S)
    written = [one for one in await scene.stage.edge.calls(calls) if one["method"] != "GET"]
    assert [one for one in written if scene.namespace in json.dumps(one)] == []
    await cluster.kubectl("scale", "deployment", "web", "--replicas=2", "--namespace", namespace)
    await wait_origins(scene, 2)
    await cluster.kubectl("scale", "deployment", "web", "--replicas=1", "--namespace", namespace)
    await wait_origins(scene, 1)
    after = await workload(scene)
    managers = {one["manager"] for one in after["metadata"]["managedFields"]}
    assert not [manager for manager in managers if "tunnelpool" in manager]
    assert after["metadata"].get("finalizers") == before["metadata"].get("finalizers")


async def test_the_address_of_a_service_is_followed(scene: Scene) -> None:
    async def give(*addresses: str) -> None:
        status = {"status": {"loadBalancer": {"ingress": [{"ip": one} for one in addresses]}}}
        target = ("service", "direct", "--namespace", scene.namespace, "--subresource=status")
        await scene.stage.cluster.kubectl("patch", *target, "--patch", json.dumps(status))

    async def look_for(address: str) -> None:
        async def look() -> None:
            pools = [one for one in (await scene.stage.edge.state())["pools"] if one["name"] == scene.pool]
            found = [origin["address"] for pool in pools for origin in pool["origins"]]
            if found != [address]:
                raise NotYetError(f"addresses: {found}")

        await wait_for(address, look, within_s=WITHIN_S)

    spec = {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 443}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "direct"}, "spec": spec}
    await scene.put("LBPool", scene.pool, {"origins": [{"name": "direct", "serviceRef": {"name": "direct"}}]})
    await scene.wait_reason("lbpools", scene.pool, "ServiceNotFound")
    await scene.apply(yaml.safe_dump(service))
    await scene.wait_reason("lbpools", scene.pool, "WaitingForAddress")
    await give("198.51.100.7")
    await look_for("198.51.100.7")
    await scene.wait_current()
    await give("198.51.100.8", "198.51.100.9")
    await look_for("198.51.100.8")
    await give()
    await scene.wait_reason("lbpools", scene.pool, "WaitingForAddress")
    await look_for("198.51.100.8")


async def test_the_addresses_that_a_firewall_lets_in_are_published_and_set_right(
    theatre: Stage, scene: Scene
) -> None:
    async def data() -> dict[str, str]:
        return dict((await theatre.cluster.find(ADDRESSES) or {}).get("data") or {})

    async def look() -> None:
        told = (await scene.status("lbpools", scene.pool)).get("addressRanges")
        if (told, await data()) != (["127.0.0.0/8", "::1/128"], OURS):
            raise NotYetError(f"status {told}, ConfigMap {await data()}")

    await scene.put("LBPool", scene.pool, {"origins": [{"name": "a", "address": "198.51.100.7"}]})
    await wait_for("the ranges", look, within_s=WITHIN_S)
    told = json.dumps({"data": {"ipv4": "0.0.0.0/0\n"}})
    name = ("configmap", "tunnelpool-cloudflare-addresses", "--namespace", NAMESPACE)
    await theatre.cluster.kubectl("patch", *name, "--patch", told)
    await theatre.restart_operator()
    await wait_for("the ranges again", look, within_s=WITHIN_S)
