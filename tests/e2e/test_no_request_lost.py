"""Replace before stop: whatever becomes of connectors in the life of a cluster, no visitor notices.

Open loop, 50 requests a second, each on a new connection, none tried twice, every 20th takes 5 s, and one
WebSocket; knowledge travels as slowly as it does by default. The WebSocket lives as long as its connector:
through `drainSeconds` and cloudflared's own grace of 30 s. Then it is cut, and the next one opens at once.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest

from demo import disruptions
from demo.endurance import Endurance, under_load
from demo.scene import Scene
from demo.stage import Stage
from openloop.report import failures

REPLICAS = 3
PER_SECOND = 50.0
ENOUGH = 10_000 // 3 + 1
"""Requests in each of three settings."""
DRAIN_S, GRACE_S = 15.0, 30.0
GONE_WITHIN_S = DRAIN_S + GRACE_S + 30.0

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.usefixtures("real_lags"), pytest.mark.timeout(540)]


async def image(scene: Scene, run: Endurance) -> None:
    old = run.standing()
    await disruptions.change_image(scene, "another")
    await run.replaced(old, REPLICAS)


async def rotation(scene: Scene, run: Endurance) -> None:
    old = run.standing()
    await disruptions.rotate(scene, "by hand")
    await run.replaced(old, REPLICAS)


async def evictions(scene: Scene, run: Endurance) -> None:
    old = run.standing()
    await disruptions.evict(scene, [life.name for life in old])
    await run.replaced(old, REPLICAS)


async def node_drain(scene: Scene, run: Endurance) -> None:
    node = run.standing()[0].node
    old = [life for life in run.standing() if life.node == node]
    async with disruptions.cordoned(scene.stage, node):
        await disruptions.evict(scene, [life.name for life in old])
        await run.replaced(old, REPLICAS)


async def evictions_without_operator(scene: Scene, run: Endurance) -> None:
    async with disruptions.operator_stopped(scene.stage):
        await evictions(scene, run)


async def scale_down(scene: Scene, run: Endurance) -> None:
    await disruptions.scale(scene, REPLICAS - 1)
    await run.replaced([], REPLICAS - 1)


DISRUPTIONS = (image, rotation, evictions, node_drain, evictions_without_operator, scale_down)


async def plain(scene: Scene) -> dict[str, Any]:
    await scene.put("HealthCheck", "web", {"path": "/healthz"})
    await scene.put("LBPool", scene.pool, {"healthCheckRef": {"name": "web"}})
    return {}


async def cookie_affinity(scene: Scene) -> dict[str, Any]:
    """Forty visitors, each of whom keeps to an origin; a session outlives its origin by 20 s of drain."""
    balancer = {
        "hostname": scene.hostname,
        "pools": [scene.pool],
        "sessionAffinity": "cookie",
        "sessionAffinityAttributes": {"drainDurationSeconds": 20},
    }
    await scene.put("LoadBalancer", "web", balancer)
    return {"visitors": 40}


async def shared(scene: Scene) -> dict[str, Any]:
    await scene.tunnel(registration="Shared", replicas=REPLICAS, drainSeconds=int(DRAIN_S))
    return {}


@pytest.mark.full
@pytest.mark.parametrize("setting", [plain, cookie_affinity, shared], ids=lambda each: each.__name__)
async def test_no_request_is_lost_through_image_change_rotation_evictions_node_drain_and_scale_down(
    scene: Scene, setting: Any, tmp_path: Path
) -> None:
    if setting is not shared:
        await scene.tunnel(replicas=REPLICAS, drainSeconds=int(DRAIN_S))
    changes = await setting(scene)
    await scene.wait_current()
    async with under_load(scene, tmp_path, PER_SECOND, slow_every=20, websocket="/ws", **changes) as run:
        for disruption in DISRUPTIONS:
            run.diary.note(f"--- {disruption.__name__}")
            await disruption(scene, run)
        await run.gone(REPLICAS - 1, within_s=GONE_WITHIN_S)
        await run.enough(ENOUGH)
        silent = await run.silent(run.diary.lives)
    held = (await run.sessions())["held"]
    broken = await run.socket_faults(kept_s=DRAIN_S + GRACE_S)
    log.info("%s", run.report())
    assert run.lost == 0, run.report()
    assert not silent, f"connectors that have answered nothing, so that nothing is proved of them: {silent}"
    assert (held > len(run.answers) / 2) is (setting is cookie_affinity), (
        f"{held} requests came with a session"
    )
    assert not broken, f"{broken}\n{run.report()}"


async def test_a_rolling_update_loses_no_request(scene: Scene, tmp_path: Path) -> None:
    await scene.tunnel(replicas=2, drainSeconds=4)
    await scene.wait_current()
    async with under_load(scene, tmp_path, PER_SECOND, slow_every=20) as run:
        old = run.standing()
        await disruptions.change_image(scene, "another")
        await run.replaced(old, 2)
        await run.gone(2, within_s=GONE_WITHIN_S)
    assert run.lost == 0, run.report()
    assert {life.uid for life in old}.isdisjoint(life.uid for life in run.standing())


@pytest.mark.full
async def test_without_surge_and_pre_stop_the_same_evictions_lose_requests(
    theatre: Stage, scene: Scene, tmp_path: Path
) -> None:
    await scene.tunnel(replicas=2, drainSeconds=4)
    await scene.wait_current()
    async with disruptions.operator_stopped(theatre):
        for slot in range(2):
            await disruptions.take_protection_off(scene, slot)
        async with under_load(scene, tmp_path, PER_SECOND, slow_every=20) as run:
            old = run.standing()
            begun = time.monotonic()
            await disruptions.evict(scene, [life.name for life in old])
            await run.replaced(old, 2)
    lost = [each for each in failures(run.answers) if each.sent_at >= begun]
    assert lost, "the experiment shows nothing: without what protects them, evictions lose no request either"
