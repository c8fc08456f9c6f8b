"""Killed or failed at any call, the operator comes to the same end: nothing twice, nothing left (law 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from resources import HOST, apply_quickstart, apply_tunnel, delete_all, patch
from running_world import Killed, World

from tunnelpool.domain.errors import ApiError, OutcomeUnknownError, RateLimitedError, UnavailableError
from tunnelpool.domain.remote import LoadBalancer, Monitor, Pool, Tunnel

pytestmark = pytest.mark.looptime(noop_cycles=1)


@dataclass(frozen=True)
class Scenario:
    """What is there at first, what then happens, and how many origins answer in the end."""

    before: Callable[[World], None] | None
    act: Callable[[World], None]
    answering: int


def quickstart_of_two(world: World) -> None:
    """Apply the quickstart with as few connectors as will do."""
    apply_quickstart(world, replicas=2)


SCENARIOS = {
    "appear": Scenario(None, quickstart_of_two, 2),
    "disappear": Scenario(quickstart_of_two, delete_all, 0),
    "leave everything": Scenario(lambda world: apply_tunnel(world, deletionPolicy="Retain"), delete_all, 2),
    "shrink": Scenario(
        lambda world: apply_tunnel(world, drainSeconds=5),
        lambda world: patch(world, "Tunnel", "web", replicas=1),
        1,
    ),
    "gain a pool": Scenario(
        lambda world: apply_tunnel(world, pool=None),
        lambda world: patch(world, "Tunnel", "web", pool="my-pool"),
        2,
    ),
    "lose a pool": Scenario(apply_tunnel, lambda world: patch(world, "Tunnel", "web", pool=None), 1),
    "lose a connector": Scenario(
        apply_quickstart, lambda world: world.pods.kill("web-connector-1", hold=True), 2
    ),
}


class Trigger:
    """Raises at the call of a number, once."""

    def __init__(self, number: int, error: BaseException, *phases: str) -> None:
        self._number = number
        self._error = error
        self._phases = phases
        self.calls: list[str] = []

    def __call__(self, phase: str, call: str) -> None:
        """Count a call."""
        if phase in self._phases:
            self.calls.append(f"{phase} {call}")
            if len(self.calls) == self._number:
                raise self._error

    @property
    def pulled(self) -> bool:
        """Tell whether it has raised."""
        return len(self.calls) >= self._number > 0


def picture(world: World) -> dict[str, object]:
    """Tell the end state, without ids and times."""
    pools = [(p.value.name, [o.enabled for o in p.value.origins]) for p in world.remote.all(Pool)]
    balancers = [(one.title, len(one.value.default_pools)) for one in world.remote.all(LoadBalancer)]
    names = (f"{raw['kind']} {raw['metadata']['name']}" for raw in world.cluster.all())
    return {
        "pools": sorted(pools),
        "tunnels": sorted(one.title for one in world.remote.all(Tunnel)),
        "monitors": len(world.remote.all(Monitor)),
        "balancers": balancers,
        "objects": sorted(name for name in names if not name.startswith("Pod ")),
        "ready": world.is_ready(),
        "answering": len(world.remote.answering(HOST)),
    }


async def play(scenario: Scenario, trigger: Trigger) -> dict[str, object]:
    """Play a scenario while the trigger listens; a killed operator is followed by another."""
    world = World()
    async with world:
        if scenario.before is not None:
            scenario.before(world)
            await world.start()
            await world.quiet(for_s=65.0)
            await world.stop()
        world.trip(trigger)
        scenario.act(world)
        await world.start()
        try:
            await world.quiet()
        except AssertionError:
            if not world.crashed:
                raise
            await world.restart()
            await world.quiet()
        if scenario.act is delete_all:
            assert not world.remains()
        return picture(world)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_killed_after_any_write_a_fresh_operator_comes_to_the_same_end(name: str) -> None:
    scenario = SCENARIOS[name]
    unharmed = Trigger(0, Killed(), "after")
    expected = await play(scenario, unharmed)
    assert expected["answering"] == scenario.answering
    number = 0
    while True:
        number += 1
        trigger = Trigger(number, Killed(), "after")
        assert await play(scenario, trigger) == expected, trigger.calls[:number]
        if not trigger.pulled:
            return


def errors() -> list[tuple[ApiError, str]]:
    """List what may go wrong with a call, and when."""
    return [
        (UnavailableError("no answer"), "read"),
        (UnavailableError("503"), "before"),
        (OutcomeUnknownError("the answer was lost"), "after"),
        (RateLimitedError("slowly", retry_after_s=30.0), "before"),
    ]


@pytest.mark.parametrize("name", ["appear", "disappear"])
@pytest.mark.parametrize(("error", "phase"), errors(), ids=lambda value: type(value).__name__)
async def test_a_failed_call_is_made_good(name: str, error: ApiError, phase: str) -> None:
    scenario = SCENARIOS[name]
    expected = await play(scenario, Trigger(0, error, phase))
    number = 1
    while True:
        trigger = Trigger(number, error, phase)
        assert await play(scenario, trigger) == expected, trigger.calls[:number]
        if not trigger.pulled:
            return
        number += 4  # a part of the calls, each kind of them
