"""Fast failover: how long requests fail after a connector dies, at 50 requests a second.

On the demo's stage: the whole chain with real pods, connectors and visitors, and the monitor's interval at
the least that the plan allows, 60 s.
"""

from __future__ import annotations

from pathlib import Path

from bench.results import Part, Row
from demo.installation import NAMESPACE
from demo.outage import WATCH_ON_S, Outage, kill_and_watch
from demo.progress import Progress
from demo.scene import Scene
from demo.stage import ROLLED_OUT_WITHIN_S, Stage, stage
from demo.traffic import TUNNELS, steady_traffic
from demo.waiting import NotYetError, wait_for

PER_SECOND = 50.0
REPLICAS = 3
SETTLED_FOR_S = 1.0
SETTLED_WITHIN_S = 60.0
NO_LAGS = {"config": 0.0, "state": 0.0, "death": 0.0}
DEFAULT_LAGS = {"config": 3.0, "state": 15.0, "death": 5.0}
WITHOUT_OPERATOR_S = 100.0
"""So long is watched on where only the monitor ends it: its interval, its retries and the lags."""


async def failover(folder: Path, progress: Progress) -> Part:
    """Kill one connector of three: with and without lags, with and without the operator."""
    rows = []
    async with stage(folder, progress) as made:
        for name, lags in (("no lags", NO_LAGS), ("default lags", DEFAULT_LAGS)):
            await made.edge.set_lags(**lags)
            seen = await _outage(made)
            progress.event(f"{name}: {seen}")
            promised = f"≤ {seen.bound_s:.0f} s after the kill"
            rows.append(Row(f"last failed request, {name}", promised, _told(seen), seen.bounded))
            seen = await _outage(made, stopped=True)
            progress.event(f"{name}, the operator stopped: {seen}")
            rows.append(Row(f"the same with the operator stopped, {name}", "", _told(seen)))
    conditions = (
        f"One of {REPLICAS} connectors is killed and kept from starting again, at {PER_SECOND:.0f} requests "
        "a second, each on a new connection, none repeated. The monitor's interval is 60 s. Lags: "
        + ", ".join(f"{name} {seconds:g} s" for name, seconds in DEFAULT_LAGS.items())
        + "."
    )
    return Part("Failover", conditions, tuple(rows))


async def _outage(made: Stage, *, stopped: bool = False) -> Outage:
    scene = await Scene.enter(made)
    await scene.put("HealthCheck", "web", {"path": "/healthz"})
    await scene.put("LBPool", scene.pool, {"healthCheckRef": {"name": "web"}})
    await scene.tunnel(replicas=REPLICAS)
    await scene.wait_reason("lbpools", scene.pool, "Healthy", kind="Healthy")
    async with steady_traffic(made.edge.facts, scene.hostname, PER_SECOND) as traffic:
        await traffic.wait_settled(TUNNELS, for_s=SETTLED_FOR_S, within_s=SETTLED_WITHIN_S)
        if stopped:
            await _scale(made, 0)
        watch_on_s = WITHOUT_OPERATOR_S if stopped else WATCH_ON_S
        seen = await kill_and_watch(made, traffic, "web", 0, scene.namespace, watch_on_s=watch_on_s)
    if stopped:
        await _scale(made, 1)
    await scene.leave()
    return seen


async def _scale(made: Stage, replicas: int) -> None:
    deployment = f"deployment/{made.operator.deployment}"
    await made.cluster.kubectl("scale", "-n", NAMESPACE, deployment, f"--replicas={replicas}")

    async def look() -> None:
        pods = await made.cluster.pods(NAMESPACE, made.operator.selector)
        if len(pods) != replicas:
            raise NotYetError(f"{len(pods)} pods")

    await wait_for("the operator's pods", look, within_s=ROLLED_OUT_WITHIN_S)
    if replicas:
        await made.wait_operator()


def _told(seen: Outage) -> str:
    if seen.last_failure_s is None:
        return f"none of {seen.requests:,} failed"
    out = "" if seen.taken_out_s is None else f"; origin taken out after {seen.taken_out_s:.1f} s"
    return f"{seen.last_failure_s:.1f} s after the kill, {seen.failed} of {seen.requests:,} failed{out}"
