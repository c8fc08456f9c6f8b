"""What Cloudflare alone says: enough for few tunnels, after a while; never to empty a pool (law 7)."""

from __future__ import annotations

import asyncio

import pytest
from resources import HOST, apply_quickstart, apply_tunnel
from running_world import World

from tunnelpool.domain.ownership import read_mark
from tunnelpool.domain.remote import Pool, Tunnel

pytestmark = pytest.mark.looptime(noop_cycles=1)
API_LAG_S = 15.0
SWEEP_S = 66.0
"""A listing is a minute old at most, and a tenth."""


def tunnel_ids(world: World, *slots: str) -> set[str]:
    """List the ids of the tunnels of these slots; of all if none is named."""
    return {one.id for one in world.remote.all(Tunnel) if not slots or one.title.rpartition("_")[2] in slots}


def out(world: World, pool: str = "my-pool") -> set[str]:
    """List the origins that the pool's mark calls out by the operator."""
    mark = read_mark(world.remote.named(Pool, pool).value.description)
    assert mark is not None
    return {name.rpartition("_")[2] for name in mark.out}


async def test_a_tunnel_that_cloudflare_alone_calls_down_goes_out_and_comes_back(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        world.pods.cut("web-connector-1")
        assert world.pods.ready() == 3, "the cluster has noticed nothing"
        await world.until(lambda: world.enabled("my-pool") == {"0", "2"}, within_s=API_LAG_S + SWEEP_S + 11)
        assert out(world) == {"1"}
        await world.quiet()
        await world.restart()
        await world.quiet()
        assert out(world) == {"1"}, "nor does a restart believe the pod"
        assert len(world.remote.log) == written + 1
        world.pods.mend("web-connector-1")
        await world.until(lambda: world.enabled("my-pool") == {"0", "1", "2"}, within_s=API_LAG_S + SWEEP_S)
        await world.quiet()
        assert len(world.remote.log) == written + 2
        assert world.is_ready()


async def test_a_tunnel_that_is_called_down_for_a_moment_stays_in(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        told: list[float] = []

        def tell(phase: str, call: str) -> None:
            """Take the word back 7 s after it was first heard."""
            if (phase, call) == ("read", "list tunnels"):
                told.append(world.remote.clock.monotonic())
                asyncio.get_running_loop().call_later(7, world.remote.slandered.clear)

        world.remote.slandered = tunnel_ids(world, "1")
        world.remote.trip = tell
        await world.quiet()
        assert len(told) >= 4
        assert told[3] - told[0] < 7, "it was asked several times"
        assert len(world.remote.log) == written


async def test_a_sick_cloudflare_that_calls_every_tunnel_down_takes_out_a_third_at_most(world: World) -> None:
    async with world:
        apply_quickstart(world)
        apply_tunnel(world, "more", replicas=3)
        await world.start()
        await world.quiet()
        world.remote.slandered = tunnel_ids(world)
        least = 6
        for _ in range(400):
            await asyncio.sleep(1)
            pool = world.remote.named(Pool, "my-pool")
            least = min(least, sum(origin.enabled for origin in pool.value.origins))
        assert least == 4
        await world.restart()
        await world.quiet()
        assert sum(origin.enabled for origin in world.remote.named(Pool, "my-pool").value.origins) == 4
        world.remote.slandered = set()
        await world.quiet()
        assert all(origin.enabled for origin in world.remote.named(Pool, "my-pool").value.origins)
        assert world.is_ready()


async def test_of_two_tunnels_that_cloudflare_calls_down_none_goes_out_but_one_alone_does(
    world: World,
) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet(for_s=30)
        written = len(world.remote.log)
        world.remote.slandered = tunnel_ids(world)
        await world.quiet(for_s=200)
        assert len(world.remote.log) == written
        world.remote.slandered = tunnel_ids(world, "0")
        await world.until(lambda: world.enabled("my-pool") == {"1"}, within_s=SWEEP_S + 11)
        assert [o.name[-1] for o in world.remote.answering(HOST)] == ["1"]


async def test_keys_that_wait_for_cloudflares_word_share_its_listings(world: World) -> None:
    async with world:
        for number in range(20):
            apply_tunnel(world, f"web-{number}", hostname=f"h{number}.example.com", pool=f"pool-{number}")
        await world.start()
        await world.quiet()
        calls: list[str] = []
        world.remote.trip = lambda phase, call: calls.append(call) if phase == "read" else None
        world.remote.slandered = tunnel_ids(world)
        await asyncio.sleep(SWEEP_S + 81)
        asked = calls.count("list tunnels")
        assert 7 <= asked <= 11, "seven times on the schedule and by the sweep, not so often for each pool"


async def test_a_crash_that_comes_back_asks_cloudflare_little_though_it_calls_the_tunnel_down_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pods.RESTART_S", 1.0)
    monkeypatch.setattr("pods.START_S", 0.5)
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        for _ in range(3):
            world.pods.kill("web-connector-1")
            await asyncio.sleep(70)
        await world.quiet()
        assert len(world.remote.log) == written
