"""The story: from `kubectl apply` to an answered request, through failover and back."""

from __future__ import annotations

import re
import time

from demo.decoys import ours
from demo.fallback import NAME as FALLBACK
from demo.outage import GRACE_S, Outage, kill_and_watch
from demo.progress import Progress
from demo.promises import Promises
from demo.samples import between, first_answer_after, last_failure_after, settled_since, share
from demo.stage import HOSTNAME, ROOT, Stage
from demo.traffic import TUNNELS, Traffic, steady_traffic
from demo.update import changed, plan, roll
from demo.waiting import NotYetError, wait_for

QUICKSTART = ROOT / "examples" / "quickstart.yaml"
TUNNEL, POOL = "web", "my-pool"
FALLBACK_ADDRESS = re.compile(r"address: fallback\.example\.net\b")
PER_SECOND = 20.0
SETTLED_S = 2.0
SERVED_WITHIN_S = 60.0
FAILED_OVER_WITHIN_S = 60.0
BACK_WITHIN_S = 60.0
GONE_WITHIN_S = 120
FAST = 20.0


class Story:
    """Tells it on a stage, act by act, and keeps an account of the promises."""

    def __init__(self, stage: Stage, progress: Progress, promises: Promises) -> None:
        self._stage = stage
        self._progress = progress
        self._manifests = quickstart(stage)
        self._promises = promises

    async def tell(self, *, to_the_end: bool = True) -> None:
        """Play every act; without `to_the_end` stop after the first kill, and clear away.

        Raises:
            WaitedInVainError: something did not come.

        """
        async with steady_traffic(self._stage.edge.facts, HOSTNAME, PER_SECOND) as traffic:
            await self.serve(traffic)
            if to_the_end:
                await self._update(traffic)
            await self._one_dies(traffic)
            if to_the_end:
                await self._another_dies(traffic)
                await self._one_returns(traffic)
        await self._delete()

    async def serve(self, traffic: Traffic) -> None:
        """Apply the quickstart and wait until its tunnels answer."""
        say, cluster = self._progress, self._stage.cluster
        say.title(
            f"Apply examples/quickstart.yaml; {PER_SECOND:.0f} visitors a second ask for https://{HOSTNAME}/"
        )
        applied_at = time.monotonic()
        say.block(await cluster.apply(self._manifests))
        await cluster.wait_current("default", within_s=SERVED_WITHIN_S)
        say.event("every resource is Ready")
        served_at = await traffic.wait_settled(TUNNELS, for_s=SETTLED_S, within_s=SERVED_WITHIN_S)
        say.event(f"the tunnels answer, {served_at - applied_at:.1f} s after the apply", served_at)
        await self._wait_pool("healthy")
        say.event("all three connectors are healthy by Cloudflare's word")
        say.block(await self._show())
        failed = last_failure_after(traffic.samples, served_at)
        self._promises.check(
            f"applied, and answered through tunnels {served_at - applied_at:.1f} s later; no failure since",
            kept=failed is None,
        )

    async def _update(self, traffic: Traffic) -> None:
        say = self._progress
        say.title("The connectors shall run another image; `tunnelpool plan -f` says what that would do")
        self._manifests = changed(self._manifests)
        foreseen = await plan(self._stage, self._manifests)
        say.block(foreseen.text)
        self._promises.check(
            "planned, with no write: three Deployments would change, and nothing at Cloudflare",
            kept=foreseen.true,
        )
        say.title("It is applied: each connector has a successor before it stops")
        done = await roll(self._stage, traffic, TUNNEL, self._manifests)
        say.event(f"all connectors are new, the old ones are gone, {done.seconds:.1f} s after the apply")
        await self._stage.cluster.wait_current("default", within_s=SERVED_WITHIN_S)
        self._promises.check(
            f"rolling update: three connectors replaced in {done.seconds:.1f} s with {done.writes} writes to "
            f"Cloudflare, {done.failed} of {done.requests} requests failed",
            kept=done.requests > 0 and not done.failed and not done.writes,
        )

    async def _one_dies(self, traffic: Traffic) -> None:
        say = self._progress
        monitor, speed = await self._monitor_interval_s(), await self._speed()
        say.title(
            f"One of three connectors is killed and held back (health check every {monitor:.0f} s, real time)"
        )
        outage = await kill_and_watch(self._stage, traffic, TUNNEL, 0)
        self._tell_outage(outage)
        bound = f"{outage.bound_s:.0f} s (the edge's configuration lag + {GRACE_S:.0f} s)"
        self._promises.check(
            f"one connector killed: {outage}; promised: none later than {bound}", kept=outage.bounded
        )
        self._promises.check(
            f"the operator's PATCH of the pool did it, not the monitor: health check every {monitor:.0f} s",
            kept=bool(outage.taken_out_by) and monitor == 60 and speed == 1,  # noqa: PLR2004 - as quickstart.yaml has it
        )

    async def _another_dies(self, traffic: Traffic) -> None:
        say = self._progress
        say.title("A second connector is killed: one is left, the threshold is 2")
        outage = await kill_and_watch(self._stage, traffic, TUNNEL, 1)
        self._tell_outage(outage)
        await traffic.wait_settled(FALLBACK, for_s=SETTLED_S, within_s=FAILED_OVER_WITHIN_S)
        since = settled_since(traffic.samples, FALLBACK) or time.monotonic()
        say.event(f"the fallback alone answers since {since - outage.killed_at:.1f} s after the kill")
        await self._wait_pool("critical")
        say.block(await self._show())
        self._promises.check(
            f"below the threshold: the fallback answers {since - outage.killed_at:.1f} s after the kill; "
            f"{outage}",
            kept=outage.bounded,
        )

    async def _one_returns(self, traffic: Traffic) -> None:
        say, stage = self._progress, self._stage
        say.title("The first connector may start again: two are left to serve, the threshold is met")
        await stage.edge.set_speed(FAST)
        say.event(f"the monitors' clock now runs {FAST:.0f} times as fast; the edge's lags stay as they are")
        released_at = await stage.release_connector(TUNNEL, 0)
        say.event("released", released_at)
        back_at = await traffic.wait_settled(TUNNELS, for_s=SETTLED_S, within_s=BACK_WITHIN_S)
        first = first_answer_after(traffic.samples, released_at, TUNNELS) or back_at
        say.event(f"the first answer through a tunnel, {first - released_at:.1f} s after the release", first)
        say.event(f"the tunnels alone answer, {back_at - released_at:.1f} s after the release", back_at)
        await self._wait_pool("healthy")
        say.block(await self._show())
        seen = between(traffic.samples, released_at, time.monotonic())
        failed = sum(one.failed for one in seen)
        say.event(f"since the release: {share(seen)}")
        self._promises.check(
            f"back by itself: the tunnels answer {back_at - released_at:.1f} s after the release, "
            f"{failed} of {len(seen)} requests failed",
            kept=failed == 0,
        )

    async def _delete(self) -> None:
        say, stage = self._progress, self._stage
        say.title("Everything is deleted")
        began = time.monotonic()
        await stage.cluster.kubectl(
            "delete", "--filename", "-", f"--timeout={GONE_WITHIN_S}s", stdin=self._manifests
        )
        say.event(f"the resources are gone, {time.monotonic() - began:.1f} s after the delete")
        left = await stage.cluster.resources()
        self._promises.check(
            f"deleted in {time.monotonic() - began:.1f} s: no resource and no finalizer is left",
            kept=not left,
        )
        state = await stage.edge.state()
        remote = ours(state)
        self._promises.check(f"nothing of ours is left at the edge{_list(remote)}", kept=not remote)
        harmed = stage.decoys.harmed(state)
        self._promises.check(
            "a pool, load balancer, tunnel and DNS record of somebody else's are the same to the bit"
            + _list(harmed),
            kept=not harmed,
        )

    def _tell_outage(self, outage: Outage) -> None:
        say = self._progress
        say.event("killed", outage.killed_at)
        moments = [
            (outage.first_failure_s, "the first request fails"),
            (outage.taken_out_s, f"the operator's {outage.taken_out_by} disables the origin"),
            (outage.last_failure_s, "the last request fails"),
        ]
        for seconds, text in sorted((each for each in moments if each[0] is not None), key=_seconds):
            say.event(f"{text}, {seconds:.1f} s after the kill", outage.killed_at + (seconds or 0))
        say.event(str(outage))

    async def _show(self) -> str:
        return await self._stage.cluster.kubectl("get", "tun,lbp,hc,tlb", "--namespace", "default")

    async def _wait_pool(self, health: str) -> None:
        async def look() -> None:
            raw = await self._stage.cluster.resource("lbpools", "default", POOL) or {}
            seen = (raw.get("status") or {}).get("health")
            if seen != health:
                raise NotYetError(f"it is {seen}")

        await wait_for(f"pool {POOL} to be {health}", look, within_s=SERVED_WITHIN_S)

    async def _monitor_interval_s(self) -> float:
        return max(float(one["interval"]) for one in (await self._stage.edge.state())["monitors"])

    async def _speed(self) -> float:
        return float((await self._stage.edge.control("GET", "/clock"))["speed"])


def quickstart(stage: Stage) -> str:
    """Read examples/quickstart.yaml, the address of its fallback replaced by that of the stage's.

    Raises:
        ValueError: the address that is to be replaced is not there.

    """
    address = f"address: {stage.fallback.address}, port: {stage.fallback.port}"
    text, count = FALLBACK_ADDRESS.subn(address, QUICKSTART.read_text())
    if count != 1:
        raise ValueError(f"{QUICKSTART.name} must name fallback.example.net once, not {count} times")
    return text


def _list(found: list[str]) -> str:
    return f": {'; '.join(found)}" if found else ""


def _seconds(moment: tuple[float | None, str]) -> float:
    return moment[0] or 0.0
