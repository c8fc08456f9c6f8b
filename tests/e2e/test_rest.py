"""Silence at rest: an operator that starts anew with everything in sync writes nothing, anywhere."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx

from demo.audit import READING
from demo.installation import NAMESPACE
from demo.scene import Scene
from demo.stage import Stage
from demo.waiting import NotYetError, wait_for

DEPTH = re.compile(r'^tunnelpool_queue_depth\{state="(?:waiting|running)"\} (\S+)$', re.MULTILINE)
QUIET_S = 5.0
"""More than two looks of the operator at what its listings have shown."""
ENDED = re.compile(r"^tunnelpool_reconcile_total\{[^}]*\} (\S+)$", re.MULTILINE)


async def wait_idle(theatre: Stage, at_least: int) -> None:
    """Wait until the operator has reconciled so often, and then has had nothing to do for a while."""
    (pod,) = await theatre.cluster.pods(NAMESPACE, theatre.operator.selector)
    quiet_since, before = time.monotonic(), -1.0
    async with httpx.AsyncClient(trust_env=False) as client:

        async def look() -> None:
            nonlocal quiet_since, before
            text = (await client.get(f"http://{pod['status']['podIP']}:8080/metrics")).text
            depth = sum(float(one) for one in DEPTH.findall(text))
            ended = sum(float(one) for one in ENDED.findall(text))
            if depth or ended != before:
                quiet_since, before = time.monotonic(), ended
            quiet_s = time.monotonic() - quiet_since
            if ended < at_least or quiet_s < QUIET_S:
                raise NotYetError(
                    f"{ended:.0f} reconciliations, {depth:.0f} to do, quiet for {quiet_s:.1f} s"
                )

        await wait_for("the operator to be idle", look, within_s=60)


async def test_a_restart_with_everything_in_sync_writes_nothing_to_either_api(
    theatre: Stage, scene: Scene
) -> None:
    await scene.put("HealthCheck", "web", {"path": "/healthz"})
    await scene.put("LBPool", scene.pool, {"healthCheckRef": {"name": "web"}})
    await scene.tunnel(replicas=2)
    await scene.tunnel("plain", hostname=f"plain-{scene.hostname}", pool=None)
    await scene.wait_current()
    await scene.wait_reason("lbpools", scene.pool, "Healthy", kind="Healthy")
    await wait_others_gone(theatre, scene)
    await wait_idle(theatre, 1)
    calls, audit = await theatre.edge.last_call(), theatre.cluster.audit.position()
    before = await statuses(theatre)
    await theatre.restart_operator()
    await wait_idle(theatre, len(await theatre.cluster.resources()))
    seen = await theatre.edge.calls(calls)
    assert seen, "it has not even looked"
    assert [one for one in seen if one["method"] != "GET"] == []
    assert await statuses(theatre) == before
    used = theatre.cluster.audit.entries(theatre.operator.user, audit)
    assert used, "the audit log tells nothing of it"
    writes = [entry for entry in used if entry.use.verb not in READING and entry.use.resource != "leases"]
    assert writes == []


async def statuses(theatre: Stage) -> dict[str, Any]:
    """Read what every resource says."""
    return {one["metadata"]["name"]: one.get("status") for one in await theatre.cluster.resources()}


async def wait_others_gone(theatre: Stage, scene: Scene) -> None:
    """Wait until the scenes of earlier tests are gone: what is being deleted is not at rest."""

    async def look() -> None:
        found = await theatre.cluster.resources()
        others = [one["metadata"]["name"] for one in found if one["metadata"]["namespace"] != scene.namespace]
        if others:
            raise NotYetError(f"left: {others}")

    await wait_for("earlier scenes to be gone", look, within_s=60)
