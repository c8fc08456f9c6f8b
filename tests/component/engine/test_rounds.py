"""Tunnels' configurations, which have no listing: looked at in rounds, set right, at the lowest priority."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from resources import apply_tunnel
from running_world import World

from tunnelpool.domain.errors import RateLimitedError, UnavailableError
from tunnelpool.domain.json import FrozenObject, freeze, thaw
from tunnelpool.domain.remote import Tunnel
from tunnelpool.engine.rounds import ROUND_S
from tunnelpool.plan.steps import PutConfiguration

pytestmark = pytest.mark.looptime(noop_cycles=1)

SIX_HOURS_S = 6 * 3600.0


class Looks:
    """Counts the readings of configurations, and lets them fail."""

    def __init__(self, world: World, fail: Callable[[], Exception] | None = None) -> None:
        self.at: list[float] = []
        self.fail = fail
        world.remote.trip = self

    def __call__(self, phase: str, call: str) -> None:
        """Count a reading."""
        if (phase, call) == ("read", "configuration"):
            self.at.append(asyncio.get_running_loop().time())
            if self.fail is not None:
                raise self.fail()


def _edit(world: World, tunnel_id: str, **fields: object) -> None:
    """Let somebody change a configuration in the dashboard."""
    config = dict(thaw(world.remote.configurations[tunnel_id]))
    world.remote.configurations[tunnel_id] = freeze({**config, **fields})


async def test_what_somebody_puts_is_seen_within_six_hours_and_set_right_by_one_write(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=2)
        await world.start()
        await world.quiet()
        before = dict(world.remote.configurations)
        start = len(world.remote.log)
        for one in world.remote.all(Tunnel):
            _edit(world, one.id, ingress=[{"service": "http_status:418"}])
        await world.until(lambda: world.remote.configurations == before, within_s=SIX_HOURS_S)
        steps = world.remote.log[start:]
        assert [type(step) for step in steps] == [PutConfiguration] * 2
        await asyncio.sleep(SIX_HOURS_S)
        assert len(world.remote.log) == start + 2


async def test_at_rest_the_rounds_write_nothing_whatever_the_server_adds(world: World) -> None:
    async with world:
        apply_tunnel(
            world, replicas=2, originRequest={"noTLSVerify": True}, service="https://web.default.svc"
        )
        await world.start()
        await world.quiet()
        for one in world.remote.all(Tunnel):
            _edit(world, one.id, **{"warp-routing": {"enabled": False}, "originRequest": {}})
        looks = Looks(world)
        before = world.writes()
        await asyncio.sleep(SIX_HOURS_S)
        assert len(looks.at) > 4
        assert world.writes() == before


async def test_a_server_that_does_not_keep_what_it_is_given_is_not_written_to_for_ever(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=1)
        await world.start()
        await world.quiet()
        (one,) = world.remote.all(Tunnel)
        start = len(world.remote.log)
        for _ in range(20):
            _edit(world, one.id, originRequest={"noTLSVerify": True})
            await asyncio.sleep(700)
        assert len(world.remote.log) - start <= 1


async def test_many_tunnels_are_spread_over_the_six_hours(world: World) -> None:
    async with world:
        for number in range(5):
            apply_tunnel(world, f"web-{number}", replicas=8, hostname=f"h{number}.example.com")
        await world.start()
        await world.quiet()
        looks = Looks(world)
        begun = asyncio.get_running_loop().time()
        await asyncio.sleep(SIX_HOURS_S)
        assert 40 <= len(looks.at) <= 43
        pause = ROUND_S / 40
        hours = [sum(begun + h * 3600 <= at < begun + (h + 1) * 3600 for at in looks.at) for h in range(6)]
        assert max(hours) <= 3600 / pause + 1


@pytest.mark.parametrize(
    "fail", [lambda: RateLimitedError("spent", retry_after_s=3), lambda: UnavailableError("503")]
)
async def test_a_reading_that_fails_is_put_off_and_disturbs_nobody(
    world: World, fail: Callable[[], Exception]
) -> None:
    async with world:
        apply_tunnel(world, replicas=2)
        await world.start()
        await world.quiet()
        looks = Looks(world, fail)
        await asyncio.sleep(3600)
        assert 1 <= len(looks.at) <= 8
        assert world.is_ready()
        looks.fail = None
        for one in world.remote.all(Tunnel):
            _edit(world, one.id, ingress=[])
        await world.quiet(for_s=1300)
        assert all(isinstance(one, FrozenObject) for one in world.remote.configurations.values())
        assert all(thaw(one)["ingress"] for one in world.remote.configurations.values())
