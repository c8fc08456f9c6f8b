"""Changes: one field of one resource, and a burst of ten changes to every resource."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping

from bench.cluster import at_once
from bench.fleet import Fleet, Json
from bench.results import Part, Row
from bench.testbed import Testbed

IN_A_BURST = 10
PATCHES_EACH = 1.2
CHANGES: Mapping[str, Callable[[int], Json]] = {
    "tunnels": lambda number: {"weight": number / 20},
    "lbpools": lambda number: {"description": f"change {number}"},
    "loadbalancers": lambda number: {"description": f"change {number}"},
    "healthchecks": lambda number: {"path": f"/{number}"},
}
"""The n-th change of a resource of each kind; each of them has to reach Cloudflare."""


async def one_field(bed: Testbed) -> Part:
    """Change one field of one resource of each kind, one after the other."""
    rows = []
    names = {plural: raw["metadata"]["name"] for plural, raw in bed.fleet.manifests()}
    async with bed.operator() as operator:
        await bed.wait_idle(operator)
        for plural, change in CHANGES.items():
            since, position = await bed.edge.last_call(), bed.cluster.audit.position()
            changed_at = time.time()
            await bed.cluster.patch(plural, names[plural], change(IN_A_BURST + 1))
            await bed.wait_settled(operator)
            calls = await bed.calls(since)
            seconds = calls.last_write_at() - changed_at if calls.writes else float("nan")
            patches = [use for use in bed.cluster.uses(position) if use.writes]
            rows.append(
                Row(
                    f"writes to Cloudflare for one field of one of the {plural}",
                    "1",
                    f"{len(calls.writes)}, {seconds:.1f} s after the change; {len(calls.entries)} calls in "
                    f"all, {len(patches)} writes to the Kubernetes API",
                    len(calls.writes) == 1,
                )
            )
            bed.progress.event(f"one field of {plural}: {calls.by_kind()}")
    return Part("One changed field", f"{bed.fleet}.", tuple(rows))


async def burst(bed: Testbed, fleet: Fleet) -> Part:
    """Change every resource ten times in a row, as fast as the API server takes it."""
    async with bed.operator() as operator:
        await bed.grow(fleet)
        await bed.wait_settled(operator)
        since, position = await bed.edge.last_call(), bed.cluster.audit.position()
        cpu_s, started = operator.cpu_s(), time.monotonic()
        bed.progress.event(f"a burst over {fleet} …")
        await at_once([_ten_times(bed, plural, raw) for plural, raw in fleet.manifests()])
        applied_s = time.monotonic() - started
        settled_s = await bed.wait_settled(operator) - started
        calls = await bed.calls(since)
        cpu_s = operator.cpu_s() - cpu_s
    patches = [use for use in bed.cluster.uses(position) if use.verb == "patch"]
    each = len(patches) / fleet.resources
    kinds = Counter(use.resource for use in patches)
    bed.progress.event(f"burst: {len(patches)} PATCHes {dict(kinds)}; {calls.by_kind()}")
    rows = (
        Row(
            "PATCHes to the Kubernetes API for each resource",
            f"≤ {PATCHES_EACH}",
            f"{each:.2f} ({', '.join(f'{n:,} {name}' for name, n in kinds.most_common())})",
            each <= PATCHES_EACH,
        ),
        Row("writes to Cloudflare", "", f"{len(calls.writes):,}: {calls.by_kind()}"),
        Row(
            "time until all of it is Ready",
            "",
            f"{settled_s:.1f} s; the changes themselves took {applied_s:.1f} s",
        ),
        Row("processor time of the operator", "", f"{cpu_s:.1f} s"),
    )
    return Part("A burst of ten changes", f"{fleet}. Each is changed ten times in a row.", rows)


async def _ten_times(bed: Testbed, plural: str, raw: Json) -> None:
    for number in range(1, IN_A_BURST + 1):
        await bed.cluster.patch(plural, raw["metadata"]["name"], CHANGES[plural](number))
