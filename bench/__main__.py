"""The command line: which parts, at which size."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from bench.changes import burst, one_field
from bench.cold_start import cold_start
from bench.failover import failover
from bench.fleet import Fleet
from bench.memory import MOST_MB, memory
from bench.rest import drift, rest
from bench.restart import restart
from bench.results import Part, page
from bench.testbed import Testbed, testbed
from demo.cluster import build_programs
from demo.progress import Progress

PARTS = ("cold", "restart", "rest", "drift", "change", "burst", "memory", "large", "slow", "failover")
ON_ONE_BED = frozenset(PARTS[:8])
"""They follow one another on the fleet that the cold start has brought up."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    parts: frozenset[str]
    fleet: Fleet
    resources: int
    large: int
    rest_s: float
    latency_s: float
    profiled: bool


@click.command()
@click.option("--rows", default=",".join(PARTS), help=f"Parts, of {', '.join(PARTS)}. Default: all of them.")
@click.option("--tunnels", default=500, show_default=True, help="Tunnels of the fleet, of two replicas each.")
@click.option("--pools", default=100, show_default=True, help="Pools, each with a load balancer.")
@click.option("--resources", default=1000, show_default=True, help="Resources for the burst and for memory.")
@click.option("--large", default=5000, show_default=True, help="Resources for memory at a large size.")
@click.option("--rest-s", default=300.0, show_default=True, help="Seconds for which rest is watched.")
@click.option("--latency-ms", default=100.0, show_default=True, help="Of each call, in the slow cold start.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File for the table.")
@click.option("--profile", is_flag=True, help="Run the operator under cProfile; the profiles are kept.")
def main(
    rows: str,
    tunnels: int,
    pools: int,
    resources: int,
    large: int,
    rest_s: float,
    latency_ms: float,
    output: Path | None,
    profile: bool,
) -> None:
    """Measure size and speed of the operator, and print the table."""
    parts = frozenset(rows.split(","))
    if parts - set(PARTS):
        raise click.BadParameter(f"there is no part {', '.join(sorted(parts - set(PARTS)))}")
    fleet = Fleet(tunnels, 2, pools)
    plan = Plan(parts, fleet, resources, large, rest_s, latency_ms / 1000, profile)
    progress = Progress(sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="tunnelpool-bench-"))
    measured: list[Part] = []
    try:
        asyncio.run(_measure(plan, folder, progress, measured))
    except BaseException:
        progress.event(f"logs stand in {folder}")
        raise
    finally:  # what took minutes is not lost with what came after it
        text = page(measured, shlex.join(["python", "-m", "bench", *sys.argv[1:]]))
        if output is not None and measured:
            output.write_text(text)
        print(text)
    if profile:
        progress.event(f"profiles and logs stand in {folder}")
    else:
        shutil.rmtree(folder)


async def _measure(plan: Plan, folder: Path, progress: Progress, found: list[Part]) -> None:
    """Measure the parts one after the other, and add each to what was found."""
    await build_programs()
    if plan.parts & ON_ONE_BED:
        async with testbed(folder / "bed", progress, profiled=plan.profiled) as bed:
            await _on_one_bed(plan, bed, found)
    if "slow" in plan.parts:
        async with testbed(folder / "slow", progress, profiled=plan.profiled) as bed:
            found.append(await cold_start(bed, plan.fleet, plan.latency_s))
    if "failover" in plan.parts:
        found.append(await failover(folder / "stage", progress))


async def _on_one_bed(plan: Plan, bed: Testbed, found: list[Part]) -> None:
    cold = await cold_start(bed, plan.fleet, 0.0)
    if "cold" in plan.parts:
        found.append(cold)
    if "restart" in plan.parts:
        found.append(await restart(bed))
    if "rest" in plan.parts:
        found.append(await rest(bed, plan.rest_s))
    if "drift" in plan.parts:
        found.append(await drift(bed))
    if "change" in plan.parts:
        found.append(await one_field(bed))
    if "burst" in plan.parts:
        found.append(await burst(bed, plan.fleet.with_resources(plan.resources)))
    if "memory" in plan.parts:
        found.append(await memory(bed, plan.fleet.with_resources(plan.resources), MOST_MB))
    if "large" in plan.parts:
        found.append(await memory(bed, plan.fleet.with_resources(plan.large), None))


main()
