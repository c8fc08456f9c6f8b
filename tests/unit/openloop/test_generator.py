"""The loop is open: nothing that becomes of a request delays another."""

import asyncio
from itertools import count

import pytest

from openloop.generator import Generator, Reply
from openloop.load import Load, Order
from openloop.results import Answer, Record

pytestmark = pytest.mark.looptime(noop_cycles=1)

LOAD = Load("h", 50, slow_every=20)
SLOW_S = 5.0


class Service:
    """Answers at once, but slow requests after 5 s, and takes note of when it was asked."""

    def __init__(self) -> None:
        self.asked: dict[int, float] = {}
        self.records: list[Record] = []

    async def ask(self, order: Order) -> Reply:
        """Answer an order."""
        self.asked[order.number] = asyncio.get_running_loop().time()
        if order.path.startswith("/slow"):
            await asyncio.sleep(SLOW_S)
        return Reply(200, by="pod")

    async def run_for(self, seconds: float) -> list[Answer]:
        """Send the load for so long, and wait for what is due."""
        now = asyncio.get_running_loop().time
        task = asyncio.create_task(Generator(LOAD, self.ask, self.records.append, now=now).run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [each for each in self.records if isinstance(each, Answer)]


async def test_slow_answers_delay_no_other_request() -> None:
    service = Service()
    answers = await service.run_for(9.99)
    assert len(answers) == 500
    assert max(each.late_s for each in answers) == pytest.approx(0, abs=0.001)


async def test_at_the_end_it_waits_for_the_answers_that_are_due() -> None:
    answers = await Service().run_for(0.5)
    assert [(each.number, round(each.took_s)) for each in answers if each.took_s > 1] == [(20, 5)]
    assert not any(each.failed for each in answers)


async def test_a_request_that_is_sent_late_says_by_how_much() -> None:
    service = Service()
    now = asyncio.get_running_loop().time
    turns = count(1)

    async def stalled(seconds: float) -> None:
        """Sleep a whole second before the second request: the machine had no time."""
        await asyncio.sleep(1.0 if next(turns) == 2 else seconds)

    generator = Generator(LOAD, service.ask, service.records.append, now=now, sleep=stalled)
    task = asyncio.create_task(generator.run())
    await asyncio.sleep(2.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    answers = [each for each in service.records if isinstance(each, Answer)]
    assert len(answers) == 101, "what was missed is made up for"
    late = {each.number: each.late_s for each in answers}
    assert late[2] == pytest.approx(0.98)
    assert late[60] == pytest.approx(0, abs=0.001)


async def test_what_fails_is_no_less_recorded() -> None:
    service = Service()

    async def refuse(_: Order) -> Reply:
        return Reply(0, "ConnectionRefusedError")

    now = asyncio.get_running_loop().time
    task = asyncio.create_task(Generator(LOAD, refuse, service.records.append, now=now).run())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert service.records
    assert all(isinstance(each, Answer) and each.failed for each in service.records)
