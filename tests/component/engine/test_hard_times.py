"""A pod that hangs, a lost node, a spent budget, a death between two writes: what law 7 does in each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from resources import HOST, apply_quickstart, apply_static, apply_tunnel, patch
from running_world import Killed, World

from tunnelpool.domain.errors import RateLimitedError
from tunnelpool.domain.ownership import read_mark
from tunnelpool.domain.remote import Pool

pytestmark = pytest.mark.looptime(noop_cycles=1)
API_LAG_S = 15.0
"""Before a lost connection shows in the listing of tunnels."""


def out(world: World, pool: str = "my-pool") -> set[str]:
    """List the origins that the pool's mark calls out by the operator."""
    mark = read_mark(world.remote.named(Pool, pool).value.description)
    assert mark is not None
    return {name.rpartition("_")[2] for name in mark.out}


def let_pass(phase: str, call: str) -> None:
    """Let every call through."""
    del phase, call


@contextmanager
def spent_budget(world: World) -> Iterator[None]:
    """Answer every call with 429 meanwhile."""

    def refuse(phase: str, call: str) -> None:
        if phase in {"read", "before"}:
            raise RateLimitedError(f"429 to {call}", retry_after_s=20.0)

    world.remote.trip = refuse
    try:
        yield
    finally:
        world.remote.trip = let_pass


async def test_a_pod_that_hangs_is_out_once_cloudflare_says_so_too(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        world.pods.cut("web-connector-1", hangs=True)
        await asyncio.sleep(API_LAG_S - 1)
        assert world.enabled("my-pool") == {"0", "1", "2"}, "the pod alone says so"
        await world.until(lambda: world.enabled("my-pool") == {"0", "2"}, within_s=7)
        world.pods.mend("web-connector-1")
        await world.until(lambda: world.enabled("my-pool") == {"0", "1", "2"}, within_s=2)
        await world.quiet()
        assert len(world.remote.log) == written + 2
        assert world.is_ready()


async def test_a_pod_that_is_unready_while_its_tunnel_is_well_stays_in(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        world.pods.look_unready("web-connector-1")
        await world.quiet()
        assert len(world.remote.log) == written


async def test_a_lost_node_is_out_when_the_cluster_notices_or_cloudflare_does(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        world.pods.cut("web-connector-1")
        await asyncio.sleep(40)
        world.pods.look_unready("web-connector-1")  # by the node-lifecycle controller
        await world.until(lambda: world.enabled("my-pool") == {"0", "2"}, within_s=2)
        world.pods.mend("web-connector-1")  # the replacement, on the other node
        await world.quiet()
        assert world.enabled("my-pool") == {"0", "1", "2"}
        assert len(world.remote.log) == written + 2


async def test_a_minute_of_429_loses_nothing_and_nothing_is_taken_out_of_it(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        world.pods.kill("web-connector-1", hold=True)
        await world.until(lambda: out(world) == {"1"}, within_s=5)
        written = len(world.remote.log)
        with spent_budget(world):
            world.pods.release("web-connector-1")
            world.pods.kill("web-connector-2", hold=True)
            await asyncio.sleep(30)
            patch(world, "Tunnel", "web", weight=0.5)
            await asyncio.sleep(30)
            assert len(world.remote.log) == written
            assert world.enabled("my-pool") == {"0", "2"}
        await world.until(lambda: world.enabled("my-pool") == {"0", "1"}, within_s=60)
        assert out(world) == {"2"}
        world.pods.release("web-connector-2")
        await world.quiet()
        assert world.enabled("my-pool") == {"0", "1", "2"}
        assert {one.weight for one in world.origins("my-pool").values()} == {0.5}
        assert world.is_ready()


@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("dies_at", ["taking out", "putting back"])
async def test_killed_around_a_write_the_next_start_knows_by_the_mark_what_to_do(
    world: World, dies_at: str, phase: str
) -> None:
    def die(at: str, call: str) -> None:
        if (at, call) == (phase, "Update"):
            world.remote.trip = let_pass
            raise Killed

    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        if dies_at == "taking out":
            world.remote.trip = die
        world.pods.kill("web-connector-1", hold=True)
        if dies_at == "putting back":
            await world.until(lambda: out(world) == {"1"}, within_s=5)
            world.remote.trip = die
            world.pods.release("web-connector-1")
        for _ in range(100):
            await asyncio.sleep(0.5)
            if world.crashed:
                break
        assert world.crashed
        await world.restart()
        if dies_at == "taking out":
            await world.until(lambda: world.enabled("my-pool") == {"0", "2"}, within_s=6)
            assert out(world) == {"1"}
            world.pods.release("web-connector-1")
        await world.quiet()
        assert world.enabled("my-pool") == {"0", "1", "2"}
        assert not out(world)
        assert world.is_ready()


async def test_while_the_operator_is_gone_the_monitors_rule_and_then_it_goes_on(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        await world.stop()
        world.pods.kill("web-connector-1", hold=True)
        await asyncio.sleep(70)
        assert [one.name[-1] for one in world.remote.answering(HOST)] == ["0", "2"], "by the monitor"
        assert world.enabled("my-pool") == {"0", "1", "2"}
        await world.start()
        await world.until(lambda: out(world) == {"1"}, within_s=6)
        world.pods.release("web-connector-1")
        await world.quiet()
        assert world.enabled("my-pool") == {"0", "1", "2"}


async def test_a_fallback_that_is_disabled_is_nowhere_to_go(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=1)
        world.cluster.apply("LBPool", "my-pool", {"fallbackRef": {"name": "static"}})
        apply_static(world, enabled=False)
        await world.start()
        await world.quiet(for_s=30)
        world.pods.kill("web-connector-0", hold=True)
        await world.quiet()
        assert world.enabled("my-pool") == {"0"}
        patch(world, "LBPool", "static", enabled=True)
        await world.until(lambda: not world.enabled("my-pool"), within_s=90)
        assert not world.remote.named(Pool, "my-pool").value.enabled
        assert [one.address for one in world.remote.answering(HOST)] == ["fallback.example.net"]


async def test_of_the_last_two_that_die_at_once_one_stays_in_and_the_first_that_is_back_serves(
    world: World,
) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet(for_s=30)
        for slot in ("0", "1"):
            world.pods.kill(f"web-connector-{slot}", hold=True)
        await world.until(lambda: len(world.enabled("my-pool")) == 1, within_s=6)
        (kept,) = world.enabled("my-pool")
        (gone,) = {"0", "1"} - {kept}
        world.pods.release(f"web-connector-{gone}")
        await world.until(lambda: world.enabled("my-pool") == {gone}, within_s=30)
        assert out(world) == {kept}
        assert world.remote.only(Pool).value.enabled
