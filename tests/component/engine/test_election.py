"""Who writes: several electors at one Lease, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import looptime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunnelpool.domain.errors import (
    AlreadyExistsError,
    NotFoundError,
    NotLeaderError,
    OutcomeUnknownError,
    StaleError,
    UnavailableError,
)
from tunnelpool.engine.election import Elector, LeaseTerms
from tunnelpool.engine.ports import LeaseRecord

pytestmark = pytest.mark.looptime(noop_cycles=1)
TERMS = LeaseTerms()
CALL_S = 0.01
DEADLINE_S = TERMS.duration_s - TERMS.reserve_s
RETRY_S = TERMS.retry_s * 1.2 + 2 * CALL_S
"""The longest pause between two looks."""


def now() -> float:
    """Tell the virtual time."""
    return asyncio.get_running_loop().time()


class SkewedClock:
    """A machine's clock: its epoch is wrong, its seconds are right."""

    def __init__(self, skew_s: float = 0.0) -> None:
        self._skew_s = skew_s

    def monotonic(self) -> float:
        """Tell the time since some moment."""
        return now() + self._skew_s

    def now(self) -> float:
        """Tell the time of day."""
        return 1e9 + now() - self._skew_s


@dataclass
class Lease:
    """The Lease as the API server keeps it."""

    record: LeaseRecord | None = None
    writes: list[str] = field(default_factory=list)
    version: int = 0
    deletions: int = 0

    def accept(self, record: LeaseRecord) -> LeaseRecord:
        """Write with optimistic locking."""
        if not record.version and self.record is not None:
            raise AlreadyExistsError("exists")
        if record.version and self.record is None:
            raise NotFoundError("gone")
        if self.record is not None and record.version != self.record.version:
            raise StaleError("changed")
        self.version += 1
        self.record = replace(record, version=str(self.version))
        self.writes.append(record.holder)
        return self.record

    @property
    def holder(self) -> str:
        """Name who holds it."""
        return self.record.holder if self.record else ""


class Book:
    """One process's way to the Lease, which can break."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self.failing = False
        self.hanging = False
        self.runs = asyncio.Event()
        self.runs.set()
        """Not set while the process is stopped: it learns nothing then, and time goes on."""
        self.answers_lost = 0
        self.reads = 0

    async def read(self) -> LeaseRecord | None:
        """Read."""
        await self._travel()
        self.reads += 1
        found = self._lease.record
        await self.runs.wait()
        return found

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        """Write; the answer may be lost."""
        await self._travel()
        written = self._lease.accept(record)
        if self.answers_lost:
            self.answers_lost -= 1
            raise OutcomeUnknownError("lost")
        await self.runs.wait()
        return written

    async def _travel(self) -> None:
        if self.hanging:
            await asyncio.Event().wait()
        await asyncio.sleep(CALL_S)
        await self.runs.wait()
        if self.failing:
            raise UnavailableError("no connection")


class Candidate:
    """A process: its clock, its way to the Lease, its elector."""

    def __init__(self, lease: Lease, name: str, skew_s: float = 0.0) -> None:
        self.name = name
        self.book = Book(lease)
        self.clock = SkewedClock(skew_s)
        self.elector = Elector(self.book, self.clock, name, TERMS)
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to seek the lease."""
        self.task = asyncio.create_task(self.elector.run())

    async def kill(self) -> None:
        """End without a word."""
        assert self.task is not None
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    def may_write(self) -> bool:
        """Tell whether a write would be sent now."""
        if not self.book.runs.is_set():
            return False
        try:
            self.elector.limit(TERMS.reserve_s)
        except NotLeaderError:
            return False
        return True


@asynccontextmanager
async def running(*candidates: Candidate) -> AsyncIterator[None]:
    for one in candidates:
        one.start()
    try:
        yield
    finally:
        for one in candidates:
            await one.kill()


async def elected(candidate: Candidate, within_s: float) -> float:
    """Wait until a process is elected, and tell how long it took."""
    began = now()
    async with asyncio.timeout(within_s):
        await candidate.elector.elected.wait()
    return now() - began


async def test_a_free_lease_is_taken_at_once() -> None:
    lease = Lease()
    only = Candidate(lease, "only")
    async with running(only):
        assert await elected(only, 1.0) < 0.1
        assert only.may_write()
    assert lease.record is not None
    assert (lease.record.holder, lease.record.transitions, lease.record.duration_s) == ("only", 0, 15)


async def test_before_it_is_elected_and_after_it_has_lost_a_process_writes_nothing() -> None:
    lease = Lease()
    only = Candidate(lease, "only")
    assert not only.may_write()
    async with running(only):
        await elected(only, 1.0)
        only.book.failing = True
        lost_after = now()
        assert only.task is not None
        await only.task
        assert DEADLINE_S - RETRY_S - 0.1 <= now() - lost_after <= DEADLINE_S
        assert not only.may_write()
        only.book.failing = False
        await asyncio.sleep(60)
        assert not only.may_write(), "who has lost starts anew"


async def test_a_holder_renews_without_reading_and_keeps_the_lease() -> None:
    lease = Lease()
    only = Candidate(lease, "only")
    async with running(only):
        await elected(only, 1.0)
        reads = only.book.reads
        for _ in range(600):
            await asyncio.sleep(0.5)
            assert only.may_write()
    assert only.book.reads == reads
    assert lease.record is not None
    assert lease.record.transitions == 0
    assert 300 / RETRY_S - 2 < len(lease.writes) < 300 / TERMS.retry_s + 2


async def test_a_standby_takes_over_when_the_holder_dies_but_not_before_its_lease_has_run_out() -> None:
    lease = Lease()
    first, second = Candidate(lease, "first"), Candidate(lease, "second", skew_s=1e6)
    async with running(first):
        await elected(first, 1.0)
        async with running(second):
            await asyncio.sleep(60)
            assert not second.elector.elected.is_set()
            await first.kill()
            took_s = await elected(second, 20.0)
            assert TERMS.duration_s - RETRY_S < took_s < TERMS.duration_s + RETRY_S, "well within 20 s"
            assert lease.holder == "second"
            assert lease.record is not None
            assert lease.record.transitions == 1


async def test_a_standby_looks_at_the_very_moment_when_the_lease_has_run_out() -> None:
    for _ in range(3):
        only = Candidate(Lease(LeaseRecord("dead", TERMS.duration_s, 0, 0, 0, "0")), "only")
        async with running(only):
            assert await elected(only, 20.0) < TERMS.duration_s + 0.1


async def test_a_lease_that_is_given_back_is_taken_at_the_next_look() -> None:
    lease = Lease()
    first, second = Candidate(lease, "first"), Candidate(lease, "second")
    async with running(first, second):
        await elected(first, 1.0)
        await first.kill()
        await first.elector.release()
        assert lease.holder == ""
        assert not first.may_write()
        assert await elected(second, 20.0) < RETRY_S


async def test_giving_back_what_is_not_ours_changes_nothing() -> None:
    lease = Lease()
    first, second = Candidate(lease, "first"), Candidate(lease, "second")
    async with running(first, second):
        await elected(first, 1.0)
        await asyncio.sleep(5)
        await second.kill()
        await second.elector.release()
        assert lease.holder == "first"


async def test_a_process_that_ends_while_its_first_write_is_out_gives_the_lease_back() -> None:
    lease = Lease()
    only = Candidate(lease, "only")
    only.book.answers_lost = 1
    async with running(only):
        await asyncio.sleep(0.5)
        assert lease.holder == "only"
        assert not only.elector.elected.is_set()
        await only.kill()
        await only.elector.release()
        assert lease.holder == ""


@pytest.mark.parametrize("stopped_s", [DEADLINE_S + 0.1, 15.0, 60.0])
async def test_a_process_that_was_stopped_and_continued_writes_nothing(stopped_s: float) -> None:
    lease = Lease()
    first, second = Candidate(lease, "first"), Candidate(lease, "second")
    async with running(first, second):
        await elected(first, 1.0)
        first.book.runs.clear()
        await asyncio.sleep(stopped_s)
        first.book.runs.set()  # nothing of it has run yet, as after SIGCONT
        for _ in range(100):
            assert not first.may_write()
            await asyncio.sleep(0.3)
        assert second.may_write()


async def test_a_lost_answer_is_no_renewal_but_does_not_cost_the_lease() -> None:
    lease = Lease()
    only = Candidate(lease, "only")
    async with running(only):
        await elected(only, 1.0)
        left = only.elector.left_s()
        only.book.answers_lost = 1
        await asyncio.sleep(RETRY_S)
        assert only.elector.left_s() < left, "an answer that did not come is not believed"
        await asyncio.sleep(60)
        assert only.may_write()


async def test_a_call_that_hangs_ends_at_the_deadline() -> None:
    lease = Lease()
    only = Candidate(lease, "only")
    async with running(only):
        await elected(only, 1.0)
        only.book.hanging = True
        began = now()
        assert only.task is not None
        await only.task
        assert now() - began <= DEADLINE_S + 0.1


async def test_another_s_name_in_the_lease_ends_the_writing_at_once() -> None:
    lease = Lease()
    first = Candidate(lease, "first")
    async with running(first):
        await elected(first, 1.0)
        assert lease.record is not None
        lease.accept(replace(lease.record, holder="usurper"))
        assert first.task is not None
        async with asyncio.timeout(RETRY_S):
            await first.task
        assert not first.may_write()


async def test_a_deleted_lease_stays_its_holder_s() -> None:
    lease = Lease()
    first, second = Candidate(lease, "first"), Candidate(lease, "second")
    async with running(first, second):
        await elected(first, 1.0)
        await asyncio.sleep(5)
        for _ in range(20):
            lease.record = None
            await asyncio.sleep(5.7)
        assert set(lease.writes) == {"first"}
        assert first.may_write()
        await first.kill()
        lease.record = None
        assert await elected(second, 20.0) > DEADLINE_S


async def test_of_two_that_start_together_one_is_elected() -> None:
    lease = Lease()
    first, second = Candidate(lease, "first"), Candidate(lease, "second")
    async with running(first, second):
        await asyncio.sleep(10)
        assert [one.may_write() for one in (first, second)].count(True) == 1


async def test_metadata_that_somebody_writes_to_a_dead_holder_s_lease_does_not_keep_it_alive() -> None:
    lease = Lease(LeaseRecord("dead", 15, 0, 0, 3, "0"))
    only = Candidate(lease, "only")
    async with running(only):
        for turn in range(40):
            if lease.holder == "dead" and lease.record is not None:
                lease.record = replace(lease.record, version=f"touched-{turn}")
            await asyncio.sleep(0.5)
        assert lease.holder == "only"


async def test_a_write_may_take_no_longer_than_the_lease_lasts() -> None:
    only = Candidate(Lease(), "only")
    async with running(only):
        await elected(only, 1.0)
        only.book.failing = True
        await asyncio.sleep(4)
        left_s = only.elector.left_s()
        assert only.elector.limit(5.0) == 5.0
        assert only.elector.limit(15.0) == left_s < 12
        await asyncio.sleep(left_s - 5.0)
        with pytest.raises(NotLeaderError, match=r"nothing was sent: 5\.0 s are left of the lease"):
            only.elector.limit(1.0)


FAULTS = ["fail", "mend", "hang", "lose", "kill", "stop", "delete", "release", "touch"]
STORY = st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 2), st.floats(0.1, 20.0)), max_size=14)


async def befall(fault: str, one: Candidate, lease: Lease) -> None:
    """Let something happen to a process or to the Lease."""
    match fault:
        case "fail":
            one.book.failing = True
        case "mend":
            one.book.failing = one.book.hanging = False
            one.book.runs.set()
        case "hang":
            one.book.hanging = True
        case "lose":
            one.book.answers_lost += 1
        case "stop":
            one.book.runs.clear()
        case "kill":
            await one.kill()
        case "release" if one.book.runs.is_set() and not one.book.hanging:
            await one.kill()
            await one.elector.release()
        case "delete" if lease.deletions < 3:  # not at each look of a standby
            lease.deletions += 1
            lease.record = None
        case "touch" if lease.record is not None:
            lease.version += 1
            lease.record = replace(lease.record, version=str(lease.version))


async def tell(story: list[tuple[str, int, float]]) -> None:
    """Let three processes go through a story; at no time may two of them write."""
    lease = Lease()
    cast = [Candidate(lease, name, skew) for name, skew in (("a", 0.0), ("b", 1e5), ("c", -1e5))]
    async with running(*cast):
        await asyncio.sleep(1)  # a process that has never seen a Lease cannot know that one was deleted
        for fault, who, pause_s in story:
            await befall(fault, cast[who], lease)
            end = now() + pause_s
            while now() < end:
                assert sum(one.may_write() for one in cast) <= 1
                await asyncio.sleep(0.23)


@settings(max_examples=60, deadline=None)
@given(story=STORY)
def test_whatever_happens_no_two_write_at_a_time(story: list[tuple[str, int, float]]) -> None:
    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(start=0, noop_cycles=1)) as runner:
        runner.run(tell(story))
