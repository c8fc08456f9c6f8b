"""A sweep reads again what is due, tells what differs, and leaves the budget to others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tunnelpool.domain.errors import (
    CredentialsError,
    MissingPermissionError,
    RateLimitedError,
)
from tunnelpool.domain.remote import Origin, Pool, RemoteKind
from tunnelpool.plan.steps import Create

POOL = Pool("web", (Origin("a", "a.example.com"),), check_regions=("WNAM",))


async def test_a_sweep_reads_what_is_due_and_tells_what_differs(tools: Any) -> None:
    await asyncio.gather(tools.cloud.pools(), tools.cloud.monitors(), tools.cloud.dns_records(tools.zone_id))
    tools.cloudflare.put(tools.pools, name="new", origins=[])
    tools.cloudflare.put(tools.records, name="new.example.com", type="A", content="192.0.2.1")
    tools.cloudflare.calls.clear()
    assert await tools.cloud.sweep() == []
    assert tools.cloudflare.calls == []
    tools.clock.at += 70
    (changed,) = await tools.cloud.sweep()
    assert (changed.kind, [one.value.name for one in changed.objects]) == (RemoteKind.POOL, ["new"])
    assert tools.cloudflare.calls == [("GET", tools.pools)]
    tools.clock.at += 270
    (changed,) = await tools.cloud.sweep()
    assert (changed.kind, [one.value.content for one in changed.objects]) == (
        RemoteKind.DNS_RECORD,
        ["192.0.2.1"],
    )
    assert await tools.cloud.sweep() == []


async def test_a_sweep_tells_what_another_reading_has_shown(tools: Any) -> None:
    await tools.cloud.pools()
    tools.cloudflare.put(tools.pools, name="new", origins=[])
    await tools.cloud.pools(fresh=True)
    (changed,) = await tools.cloud.sweep()
    assert changed.objects[0].value.name == "new"


async def test_one_listing_that_fails_does_not_keep_a_sweep_from_the_others(tools: Any) -> None:
    await asyncio.gather(tools.cloud.pools(), tools.cloud.tunnels())
    tools.cloudflare.put(tools.tunnels, name="new")
    tools.clock.at += 70
    tools.cloudflare.fail("GET", "/pools", tools.refusal(403, 10000))
    (changed,) = await tools.cloud.sweep()
    assert changed.kind is RemoteKind.TUNNEL
    calls = len(tools.cloudflare.calls)
    assert await tools.cloud.sweep() == []
    assert len(tools.cloudflare.calls) == calls


async def test_a_sweep_that_could_read_nothing_says_why(tools: Any) -> None:
    await tools.cloud.pools()
    tools.clock.at += 70
    tools.cloudflare.fail("GET", "/pools", tools.refusal(401, 1000, "Invalid API Token"))
    with pytest.raises(CredentialsError):
        await tools.cloud.sweep()


async def test_sweeps_leave_a_part_of_the_budget_to_others(tools: Any) -> None:
    await tools.cloud.pools()
    tools.clock.at += 70
    for _ in range(88):
        await tools.cloud.monitors(fresh=True)
    with pytest.raises(RateLimitedError):
        await tools.cloud.sweep()
    await tools.cloud.execute(Create(POOL))
    assert not tools.waits


async def test_ssl_mode_is_read_once_an_age_and_a_change_concerns_every_pool(tools: Any) -> None:
    tools.cloudflare.put(tools.pools, name="web", origins=[])
    await tools.cloud.pools()
    path = "/settings/ssl"
    tools.cloudflare.fail("GET", path, tools.envelope({"id": "ssl", "value": "full"}))
    assert await tools.cloud.ssl_mode(tools.zone_id) == "full"
    assert await tools.cloud.ssl_mode(tools.zone_id) == "full"
    assert len(tools.cloudflare.calls) == 2
    tools.clock.at += 340
    tools.cloudflare.fail("GET", path, tools.envelope({"id": "ssl", "value": "off"}))
    (changed,) = await tools.cloud.sweep()
    assert (changed.kind, len(changed.objects)) == (RemoteKind.POOL, 1)
    assert await tools.cloud.ssl_mode(tools.zone_id) == "off"


async def test_that_the_ssl_mode_may_not_be_read_is_remembered(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/settings/ssl", tools.refusal(403, 10000))
    for _ in range(2):
        with pytest.raises(MissingPermissionError, match="Zone Settings Read"):
            await tools.cloud.ssl_mode(tools.zone_id)
    assert len(tools.cloudflare.calls) == 1
    tools.clock.at += 340
    tools.cloudflare.fail("GET", "/settings/ssl", tools.envelope({"value": "strict"}))
    assert await tools.cloud.ssl_mode(tools.zone_id) == "strict"


async def test_zones_are_those_of_the_account_and_a_new_one_is_seen_in_time(tools: Any) -> None:
    tools.cloudflare.put("/zones", name="Example.com")
    assert [zone.name for zone in await tools.cloud.zones()] == ["example.com"]
    tools.cloudflare.put("/zones", name="example.org")
    assert len(await tools.cloud.zones()) == 1
    tools.clock.at += 340
    assert len(await tools.cloud.zones()) == 2
