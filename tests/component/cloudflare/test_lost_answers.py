"""Nothing is created twice, whatever becomes of an answer."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from written_objects import MONITOR, POOL, VALUES

from tunnelpool.domain.errors import (
    AlreadyExistsError,
    OutcomeUnknownError,
)
from tunnelpool.domain.remote import (
    RemoteValue,
)
from tunnelpool.plan.steps import Create


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("lost", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("closed")])
async def test_a_creation_that_happened_without_answer_is_found_and_not_repeated(
    tools: Any, value: RemoteValue, lost: Exception
) -> None:
    step = tools.create(value)
    tools.cloudflare.lose_answer("POST", "", lost)
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(step)
    with pytest.raises(AlreadyExistsError):
        await tools.cloud.execute(step)
    with pytest.raises(AlreadyExistsError):
        await tools.cloud.execute(step)
    assert len(await tools.listed(value)) == 1
    assert tools.cloudflare.count("POST") == 1


@pytest.mark.parametrize("value", VALUES)
async def test_a_creation_that_did_not_happen_is_repeated_after_two_listings_that_lack_it(
    tools: Any, value: RemoteValue
) -> None:
    step = tools.create(value)
    tools.cloudflare.fail("POST", "", httpx.ReadTimeout("slow"))
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(step)
    with pytest.raises(OutcomeUnknownError) as refused:
        await tools.cloud.execute(step)
    assert refused.value.retry_after_s == 3
    tools.clock.at += 2.9
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(step)
    assert (tools.cloudflare.count("POST"), tools.cloudflare.count("GET")) == (1, 1)
    tools.clock.at += 0.1
    await tools.cloud.execute(step)
    assert (tools.cloudflare.count("POST"), tools.cloudflare.count("GET")) == (2, 2)
    assert len(await tools.listed(value)) == 1


async def test_an_object_that_shows_late_is_not_created_twice(tools: Any) -> None:
    tools.cloudflare.lose_answer("POST", "", httpx.ReadTimeout("slow"))
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(Create(MONITOR))
    tools.cloudflare.fail("GET", "/monitors", tools.envelope([]))
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(Create(MONITOR))
    tools.clock.at += 3
    with pytest.raises(AlreadyExistsError):
        await tools.cloud.execute(Create(MONITOR))
    assert tools.cloudflare.count("POST") == 1


async def test_listings_of_others_settle_a_doubt_too(tools: Any) -> None:
    tools.cloudflare.fail("POST", "", httpx.ReadTimeout("slow"))
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(Create(MONITOR))
    await tools.cloud.monitors()
    tools.clock.at += 3
    await tools.cloud.monitors(fresh=True)
    await tools.cloud.execute(Create(MONITOR))
    assert tools.cloudflare.count("GET") == 2


async def test_a_creation_that_was_cancelled_may_have_happened(tools: Any) -> None:
    sent = asyncio.Event()

    async def hang(request: httpx.Request) -> httpx.Response:
        tools.cloudflare._answer(request)
        sent.set()
        await asyncio.Event().wait()
        raise AssertionError

    tools.accounts._transport.client._transport.handler, handler = hang, tools.cloudflare
    task = asyncio.create_task(tools.cloud.execute(Create(MONITOR)))
    await sent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    tools.accounts._transport.client._transport.handler = handler
    with pytest.raises(AlreadyExistsError):
        await tools.cloud.execute(Create(MONITOR))
    assert tools.cloudflare.count("POST") == 0


async def test_a_creation_whose_answer_has_no_object_is_looked_up(tools: Any) -> None:
    tools.cloudflare.fail("POST", "", tools.envelope({"id": 5}))
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(Create(POOL))
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(Create(POOL))
    assert tools.cloudflare.count("POST") == 1


async def test_what_the_listing_shows_is_not_created_again(tools: Any) -> None:
    await tools.cloud.monitors()
    await tools.cloud.execute(Create(MONITOR))
    with pytest.raises(AlreadyExistsError):
        await tools.cloud.execute(Create(MONITOR))
    assert tools.cloudflare.count("POST") == 1


async def test_a_listing_that_does_not_show_an_own_creation_yet_is_not_believed(tools: Any) -> None:
    await tools.cloud.execute(Create(MONITOR))
    tools.clock.at += 1
    tools.cloudflare.fail("GET", "/monitors", tools.envelope([]))
    assert len(await tools.cloud.monitors(fresh=True)) == 1
    with pytest.raises(AlreadyExistsError):
        await tools.cloud.execute(Create(MONITOR))
