"""A listing is read once for all, written through, and never undone by a reading that is older."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tunnelpool.cloudflare.listing import Listing
from tunnelpool.domain.errors import UnavailableError


@dataclass(frozen=True)
class Item:
    """Something that is listed."""

    id: str
    text: str = ""


@dataclass
class Source:
    """Answers with what it holds when asked, once `gate` is open."""

    items: list[Item] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    """Gets an entry as each reading begins."""
    loads: int = 0
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.gate.set()

    async def __call__(self) -> Sequence[Item]:
        """Answer with a listing."""
        self.loads += 1
        self.begun.put_nowait(self.loads)
        found = list(self.items)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return found


@pytest.fixture
def source() -> Source:
    return Source([Item("1", "old")])


@pytest.fixture
def listing(clock: Any) -> Listing[Item]:
    return Listing(clock, max_age_s=60, settle_s=5)


async def test_readers_share_one_request_and_later_ones_none(listing: Listing[Item], source: Source) -> None:
    answers = await asyncio.gather(*(listing.read(source) for _ in range(5)))
    assert answers == [(Item("1", "old"),)] * 5
    await listing.read(source)
    assert source.loads == 1


async def test_a_fresh_answer_was_begun_after_the_question(listing: Listing[Item], source: Source) -> None:
    source.gate.clear()
    first = asyncio.create_task(listing.read(source))
    await source.begun.get()
    source.items[0] = Item("1", "new")
    fresh = [asyncio.create_task(listing.read(source, fresh=True)) for _ in range(3)]
    await asyncio.sleep(0)
    source.gate.set()
    await first
    assert await asyncio.gather(*fresh) == [(Item("1", "new"),)] * 3
    assert source.loads == 2


async def test_who_takes_an_answer_that_was_begun_just_before_shares_it_also_while_it_is_under_way(
    listing: Listing[Item], source: Source, clock: Any
) -> None:
    source.gate.clear()
    asking = [asyncio.create_task(listing.read(source, fresh=True, within_s=0.5)) for _ in range(3)]
    await source.begun.get()
    asking.append(asyncio.create_task(listing.read(source, fresh=True, within_s=0.5)))
    await asyncio.sleep(0)
    source.gate.set()
    await asyncio.gather(*asking)
    await listing.read(source, fresh=True, within_s=0.5)
    assert source.loads == 1
    clock.at += 0.6
    await listing.read(source, fresh=True, within_s=0.5)
    assert source.loads == 2


async def test_a_reader_that_gives_up_leaves_the_answer_to_the_others(
    listing: Listing[Item], source: Source
) -> None:
    source.gate.clear()
    impatient = asyncio.create_task(listing.read(source))
    patient = asyncio.create_task(listing.read(source))
    await source.begun.get()
    impatient.cancel()
    source.gate.set()
    assert await patient == (Item("1", "old"),)
    assert source.loads == 1


async def test_a_failure_is_everyones_and_the_next_reader_asks_again(
    listing: Listing[Item], source: Source
) -> None:
    source.error = UnavailableError("down")
    answers = await asyncio.gather(listing.read(source), listing.read(source), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["down", "down"]
    source.error = None
    assert await listing.read(source) == (Item("1", "old"),)
    assert source.loads == 2


async def test_a_failed_fresh_reading_keeps_what_was_known(listing: Listing[Item], source: Source) -> None:
    await listing.read(source)
    source.error = UnavailableError("down")
    with pytest.raises(UnavailableError):
        await listing.read(source, fresh=True)
    assert await listing.read(source) == (Item("1", "old"),)


async def test_a_reading_does_not_undo_a_write_that_came_after_it_was_begun(
    listing: Listing[Item], source: Source
) -> None:
    source.items.append(Item("2", "gone soon"))
    await listing.read(source)
    source.gate.clear()
    reading = asyncio.create_task(listing.read(source, fresh=True))
    assert [await source.begun.get(), await source.begun.get()] == [1, 2]
    listing.write(Item("1", "written"))
    listing.write(Item("3", "created"), created=True)
    listing.remove("2")
    source.gate.set()
    assert set(await reading) == {Item("1", "written"), Item("3", "created")}
    assert listing.take_different() == ()


async def test_existence_is_believed_of_the_writer_until_it_has_settled(
    listing: Listing[Item], source: Source, clock: Any
) -> None:
    await listing.read(source)
    clock.at += 1
    listing.write(Item("2", "created"), created=True)
    listing.write(Item("2", "changed"))
    listing.remove("1")
    clock.at += 4
    assert await listing.read(source, fresh=True) == (Item("2", "changed"),)
    clock.at += 1
    assert await listing.read(source, fresh=True) == (Item("1", "old"),)


async def test_content_is_believed_of_the_server_at_once(
    listing: Listing[Item], source: Source, clock: Any
) -> None:
    await listing.read(source)
    listing.write(Item("1", "ours"))
    clock.at += 0.1
    source.items[0] = Item("1", "theirs")
    assert await listing.read(source, fresh=True) == (Item("1", "theirs"),)


async def test_an_invalid_listing_is_read_again_even_if_a_reading_is_under_way(
    listing: Listing[Item], source: Source
) -> None:
    source.gate.clear()
    first = asyncio.create_task(listing.read(source))
    await source.begun.get()
    listing.invalidate()
    source.items[0] = Item("1", "new")
    second = asyncio.create_task(listing.read(source))
    await asyncio.sleep(0)
    source.gate.set()
    await first
    assert await second == (Item("1", "new"),)


async def test_what_readings_show_to_be_different_is_told_once_with_both_versions(
    listing: Listing[Item], source: Source
) -> None:
    source.items.append(Item("2"))
    await listing.read(source)
    assert listing.take_different() == ()
    source.items[:] = [Item("1", "new"), Item("3")]
    await listing.read(source, fresh=True)
    assert set(listing.take_different()) == {Item("1", "old"), Item("1", "new"), Item("2"), Item("3")}
    assert listing.take_different() == ()


async def test_own_writes_are_no_difference(listing: Listing[Item], source: Source, clock: Any) -> None:
    await listing.read(source)
    listing.write(Item("1", "written"))
    source.items[0] = Item("1", "written")
    clock.at += 10
    await listing.read(source, fresh=True)
    assert listing.take_different() == ()


async def test_it_is_due_at_its_age_give_or_take_a_tenth_and_never_before_it_was_read(
    listing: Listing[Item], source: Source, clock: Any
) -> None:
    def due_after(seconds: float) -> bool:
        clock.at += seconds
        return listing.is_due

    assert not due_after(1000)
    await listing.read(source)
    assert not due_after(53)
    assert due_after(14)
    listing.postpone(30)
    assert not due_after(29)
    assert due_after(1)


async def test_closing_gives_a_reading_up(listing: Listing[Item], source: Source) -> None:
    source.gate.clear()
    reading = asyncio.create_task(listing.read(source))
    await source.begun.get()
    listing.close()
    with pytest.raises(asyncio.CancelledError):
        await reading
