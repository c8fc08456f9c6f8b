"""How much is asked and written at size: counts, the same on every machine; bench/ has the times."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from resources import patch
from running_world import World

from tunnelpool.domain.keys import TunnelKey
from tunnelpool.plan.steps import Create, Update

pytestmark = pytest.mark.looptime(noop_cycles=1)
TUNNELS, REPLICAS, POOLS = 20, 2, 4
ORIGINS = TUNNELS * REPLICAS
SPACES_S = 0.1
WORKERS = 2
"""Of the operator in these tests."""
CHANGES: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "Tunnel": lambda number: {"weight": number / 20},
    "LBPool": lambda number: {"description": f"change {number}"},
    "LoadBalancer": lambda number: {"description": f"change {number}"},
    "HealthCheck": lambda number: {"path": f"/{number}"},
}


def apply_fleet(world: World) -> None:
    world.cluster.apply("HealthCheck", "web", {"path": "/"})
    for pool in range(POOLS):
        world.cluster.apply("LBPool", f"p-{pool}", {"healthCheckRef": {"name": "web"}})
        spec = {"hostname": f"h-{pool}.example.com", "pools": [f"p-{pool}"]}
        world.cluster.apply("LoadBalancer", f"p-{pool}", spec)
    for number in range(TUNNELS):
        pool = number % POOLS
        spec = {
            "hostname": f"h-{pool}.example.com",
            "service": "http://web.default.svc:8080",
            "pool": f"p-{pool}",
            "replicas": REPLICAS,
        }
        world.cluster.apply("Tunnel", f"t-{number}", spec)


async def settle(world: World) -> None:
    apply_fleet(world)
    await world.start()
    await world.quiet()
    assert world.is_ready()


def noting_reads(world: World) -> list[str]:
    """Note each read of Cloudflare but those of the zones, which the account of the tests does not keep."""
    reads: list[str] = []

    def note(phase: str, call: str) -> None:
        if phase == "read" and call != "zones":
            reads.append(call)

    world.remote.trip = note
    return reads


async def test_a_cold_start_takes_three_calls_to_cloudflare_for_each_tunnel(world: World) -> None:
    async with world:
        reads = noting_reads(world)
        await settle(world)
        steps = Counter(type(step).__name__ for step in world.remote.log)
        created = Counter(type(one.value).__name__ for one in world.remote.log if isinstance(one, Create))
        assert created == {"Tunnel": ORIGINS, "Pool": POOLS, "LoadBalancer": POOLS, "Monitor": 1}
        assert steps["PutConfiguration"] == ORIGINS
        assert "token" not in reads, "it comes with the answer to the creation"
        assert len(world.remote.log) <= 3 * ORIGINS, steps


async def test_origins_that_come_one_after_the_other_are_taken_in_together(world: World) -> None:
    async with world:
        await settle(world)
        patches = [step for step in world.remote.log if isinstance(step, Update)]
        assert len(patches) <= 3 * POOLS, Counter(step.changes[0].field for step in patches)


async def test_a_restart_writes_nothing_and_reads_listings_only(world: World) -> None:
    async with world:
        await settle(world)
        written, reads = world.writes(), noting_reads(world)
        await world.restart()
        await asyncio.sleep(30)
        assert world.writes() == written
        assert len(reads) == len(set(reads)), Counter(reads)
        assert not [call for call in reads if "look at" in call or call == "token"]


async def test_rest_is_four_listings_a_minute_at_most_however_much_there_is(world: World) -> None:
    async with world:
        await settle(world)
        written, reads = world.writes(), noting_reads(world)
        await asyncio.sleep(3600)
        assert world.writes() == written
        assert len(reads) <= 330, Counter(reads)


async def test_one_changed_field_is_one_write_to_cloudflare(world: World) -> None:
    async with world:
        await settle(world)
        for kind, name, field, value in (
            ("Tunnel", "t-7", "weight", 0.5),
            ("LBPool", "p-3", "description", "changed"),
            ("LoadBalancer", "p-3", "description", "changed"),
            ("HealthCheck", "web", "path", "/changed"),
        ):
            written = len(world.remote.log)
            patch(world, kind, name, **{field: value})
            await world.quiet()
            assert len(world.remote.log) == written + 1, (kind, world.remote.log[written:])


async def test_a_burst_of_ten_changes_is_told_in_one_status_each(world: World) -> None:
    async with world:
        await settle(world)
        told = len([line for line in world.cluster.log if line.startswith("status")])
        for number in range(10):
            for raw in world.cluster.all(*CHANGES):
                patch(world, raw["kind"], raw["metadata"]["name"], **CHANGES[raw["kind"]](number))
            await asyncio.sleep(SPACES_S)
        await world.quiet()
        statuses = len([line for line in world.cluster.log if line.startswith("status")]) - told
        resources = TUNNELS + 2 * POOLS + 1
        assert statuses <= 1.2 * resources
        assert world.is_ready()


async def test_between_two_keys_everybody_else_has_a_turn(world: World) -> None:
    """Where nothing differs nothing waits either: the lease must be renewed all the same."""
    async with world:
        await settle(world)
        assert world.operator is not None
        queue = world.operator.queue
        for number in range(TUNNELS):
            queue.add(TunnelKey("default", f"t-{number}"))
        waiting = [len(queue)]
        while len(queue):
            await asyncio.sleep(0)
            waiting.append(len(queue))
        assert waiting[0] == TUNNELS
        assert max(before - after for before, after in itertools.pairwise(waiting)) <= WORKERS
