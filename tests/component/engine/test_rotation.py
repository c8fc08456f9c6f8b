"""The annotation `tunnelpool.dev/rotate`: each value once, connectors replaced before they stop."""

from __future__ import annotations

import asyncio

import pytest
from resources import HOST, annotate, apply_tunnel
from running_world import Killed, World

from tunnelpool.plan.steps import RotateSecret

pytestmark = pytest.mark.looptime(noop_cycles=1)


def rotations(world: World) -> int:
    return sum(isinstance(step, RotateSecret) for step in world.remote.log)


def token_of(world: World, slot: int) -> str:
    secret = world.cluster.get("Secret", f"web-connector-{slot}")
    assert secret is not None
    return str(secret["data"]["token"])


def pods(world: World) -> set[str]:
    return {pod["metadata"]["name"] for pod in world.cluster.all("Pod")}


async def test_each_tunnel_gets_a_new_secret_and_its_connector_the_new_token(world: World) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet()
        before, old = [token_of(world, slot) for slot in (0, 1)], pods(world)
        annotate(world, "Tunnel", "web", rotate="monday")
        await world.quiet()
        assert rotations(world) == 2
        assert [token_of(world, slot) for slot in (0, 1)] == [f"{token}-1" for token in before]
        assert world.status("Tunnel", "web")["rotated"] == "monday"
        assert world.is_ready(), world.message("Tunnel", "web")
        assert not pods(world) & old, "a connector that runs on has not shown that the new token opens"
        assert world.pods.ready() == len(pods(world)) == 2


async def test_the_origins_go_on_answering_while_connectors_are_replaced(world: World) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet()
        start = len(world.remote.log)
        annotate(world, "Tunnel", "web", rotate="monday")
        least = 2
        for _ in range(120):
            await asyncio.sleep(0.5)
            least = min(least, len(world.remote.answering(HOST)))
        assert least == 2
        assert {type(step) for step in world.remote.log[start:]} == {RotateSecret}  # the pool is not touched


async def test_the_same_value_rotates_once_also_after_a_restart(world: World) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet()
        annotate(world, "Tunnel", "web", rotate="monday")
        await world.quiet()
        await world.restart()
        await world.quiet()
        assert rotations(world) == 2
        annotate(world, "Tunnel", "web", rotate="tuesday")
        await world.quiet()
        assert rotations(world) == 4
        assert world.status("Tunnel", "web")["rotated"] == "tuesday"


async def test_an_annotation_that_goes_away_changes_nothing(world: World) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet()
        annotate(world, "Tunnel", "web", rotate="monday")
        await world.quiet()
        before = world.writes()
        annotate(world, "Tunnel", "web")
        await world.quiet()
        assert world.writes() == before
        assert world.status("Tunnel", "web")["rotated"] == "monday"


async def test_a_tunnel_that_is_new_is_not_rotated(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=1)
        annotate(world, "Tunnel", "web", rotate="monday")
        await world.start()
        await world.quiet()
        assert rotations(world) == 0
        assert world.status("Tunnel", "web")["rotated"] == "monday"


async def test_an_operator_that_is_killed_on_the_way_ends_with_the_token_that_counts(world: World) -> None:
    def die(phase: str, call: str) -> None:
        if phase == "before" and call == "WriteConnectorSecret":
            died.append(call)
            world.trip(lambda *_: None)
            raise Killed

    died: list[str] = []
    async with world:
        apply_tunnel(world, replicas=1)
        await world.start()
        await world.quiet()
        first = token_of(world, 0)
        world.trip(die)
        annotate(world, "Tunnel", "web", rotate="monday")
        with pytest.raises(AssertionError, match="has crashed"):
            await world.quiet()
        assert (len(died), rotations(world), token_of(world, 0)) == (1, 1, first)
        await world.restart()
        await world.quiet()
        assert token_of(world, 0) == f"{first}-{rotations(world)}"
        assert world.status("Tunnel", "web")["rotated"] == "monday"
