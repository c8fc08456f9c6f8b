"""A connector dies without a word: with the operator's help failures end in seconds."""

from __future__ import annotations

import pytest

from demo.outage import Outage, kill_and_watch
from demo.scene import Scene
from demo.stage import Stage
from demo.traffic import TUNNELS, steady_traffic

PER_SECOND = 20.0
pytestmark = pytest.mark.usefixtures("real_lags")


async def outage(theatre: Stage, scene: Scene) -> Outage:
    await scene.put("HealthCheck", "web", {"path": "/healthz"})
    await scene.put("LBPool", scene.pool, {"healthCheckRef": {"name": "web"}})
    await scene.tunnel(replicas=2)
    await scene.wait_reason("lbpools", scene.pool, "Healthy", kind="Healthy")
    async with steady_traffic(theatre.edge.facts, scene.hostname, PER_SECOND) as traffic:
        await traffic.wait_settled(TUNNELS, for_s=0.5, within_s=20)
        return await kill_and_watch(theatre, traffic, "web", 0, scene.namespace)


async def test_after_a_connector_is_killed_requests_fail_no_longer_than_the_lag_and_5_s(
    theatre: Stage, scene: Scene
) -> None:
    seen = await outage(theatre, scene)
    assert seen.taken_out_s is not None
    assert seen.bounded, str(seen)
    assert seen.first_failure_s is not None, "the experiment has shown nothing"


async def test_without_fast_failover_they_go_on_failing_until_the_health_check_is_due(
    theatre: Stage, scene: Scene
) -> None:
    await theatre.set_operator(fast_failover="false")
    try:
        seen = await outage(theatre, scene)
    finally:
        await theatre.set_operator(fast_failover="true")
    assert seen.taken_out_s is None
    assert not seen.bounded, str(seen)
