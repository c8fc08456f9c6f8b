"""Several accounts in one operator, and a cluster that refuses what the operator asks for."""

from __future__ import annotations

import json

import pytest

from demo.scene import SERVICE, Scene
from demo.stage import Stage
from demo.waiting import NotYetError, wait_for

ALL = (
    "Cloudflare Tunnel Write",
    "Load Balancing: Monitors and Pools Write",
    "Load Balancers Write",
    "DNS Write",
    "Zone Read",
    "Zone Settings Read",
)


async def test_a_second_account_with_a_zone_of_its_own_is_served_by_the_same_operator(
    theatre: Stage, scene: Scene
) -> None:
    zone = f"other-{scene.namespace}.example"
    made = await theatre.edge.control("POST", "/accounts", {"name": scene.namespace, "zones": [zone]})
    asked = {"permissions": list(ALL), "accounts": [made["id"]], "owner": "account"}
    token = (await theatre.edge.control("POST", "/tokens", asked))["token"]
    await scene.secret("own", apiToken=token, accountId=made["id"])
    await scene.tunnel(replicas=1)
    there = {
        "hostname": f"app.{zone}",
        "service": SERVICE,
        "pool": scene.pool,
        "replicas": 1,
        "drainSeconds": 0,
    }
    await scene.put("Tunnel", "there", {**there, "credentialsRef": {"name": "own"}})
    await scene.wait_current()
    here = (await scene.status("tunnels", "web"))["pool"]
    other = (await scene.status("tunnels", "there"))["pool"]
    assert here["name"] == other["name"] == scene.pool, "one name in two accounts is two pools"
    assert here["id"] != other["id"]
    assert not [one for one in await scene.remote() if zone in one], "nothing of it in the first account"
    await scene.delete("tunnel", "web", "there")
    await scene.wait_nothing_remote()


async def test_a_quota_of_the_namespace_is_told_not_stormed_and_heals_when_it_is_lifted(
    theatre: Stage, scene: Scene
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": {"count/deployments.apps": "1"}},
    }
    await scene.apply(json.dumps(quota))

    async def counted() -> None:
        path = f"/api/v1/namespaces/{scene.namespace}/resourcequotas/few"
        if not ((await theatre.cluster.find(path)) or {}).get("status", {}).get("hard"):
            raise NotYetError("the quota is not in force yet")

    await wait_for("the quota to be in force", counted, within_s=20)
    since = theatre.cluster.audit.position()
    await scene.tunnel(replicas=2)
    message = await scene.wait_reason("tunnels", "web", "ClusterRefused")
    assert "exceeded quota: few" in message
    tries = [
        one
        for one in theatre.cluster.audit.entries(theatre.operator.user, since)
        if one.use.resource == "deployments" and one.use.verb == "create"
    ]
    assert len(tries) <= 5
    await theatre.cluster.kubectl("delete", "resourcequota", "few", "-n", scene.namespace)
    await scene.tunnel(replicas=1)  # a change is no repetition: it goes on at once
    await scene.wait_current()


@pytest.mark.full
async def test_a_revoked_token_is_told_and_its_successor_is_taken_without_a_restart(
    theatre: Stage, scene: Scene
) -> None:
    account = theatre.edge.facts.account_id
    old = await theatre.edge.control("POST", "/tokens", {"permissions": list(ALL)})
    await scene.secret("own", apiToken=old["token"], accountId=account)
    await scene.tunnel(replicas=1, credentialsRef={"name": "own"})
    await scene.wait_current()
    await theatre.edge.control("DELETE", f"/tokens/{old['id']}")
    await scene.tunnel(replicas=2, credentialsRef={"name": "own"})
    message = await scene.wait_reason("tunnels", "web", "CredentialsInvalid")
    assert old["token"] not in message
    new = await theatre.edge.control("POST", "/tokens", {"permissions": list(ALL)})
    await scene.secret("own", apiToken=new["token"], accountId=account)
    await theatre.cluster.wait_current(scene.namespace, within_s=130)
