"""One clock: real seconds for the lags, edge seconds for the monitors."""

from __future__ import annotations

import asyncio

import pytest

from localedge.clock import Clock, rfc3339


def test_a_frozen_clock_moves_by_steps_alone() -> None:
    clock = Clock(frozen=True)
    clock.step(2.5)
    assert (clock.real(), clock.now()) == (2.5, 2.5)


def test_speed_multiplies_edge_seconds_and_leaves_real_ones_alone() -> None:
    clock = Clock(frozen=True, speed=20)
    clock.step(3)
    assert (clock.real(), clock.now()) == (3, 60)


def test_a_new_speed_counts_from_now_on() -> None:
    clock = Clock(frozen=True, speed=10)
    clock.step(1)
    clock.set_speed(2)
    clock.step(1)
    assert clock.now() == 12


@pytest.mark.parametrize("speed", [0, -1, 1e9])
def test_a_speed_without_meaning_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed must be above 0"):
        Clock(speed=speed)


def test_a_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        Clock(frozen=True).step(-1)


async def test_a_sleeper_wakes_when_the_steps_add_up_and_not_before() -> None:
    clock = Clock(frozen=True)
    sleeper = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0)
    for _ in range(3):
        clock.step(3)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not sleeper.done()
    clock.step(1)
    await asyncio.wait_for(sleeper, 5)


async def test_a_sleeper_wakes_by_the_speed_that_was_set_while_it_slept() -> None:
    clock = Clock()
    sleeper = asyncio.create_task(clock.sleep(3000))
    await asyncio.sleep(0)
    clock.set_speed(10_000)
    clock.step(0.3)
    await asyncio.wait_for(sleeper, 5)


async def test_real_sleep_does_not_follow_the_speed() -> None:
    clock = Clock(frozen=True, speed=100)
    sleeper = asyncio.create_task(clock.sleep_real(10))
    await asyncio.sleep(0)
    clock.step(9)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.step(1)
    await asyncio.wait_for(sleeper, 5)


def test_times_are_written_in_utc_with_microseconds() -> None:
    assert rfc3339(0.25) == "1970-01-01T00:00:00.250000Z"
