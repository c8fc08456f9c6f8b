"""Cold start: everything is there in the cluster and nothing at Cloudflare, then the operator starts."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from bench.fleet import Fleet, Json
from bench.operator_process import WORKERS
from bench.results import Part, Row
from bench.testbed import Testbed, counting_edge
from demo.progress import Progress

CALLS_OF_A_TUNNEL = 3.0
TIMES_THE_SCRIPT = 1.3


async def cold_start(bed: Testbed, fleet: Fleet, latency_s: float) -> Part:
    """Apply the fleet, start the operator, measure until all of it is Ready."""
    progress = bed.progress
    bare = await bare_script(bed.folder / "bare", fleet, latency_s, progress)
    progress.event(f"the bare script: {bare['calls']} calls, {bare['seconds']:.1f} s")
    await bed.grow(fleet)
    progress.event(f"applied: {fleet}")
    if latency_s:
        await bed.edge.add_fault("* *", delay_s=latency_s)
    since, position = await bed.edge.last_call(), bed.cluster.audit.position()
    async with bed.operator() as operator:
        ready_at = await bed.wait_settled(operator)
        calls = await bed.calls(since)
        cpu_s, (now_mb, peak_mb) = operator.cpu_s(), operator.rss_mb()
        seconds = calls.last_write_at() - operator.started_at
        ready_s = ready_at - operator.started
    await bed.edge.clear_faults()
    uses = bed.cluster.uses(position)
    writes = Counter(use.resource for use in uses if use.writes)
    progress.event(f"cold start: {len(calls.entries)} calls, {seconds:.1f} s: {calls.by_kind()}")
    each = len(calls.entries) / fleet.origins
    times = seconds / bare["seconds"]
    rows = (
        Row(
            "calls to Cloudflare for each tunnel, shared ones included",
            f"≤ {CALLS_OF_A_TUNNEL:.0f}",
            f"{each:.2f} ({len(calls.entries):,} in all, {len(calls.writes):,} of them writes; "
            f"the least is {fleet.least_writes:,})",
            each <= CALLS_OF_A_TUNNEL,
        ),
        Row(
            "time until the last write to Cloudflare, by that of the bare script",
            f"≤ {TIMES_THE_SCRIPT}",
            f"{times:.2f} ({seconds:.1f} s against {bare['seconds']:.1f} s)",
            times <= TIMES_THE_SCRIPT,
        ),
        Row("time until all resources are Ready", "", f"{ready_s:.1f} s"),
        Row(
            "writes to the Kubernetes API",
            "",
            f"{sum(writes.values()):,}: " + ", ".join(f"{n:,} {name}" for name, n in writes.most_common()),
        ),
        Row("processor time of the operator", "", f"{cpu_s:.1f} s"),
        Row("RSS at the end, and at its peak", "", f"{now_mb:.0f} MB, {peak_mb:.0f} MB"),
    )
    conditions = f"{fleet}. Each call to Cloudflare takes {latency_s * 1000:.0f} ms more than the edge needs."
    return Part(f"Cold start, {latency_s * 1000:.0f} ms", conditions, rows)


async def bare_script(folder: Path, fleet: Fleet, latency_s: float, progress: Progress) -> Json:
    """Run the yardstick against an edge of its own; returns calls and seconds."""
    async with counting_edge(folder) as (edge, _):
        if latency_s:
            await edge.add_fault("* *", delay_s=latency_s)
        progress.event("the bare script begins")
        wanted = {
            "fleet": asdict(fleet),
            "api_url": edge.facts.api_url,
            "token": edge.facts.api_token,
            "account": edge.facts.account_id,
            "zone": next(iter(edge.facts.zones.values())),
            "under_way": WORKERS,
            "started": time.time(),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.bare_writes", json.dumps(wanted), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError("the bare script has failed")
        found: Json = json.loads(said)
        return found
