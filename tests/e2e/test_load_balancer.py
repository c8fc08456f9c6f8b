"""A LoadBalancer with a fallback: over to it, back from it, and both told."""

from __future__ import annotations

import aiohttp

from demo.fallback import NAME as FALLBACK
from demo.scene import Scene
from demo.stage import HOSTNAME, Stage
from demo.traffic import TUNNELS
from demo.waiting import NotYetError, wait_for


async def events(scene: Scene) -> set[str]:
    found = await scene.stage.cluster.api.get(f"/apis/events.k8s.io/v1/namespaces/{scene.namespace}/events")
    return {one["reason"] for one in found["items"] if one["regarding"]["kind"] == "LoadBalancer"}


async def wait_told(scene: Scene, reason: str, serving: str) -> None:
    """Wait until an Event tells of the change, and a moment later the status of who serves."""

    async def look() -> None:
        seen = await events(scene)
        status = await scene.status("loadbalancers", "web")
        if reason not in seen or status.get("servingPool") != serving:
            raise NotYetError(f"events: {sorted(seen)}; status: {status}")

    await wait_for(f"{reason} to '{serving}'", look, within_s=45)


async def test_when_its_last_connector_dies_the_fallback_answers_until_it_is_back(
    theatre: Stage, scene: Scene
) -> None:
    fallback = {
        "name": "outside",
        "address": theatre.fallback.address,
        "port": theatre.fallback.port,
        "hostHeader": HOSTNAME,
    }
    await scene.put("HealthCheck", "web", {"path": "/healthz"})
    await scene.put("LBPool", scene.pool, {"healthCheckRef": {"name": "web"}})
    await scene.put("LBPool", f"{scene.pool}-outside", {"origins": [fallback]})
    await scene.put(
        "LoadBalancer",
        "web",
        {
            "hostname": scene.hostname,
            "pools": [scene.pool],
            "fallbackRef": {"name": f"{scene.pool}-outside"},
            "steeringPolicy": "off",
        },
    )
    await scene.tunnel(replicas=1)
    await scene.wait_current()
    await scene.wait_answered_by(TUNNELS)
    await theatre.kill_connector("web", 0, scene.namespace)
    await scene.wait_answered_by(FALLBACK)
    await wait_told(scene, "FailedOver", f"{scene.pool}-outside")
    assert (await scene.status("loadbalancers", "web"))["onFallback"] is True
    await theatre.release_connector("web", 0, scene.namespace)
    await scene.wait_answered_by(TUNNELS)
    await wait_told(scene, "FailedBack", scene.pool)
    assert (await scene.status("loadbalancers", "web"))["onFallback"] is False


async def asked(scene: Scene, path: str) -> tuple[int, str]:
    """Ask for a path of the scene's hostname; status and text of the answer."""
    facts = scene.stage.edge.facts
    address, port = facts.door
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"https://{address}:{port}{path}",
            headers={"Host": scene.hostname},
            server_hostname=scene.hostname,
            ssl=facts.visitor_tls(),
        ) as answer,
    ):
        return answer.status, await answer.text()


async def test_a_rule_answers_for_the_requests_that_it_names_and_leaves_with_its_line(scene: Scene) -> None:
    rule = {
        "name": "closed",
        "condition": 'starts_with(http.request.uri.path, "/closed/")',
        "fixedResponse": {"statusCode": 503, "contentType": "text/plain", "messageBody": "back at noon"},
    }
    spec = {"hostname": scene.hostname, "pools": [scene.pool]}
    await scene.put("LoadBalancer", "web", {**spec, "rules": [rule]})
    await scene.tunnel(replicas=1)
    await scene.wait_current()
    await scene.wait_answered_by(TUNNELS)
    assert await asked(scene, "/closed/shop") == (503, "back at noon")
    assert (await asked(scene, "/shop"))[0] == 200
    await scene.put("LoadBalancer", "web", spec)

    async def look() -> None:
        status, _ = await asked(scene, "/closed/shop")
        if status != 200:
            raise NotYetError(f"status {status}")

    await wait_for("the rule to be gone", look, within_s=20)


async def test_a_second_rule_is_refused_by_the_plan_in_words(scene: Scene) -> None:
    rules = [{"name": name, "terminates": True} for name in ("one", "two")]
    await scene.put(
        "LoadBalancer", "web", {"hostname": scene.hostname, "pools": [scene.pool], "rules": rules}
    )
    await scene.tunnel(replicas=1)
    message = await scene.wait_reason("loadbalancers", "web", "PlanLimit")
    assert message.startswith("a load balancer may have at most 1 `rules` on this account's plan")
