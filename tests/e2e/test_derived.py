"""What is derived from a Tunnel is taken over by objects of that name and given back, under traffic."""

from __future__ import annotations

from demo.scene import Scene
from demo.stage import Stage
from demo.traffic import TUNNELS, steady_traffic

PER_SECOND = 20.0


async def ids(theatre: Stage, scene: Scene) -> tuple[str, str]:
    """Tell the ids of the scene's pool and load balancer at the edge."""
    state = await theatre.edge.state()
    (pool,) = (one["id"] for one in state["pools"] if one["name"] == scene.pool)
    (balancer,) = (one["id"] for one in state["load_balancers"] if one["name"] == scene.hostname)
    return pool, balancer


async def test_objects_take_over_what_is_derived_and_give_it_back_with_no_request_lost(
    theatre: Stage, scene: Scene
) -> None:
    await scene.tunnel(replicas=2)
    await scene.wait_current()
    before = await ids(theatre, scene)
    balancer = {"hostname": scene.hostname, "pools": [scene.pool], "sessionAffinity": "ip_cookie"}
    async with steady_traffic(theatre.edge.facts, scene.hostname, PER_SECOND) as traffic:
        since = await traffic.wait_settled(TUNNELS, for_s=0.5, within_s=20)
        await scene.put("HealthCheck", "web", {"path": "/healthz"})
        await scene.put("LBPool", scene.pool, {"healthCheckRef": {"name": "web"}, "description": "ours"})
        await scene.wait_reason("lbpools", scene.pool, "Healthy", kind="Healthy")
        await scene.put("LoadBalancer", "web", balancer)
        await scene.wait_current()
        assert await ids(theatre, scene) == before
        await scene.delete("loadbalancer", "web")
        await scene.delete("lbpool", scene.pool)
        await scene.delete("healthcheck", "web")
        await scene.wait_current()
        assert await ids(theatre, scene) == before
    state = await theatre.edge.state()
    (pool,) = (one for one in state["pools"] if one["id"] == before[0])
    assert not pool.get("monitor")
    seen = [one for one in traffic.samples if one.sent_at >= since]
    assert len(seen) > 2 * PER_SECOND
    assert [one for one in seen if one.source != TUNNELS] == []
