"""Memory: an operator that has just started over so many resources, and the same a minute later."""

from __future__ import annotations

import asyncio

from bench.fleet import Fleet
from bench.results import Part, Row
from bench.testbed import Testbed

MOST_MB = 110.0
A_MINUTE_S = 65.0
"""After that the listings of Cloudflare have been read again."""


async def memory(bed: Testbed, fleet: Fleet, promised_mb: float | None) -> Part:
    """Grow the fleet if need be, start the operator anew, read its RSS."""
    if fleet != bed.fleet:
        async with bed.operator() as operator:
            await bed.grow(fleet)
            bed.progress.event(f"growing to {fleet} …")
            await bed.wait_settled(operator)
            grown_mb, _ = operator.rss_mb()
            bed.progress.event(f"grown; RSS {grown_mb:.0f} MB")
    async with bed.operator() as operator:
        await bed.wait_idle(operator)
        first_mb, _ = operator.rss_mb()
        await asyncio.sleep(A_MINUTE_S)
        later_mb, peak_mb = operator.rss_mb()
    bed.progress.event(f"RSS {first_mb:.0f} MB, a minute later {later_mb:.0f} MB")
    rows = (
        Row(
            "RSS",
            "" if promised_mb is None else f"≤ {promised_mb:.0f} MB",
            f"{later_mb:.0f} MB (at its peak {peak_mb:.0f} MB)",
            None if promised_mb is None else later_mb <= promised_mb,
        ),
        Row("ready (`/readyz`)", "", f"{operator.ready_s:.1f} s"),
    )
    return Part(f"Memory at {fleet.resources:,} resources", f"{fleet}.", rows)
