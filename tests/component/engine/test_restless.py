"""A plan that never comes to rest is a bug of somebody's; it must not burn the budget of calls (law 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from remote_account import RemoteAccount
from resources import apply_quickstart, patch
from running_world import World

from tunnelpool.domain.remote import Monitor, Observed, Pool, RemoteValue
from tunnelpool.engine.repetition import AT_MOST, WINDOW_S
from tunnelpool.plan.steps import RemoteStep, Update

pytestmark = pytest.mark.looptime(noop_cycles=1)
A_WHILE_S: Final = 1200


def keep_nothing(remote: RemoteAccount, *models: type[RemoteValue]) -> Callable[[], None]:
    """Let the account answer changes of these kinds and keep what was; call what is returned to undo it."""
    commit = remote.commit

    def answered_only(step: RemoteStep) -> Observed[Any] | None:
        if not isinstance(step, Update) or not isinstance(step.value, models):
            return commit(step)
        return commit(replace(step, value=remote.objects[step.id].value))

    remote.commit = answered_only  # type: ignore[method-assign]  # a sick server, for a while

    def heal() -> None:
        remote.commit = commit  # type: ignore[method-assign]  # likewise

    return heal


async def test_a_change_that_shows_nowhere_is_made_ever_more_rarely_and_said_so(world: World) -> None:
    async with world:
        apply_quickstart(world)
        operator = await world.start()
        await world.quiet()
        heal = keep_nothing(world.remote, Pool)
        before = len(world.remote.log)
        patch(world, "LBPool", "my-pool", minimumOrigins=1)
        await world.until(lambda: world.condition("LBPool", "my-pool") == "False/Restless")
        assert "minimum_origins" in world.message("LBPool", "my-pool")
        assert world.condition("LBPool", "static") == "True/Ready"
        assert len(world.remote.log) - before == AT_MOST
        assert ("pool", "restless") in operator.meter.results
        await asyncio.sleep(A_WHILE_S)
        assert AT_MOST < len(world.remote.log) - before <= A_WHILE_S / WINDOW_S * AT_MOST / 2
        heal()
        await world.until(world.is_ready)
        await world.quiet()
        assert world.remote.named(Pool, "my-pool").value.minimum_origins == 1


async def test_two_keys_that_wake_each_other_come_to_rest(world: World) -> None:
    async with world:
        apply_quickstart(world)
        operator = await world.start()
        await world.quiet()
        keep_nothing(world.remote, Pool, Monitor)
        looks = len(operator.meter.results)
        before, told = len(world.remote.log), len(world.cluster.log)
        patch(world, "LBPool", "my-pool", minimumOrigins=1)
        patch(world, "HealthCheck", "web", path="/elsewhere")
        await world.until(lambda: world.condition("HealthCheck", "web") == "False/Restless")
        await world.until(lambda: world.condition("LBPool", "my-pool") == "False/Restless")
        assert len(world.remote.log) - before == 2 * AT_MOST
        assert len(world.cluster.log) - told < 4 * AT_MOST
        assert len(operator.meter.results) - looks < 20 * AT_MOST, "they only look, but without an end"
