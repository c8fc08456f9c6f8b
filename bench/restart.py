"""Restart: the operator ends and starts anew, and nothing has changed meanwhile."""

from __future__ import annotations

from collections import Counter

from bench.results import Part, Row
from bench.testbed import Testbed

READY_S = 5.0


async def restart(bed: Testbed) -> Part:
    """Start the operator over a fleet that is as it should be."""
    since, position = await bed.edge.last_call(), bed.cluster.audit.position()
    async with bed.operator() as operator:
        idle_s = await bed.wait_idle(operator) - operator.started
        calls = await bed.calls(since)
        cpu_s, (now_mb, peak_mb) = operator.cpu_s(), operator.rss_mb()
    uses = bed.cluster.uses(position)
    asked = Counter(str(use) for use in uses)
    written = [use for use in uses if use.writes]
    lookups = calls.lookups()
    bed.progress.event(
        f"restart: {calls.by_kind()}; ready after {operator.ready_s:.1f} s, idle after {idle_s:.1f} s"
    )
    rows = (
        Row("writes to Cloudflare", "0", str(len(calls.writes)), not calls.writes),
        Row("writes to the Kubernetes API, the Lease left out", "0", str(len(written)), not written),
        Row(
            "reads of Cloudflare",
            "listings only",
            f"{len(calls.entries)}, {len(lookups)} of them of single objects ({calls.by_kind()})",
            not lookups,
        ),
        Row("requests to the Kubernetes API", "", f"{sum(asked.values())}: {_told(asked)}"),
        Row(
            "ready (`/readyz`)",
            f"≤ {READY_S:.0f} s",
            f"{operator.ready_s:.1f} s",
            operator.ready_s <= READY_S,
        ),
        Row("every resource looked at", "", f"after {idle_s:.1f} s, {cpu_s:.1f} s of processor time"),
        Row("RSS then, and at its peak", "", f"{now_mb:.0f} MB, {peak_mb:.0f} MB"),
    )
    return Part("Restart", f"{bed.fleet}.", rows)


def _told(asked: Counter[str]) -> str:
    return ", ".join(f"{count} {use}" for use, count in asked.most_common())
