"""The supervisor with links that are scripts, on a clock that jumps: how often, when, and when not again."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable
from typing import cast

import pytest

from localedge.connector.edge_link import DialError, EdgeLink, LinkError, RefusedError
from localedge.connector.supervisor import InitialConnectionError, Supervisor

pytestmark = pytest.mark.looptime

LOST, UNREACHABLE = LinkError("Lost connection with the edge"), DialError("refused")
UNAUTHORIZED, DUPLICATE = RefusedError("Unauthorized: Tunnel not found"), RefusedError("EDUPCONN")
ADDRESSES = [("edge", port) for port in range(5)]


class Longest(random.Random):
    """Draws as long a wait as there is, so that times are known."""

    def random(self) -> float:
        """Draw the bound itself."""
        return 1.0


class World:
    """All links, and what becomes of each attempt: an error at once, or connected until told otherwise."""

    def __init__(
        self,
        *outcomes: LinkError | None,
        ha: int = 1,
        retries: int = 0,
        addresses: int = 2,
        chance: random.Random | None = None,
    ) -> None:
        self.outcomes = list(outcomes)
        self.attempts: list[tuple[float, int, int]] = []
        """Time, index and port of each."""
        self.serving: dict[int, asyncio.Future[LinkError | None]] = {}
        self.supervisor = Supervisor(
            ADDRESSES[:addresses],
            ssl.create_default_context(),
            cast("Callable[[int], EdgeLink]", lambda index: ScriptedLink(self, index)),
            ha_connections=ha,
            retries=retries,
            chance=chance or Longest(),
        )
        self.run = asyncio.create_task(self.supervisor.run())

    @property
    def times(self) -> list[float]:
        """When attempts began, in seconds."""
        return [time for time, _, _ in self.attempts]

    async def until_attempts(self, count: int) -> None:
        """Wait for a number of attempts."""
        while len(self.attempts) < count:  # noqa: ASYNC110 - the clock of the loop jumps
            await asyncio.sleep(0.1)

    async def end(self) -> None:
        """Shut down in order."""
        self.supervisor.shut_down()
        await self.run


class ScriptedLink:
    """One attempt."""

    def __init__(self, world: World, index: int) -> None:
        self.world = world
        self.index = index

    async def serve(self, _: str, port: int, __: ssl.SSLContext, *, attempts: int) -> None:
        """Do what the script says; without one stay connected."""
        del attempts
        world, loop = self.world, asyncio.get_running_loop()
        world.attempts.append((round(loop.time(), 1), self.index, port))
        outcome = world.outcomes.pop(0) if world.outcomes else None
        if outcome is not None:
            raise outcome
        world.serving[self.index] = loop.create_future()
        world.supervisor.registered(self.index)
        if (error := await world.serving[self.index]) is not None:
            raise error

    def shut_down(self) -> None:
        """End in order at once."""
        self.world.supervisor.unregistering(self.index)
        future = self.world.serving.get(self.index)
        if future is not None and not future.done():
            future.set_result(None)


async def test_further_connections_start_one_second_apart_when_the_first_is_registered() -> None:
    world = World(ha=4, addresses=5)
    await world.until_attempts(4)
    assert [(time, index) for time, index, _ in world.attempts] == [(0, 0), (0, 1), (1, 2), (2, 3)]
    assert world.supervisor.ready_connections == 4
    await world.end()


async def test_there_are_no_more_connections_than_addresses() -> None:
    world = World(ha=9, addresses=2)
    await asyncio.sleep(10)
    assert world.supervisor.running_links == 2
    await world.end()


@pytest.mark.parametrize("error", [LOST, RefusedError("Rate limited")], ids=str)
async def test_a_first_connection_that_fails_otherwise_ends_the_connector_after_one_wait(
    error: LinkError,
) -> None:
    world = World(error)
    with pytest.raises(InitialConnectionError, match=str(error)):
        await world.run
    assert asyncio.get_running_loop().time() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("error", [UNAUTHORIZED, UNREACHABLE, DUPLICATE], ids=str)
async def test_a_first_connection_is_tried_again_after_errors_that_may_go_away(error: LinkError) -> None:
    world = World(error, error, error)
    await world.until_attempts(4)
    assert world.times == pytest.approx([0, 1, 2, 3], abs=0.1)
    await world.end()


async def test_waits_double_with_each_attempt_up_to_the_retries() -> None:
    world = World(*[UNAUTHORIZED] * 4, retries=3)
    await world.until_attempts(5)
    assert world.times == pytest.approx([0, 2, 6, 14, 22], abs=0.1)
    await world.end()


async def test_an_edge_that_cannot_be_reached_is_not_dialled_in_a_busy_loop() -> None:
    world = World(*[UNREACHABLE] * 50, addresses=1)
    await asyncio.sleep(10.5)
    assert len(world.attempts) == 11
    await world.end()


@pytest.mark.parametrize(
    ("error", "ports"), [(UNREACHABLE, [0, 1]), (DUPLICATE, [0, 1]), (UNAUTHORIZED, [0, 0])]
)
async def test_another_address_is_taken_after_a_failed_dial_or_a_duplicate(
    error: LinkError, ports: list[int]
) -> None:
    world = World(error)
    await world.until_attempts(2)
    assert [port for _, _, port in world.attempts] == ports
    await world.end()


async def test_connections_that_were_lost_together_come_back_in_one_round() -> None:
    world = World(ha=3, addresses=4, chance=random.Random(1))  # noqa: S311 - waits that differ
    await world.until_attempts(3)
    await asyncio.sleep(1)
    for future in world.serving.values():
        future.set_result(LOST)
    await world.until_attempts(6)
    assert world.supervisor.ready_connections == 3
    assert len(set(world.times[3:])) == 1
    await world.end()


async def test_a_lost_connection_comes_back_after_its_own_wait_and_the_shared_one() -> None:
    world = World()
    await world.until_attempts(1)
    world.serving[0].set_result(LOST)
    await world.until_attempts(2)
    assert world.times == pytest.approx([0, 11], abs=0.2)
    await world.end()


async def test_a_connector_that_was_connected_once_is_not_ended_by_any_refusal() -> None:
    world = World(None, RefusedError("Rate limited"))
    await world.until_attempts(1)
    await asyncio.sleep(1)
    world.serving[0].set_result(LOST)
    await world.until_attempts(3)
    assert not world.run.done()
    await world.end()


async def test_a_shutdown_while_waiting_ends_at_once() -> None:
    world = World(UNAUTHORIZED, retries=5)
    await world.until_attempts(1)
    await world.end()
    assert asyncio.get_running_loop().time() < 1


async def test_a_shutdown_makes_it_unready_before_its_connections_end() -> None:
    world = World()
    await world.until_attempts(1)
    world.supervisor.shut_down()
    assert world.supervisor.ready_connections == 0
    await world.run
