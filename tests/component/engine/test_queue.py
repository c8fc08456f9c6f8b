"""The work queue against client-go's model: dirty and processing, no key twice at once, none lost."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from running_world import LoopClock

from tunnelpool.engine.backoff import FIRST_S, LONGEST_S, Backoff
from tunnelpool.engine.queue import Lane, WorkQueue

KEYS = st.sampled_from("abcd")


class AgainstTheModel(RuleBasedStateMachine):
    """Add, get and done in any order, beside two plain sets."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.queue: WorkQueue[str] = WorkQueue(LoopClock())
        self.dirty: dict[str, Lane] = {}
        self.processing: set[str] = set()

    def teardown(self) -> None:
        """Close the loop."""
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    @rule(key=KEYS, lane=st.sampled_from(Lane))
    def add(self, key: str, lane: Lane) -> None:
        """Add a key: it keeps the better lane."""
        self.loop.run_until_complete(self._add(key, lane))
        self.dirty[key] = min(lane, self.dirty.get(key, lane))

    async def _add(self, key: str, lane: Lane) -> None:
        self.queue.add(key, lane)

    @precondition(lambda self: self.dirty.keys() - self.processing)
    @rule()
    def get(self) -> None:
        """Take a key: one of the best lane that does not run."""
        key = self.loop.run_until_complete(asyncio.wait_for(self.queue.get(), 1))
        assert key is not None
        free = {one: lane for one, lane in self.dirty.items() if one not in self.processing}
        assert free[key] == min(free.values())
        del self.dirty[key]
        self.processing.add(key)

    @precondition(lambda self: self.processing)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        """End a key."""
        key = data.draw(st.sampled_from(sorted(self.processing)))
        self.loop.run_until_complete(self._done(key))
        self.processing.discard(key)

    async def _done(self, key: str) -> None:
        self.queue.done(key)

    @precondition(lambda self: not self.dirty.keys() - self.processing)
    @rule()
    def get_waits(self) -> None:
        """Find nothing to take."""
        with pytest.raises(TimeoutError):
            self.loop.run_until_complete(asyncio.wait_for(self.queue.get(), 0.001))

    @invariant()
    def counts(self) -> None:
        """Count alike."""
        assert len(self.queue) == len(self.dirty)
        assert self.queue.busy == len(self.processing)


AgainstTheModel.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestAgainstTheModel = AgainstTheModel.TestCase


@pytest.fixture
def queue() -> WorkQueue[str]:
    return WorkQueue(LoopClock())


async def test_better_lanes_go_first_and_within_a_lane_the_older(queue: WorkQueue[str]) -> None:
    queue.add("swept", Lane.SWEEP)
    queue.add("user 1")
    queue.add("user 2")
    queue.add("traffic", Lane.TRAFFIC)
    assert [await queue.get() for _ in range(4)] == ["traffic", "user 1", "user 2", "swept"]


async def test_a_key_that_is_added_while_it_runs_runs_once_more_after_it(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a", Lane.TRAFFIC)
    queue.add("b")
    assert await queue.get() == "b"
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    queue.done("b")
    assert len(queue) == queue.busy == 0


@pytest.mark.looptime(noop_cycles=1)
async def test_a_delayed_key_runs_at_its_time_and_the_earliest_wins(queue: WorkQueue[str]) -> None:
    loop = asyncio.get_running_loop()
    queue.add_after("a", 30.0)
    queue.add_after("a", 10.0)
    queue.add_after("a", 20.0)
    assert (len(queue), queue.delayed) == (0, 1)
    assert await queue.get() == "a"
    assert loop.time() == pytest.approx(10.0)
    assert queue.delayed == 0


@pytest.mark.looptime(noop_cycles=1)
async def test_a_forgotten_delay_does_not_come(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 1.0)
    queue.forget_delay("a")
    queue.forget_delay("never seen")
    await asyncio.sleep(2.0)
    assert len(queue) == queue.delayed == 0


async def test_a_delay_of_nothing_is_now(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 0.0)
    assert len(queue) == 1


@pytest.mark.looptime(noop_cycles=1)
async def test_waiters_share_the_keys_each_to_one(queue: WorkQueue[str]) -> None:
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(1)
    for key in "abc":
        queue.add(key)
    assert sorted(await asyncio.gather(*waiting), key=str) == ["a", "b", "c"]


@pytest.mark.looptime(noop_cycles=1)
async def test_a_closed_queue_wakes_everyone_with_none_and_takes_no_more(queue: WorkQueue[str]) -> None:
    waiting = asyncio.create_task(queue.get())
    queue.add_after("late", 5.0)
    await asyncio.sleep(1)
    queue.close()
    assert await waiting is None
    queue.add("a")
    queue.add_after("a", 5.0)
    await asyncio.sleep(10)
    assert await queue.get() is None
    assert queue.delayed == 0


@pytest.mark.looptime(noop_cycles=1)
async def test_a_waiter_that_gives_up_takes_no_key_with_it(queue: WorkQueue[str]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await queue.get()
    queue.add("a")
    assert await queue.get() == "a"


@pytest.mark.looptime(noop_cycles=1)
async def test_idle_is_when_nothing_waits_or_runs(queue: WorkQueue[str]) -> None:
    queue.add("a")
    idle = asyncio.create_task(queue.wait_idle())
    await queue.get()
    await asyncio.sleep(1)
    assert not idle.done()
    queue.done("a")
    await idle


def test_waits_double_from_one_second_to_five_minutes_by_key() -> None:
    whole, half = Backoff(lambda: 1.0), Backoff(lambda: 0.0)
    assert [whole.next("a") for _ in range(4)] == [FIRST_S, 2.0, 4.0, 8.0]
    assert [half.next("a") for _ in range(2)] == [0.5, 1.0]
    assert [whole.next("a") for _ in range(2000)][-1] == LONGEST_S
    assert whole.next("b") == FIRST_S
    whole.reset("a")
    whole.reset("never seen")
    assert whole.next("a") == FIRST_S


async def test_a_place_that_was_given_up_for_a_better_one_is_not_taken_later(queue: WorkQueue[str]) -> None:
    queue.add("a", Lane.USER)
    queue.add("a", Lane.TRAFFIC)
    assert await queue.get() == "a"
    queue.done("a")
    queue.add("a", Lane.SWEEP)
    queue.add("b", Lane.USER)
    assert [await queue.get(), await queue.get()] == ["b", "a"]
