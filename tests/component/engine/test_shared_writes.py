"""Looking again after a write to what is shared: when, how often, and for how many at once."""

from __future__ import annotations

import asyncio

import pytest
from remote_account import ACCOUNT_ID, TOKEN, KeptCloud, RemoteAccount
from running_world import LoopClock

from tunnelpool.domain.keys import PoolKey
from tunnelpool.domain.remote import Origin, Pool
from tunnelpool.engine.ports import Account
from tunnelpool.engine.shared_writes import SharedWrites, changes_shared
from tunnelpool.plan.steps import Create, Update

pytestmark = pytest.mark.looptime(noop_cycles=1)

POOL = Pool("web", (Origin("one", "192.0.2.1"),))
KEYS = [PoolKey(ACCOUNT_ID, f"pool-{n}") for n in range(50)]


async def looked(writes: SharedWrites, keys: list[PoolKey], for_s: float) -> None:
    """Run keys whenever they are due, as the queue does."""

    async def run(key: PoolKey) -> None:
        while (wait_s := writes.next_s(key)) is not None:
            await asyncio.sleep(wait_s)
            await writes.look_after(key)

    async with asyncio.timeout(for_s):
        await asyncio.gather(*map(run, keys))


def account() -> KeptCloud:
    """Open an empty account."""
    return KeptCloud(RemoteAccount(LoopClock()), Account(ACCOUNT_ID, TOKEN))


@pytest.mark.parametrize("step", [Create(POOL, shared=True), Update("1", POOL, (), shared=True)])
async def test_after_a_shared_write_the_listing_is_read_twice_and_then_no_more(step: Create | Update) -> None:
    writes, cloud = SharedWrites(LoopClock()), account()
    writes.wrote(KEYS[0], step, cloud)
    await looked(writes, KEYS[:1], for_s=6.1)
    assert cloud.listings == 2
    assert writes.next_s(KEYS[0]) is None


async def test_after_an_exclusive_write_nothing_is_read() -> None:
    writes, cloud = SharedWrites(LoopClock()), account()
    writes.wrote(KEYS[0], Update("1", POOL, ()), cloud)
    assert not changes_shared(Update("1", POOL, ()))
    assert writes.next_s(KEYS[0]) is None


async def test_many_keys_that_have_written_look_by_few_listings() -> None:
    writes, cloud = SharedWrites(LoopClock()), account()
    for key in KEYS:
        writes.wrote(key, Create(POOL, shared=True), cloud)
        await asyncio.sleep(0.1)
    await looked(writes, KEYS, for_s=20)
    assert cloud.listings <= 8
