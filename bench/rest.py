"""At rest: nothing changes, and later somebody edits a pool and a load balancer in the dashboard."""

from __future__ import annotations

import asyncio
import time

from bench.fleet import Json
from bench.results import Part, Row
from bench.testbed import Testbed
from demo.waiting import NotYetError, wait_for

CALLS_AN_HOUR = 330
HOUR_S = 3600.0
AGES_S = {"pools": 60.0, "load_balancers": 300.0}
"""How old a listing may become, by law 3."""
LEEWAY = 1.1
"""Ages are drawn from 0.9 to 1.1 times that, so that not all listings are due at once."""
TICK_S = 2.0
_WRITE_S = 5.0


async def rest(bed: Testbed, seconds: float) -> Part:
    """Watch an operator that has nothing to do."""
    async with bed.operator() as operator:
        await bed.wait_idle(operator)
        bed.progress.event(f"at rest for {seconds:.0f} s …")
        since, position = await bed.edge.last_call(), bed.cluster.audit.position()
        cpu_s = operator.cpu_s()
        await asyncio.sleep(seconds)
        calls = await bed.calls(since)
        cpu_s = operator.cpu_s() - cpu_s
        now_mb, _ = operator.rss_mb()
    uses = bed.cluster.uses(position)
    written = [use for use in uses if use.writes]
    an_hour = len(calls.entries) * HOUR_S / seconds
    bed.progress.event(f"at rest: {calls.by_kind()}")
    rows = (
        Row(
            "calls to Cloudflare an hour",
            f"≤ {CALLS_AN_HOUR}",
            f"{an_hour:.0f} ({len(calls.entries)} in {seconds:.0f} s: {calls.by_kind()})",
            an_hour <= CALLS_AN_HOUR,
        ),
        Row("writes to Cloudflare", "0", str(len(calls.writes)), not calls.writes),
        Row("writes to the Kubernetes API, the Lease left out", "0", str(len(written)), not written),
        Row("requests to the Kubernetes API", "", str(len(uses))),
        Row("processor time", "", f"{100 * cpu_s / seconds:.1f} % of one processor"),
        Row("RSS", "", f"{now_mb:.0f} MB"),
    )
    return Part("At rest", f"{bed.fleet}. Watched for {seconds:.0f} s, scaled to an hour.", rows)


async def drift(bed: Testbed) -> Part:
    """Edit a pool and a load balancer behind the operator's back; time until each is as it was."""
    async with bed.operator() as operator:
        await bed.wait_idle(operator)
        since = await bed.edge.last_call()
        zone_id = next(iter(bed.edge.facts.zones.values()))
        places = {
            "pools": f"/accounts/{bed.edge.facts.account_id}/load_balancers/pools",
            "load_balancers": f"/zones/{zone_id}/load_balancers",
        }
        waits = await asyncio.gather(*(_set_right(bed, kind, path) for kind, path in places.items()))
        calls = await bed.calls(since)
    rows = [
        Row(
            f"one of the {kind.replace('_', ' ')} edited in the dashboard, until it is set right",
            f"≤ {AGES_S[kind]:.0f} s, ± 10 %",
            f"{seconds:.0f} s",
            seconds <= AGES_S[kind] * LEEWAY + TICK_S + _WRITE_S,
        )
        for kind, seconds in zip(places, waits, strict=True)
    ]
    # Two of the writes are the edits themselves.
    rows.append(Row("writes for it", "2", str(len(calls.writes) - 2), len(calls.writes) == 2 + 2))
    return Part("Drift", f"{bed.fleet}.", tuple(rows))


async def _set_right(bed: Testbed, kind: str, path: str) -> float:
    target: Json = (await bed.edge.rest("GET", path))[-1]
    await bed.edge.rest("PATCH", f"{path}/{target['id']}", {"enabled": not target["enabled"]})
    edited = time.monotonic()
    bed.progress.event(f"edited in {kind}: {target['name']}")

    async def look() -> float:
        now = next(one for one in (await bed.edge.state())[kind] if one["id"] == target["id"])
        if now["enabled"] != target["enabled"]:
            raise NotYetError("it is as it was edited")
        return time.monotonic() - edited

    return await wait_for(kind, look, within_s=2 * AGES_S[kind], every_s=1.0)
