"""Who goes first when a token's budget is short: origins that come back, users' changes, sweeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tunnelpool.cloudflare.priorities import reserve_of
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.domain.errors import RateLimitedError, StillReferencedError
from tunnelpool.domain.remote import Origin, Pool, RemoteKind, Tunnel
from tunnelpool.plan.steps import Change, Create, Delete, PutConfiguration, RemoteStep, Update

OUT = Pool("web", (Origin("one", "192.0.2.1", enabled=False), Origin("two", "192.0.2.2")))
IN = replace(OUT, origins=(Origin("one", "192.0.2.1"), Origin("two", "192.0.2.2")))
MORE = replace(IN, origins=(*IN.origins, Origin("three", "192.0.2.3")))
SETTINGS = CloudflareSettings()


def _pool(before: Pool, after: Pool, *fields: str, id_: str = "1") -> Update:
    changes = tuple(Change(name, getattr(before, name), getattr(after, name)) for name in fields)
    return Update(id_, after, changes)


@pytest.mark.parametrize(
    "step",
    [
        _pool(OUT, IN, "origins", "description"),
        _pool(IN, OUT, "origins"),
        _pool(replace(IN, enabled=False), IN, "enabled"),
    ],
)
def test_what_switches_traffic_may_take_the_last_request(step: RemoteStep) -> None:
    assert reserve_of(step, SETTINGS) == 0


@pytest.mark.parametrize(
    "step",
    [
        _pool(IN, MORE, "origins"),
        _pool(MORE, IN, "origins"),
        _pool(IN, replace(IN, minimum_origins=2), "minimum_origins"),
        Create(Tunnel("web")),
        Delete(RemoteKind.POOL, "1", "web"),
        PutConfiguration("1", "web", None),
    ],
)
def test_what_users_change_leaves_some_to_that(step: RemoteStep) -> None:
    assert reserve_of(step, SETTINGS) == SETTINGS.user_reserve


def test_the_order_holds_whatever_the_budget_is() -> None:
    for calls in (24, 230, 1150, 100_000):
        settings = CloudflareSettings.within(calls)
        assert 0 <= settings.user_reserve <= settings.sweep_reserve <= settings.idle_reserve < settings.burst


async def test_with_an_exhausted_bucket_an_origin_comes_back_users_wait_and_sweeps_are_refused(
    tools: Any,
) -> None:
    stored = tools.cloudflare.put(tools.pools, name="web", origins=[])
    await tools.cloud.pools()
    tools.clock.at += 70  # the listing is due
    while True:  # a user creates more than there is budget for
        try:
            await tools.cloud.execute(Create(Tunnel(f"t{len(tools.cloudflare.calls)}")))
        except RateLimitedError:
            break
        if tools.waits:
            break
    tools.waits.clear()
    started = tools.clock.at
    with pytest.raises(RateLimitedError):
        await tools.cloud.sweep()
    await tools.cloud.execute(_pool(OUT, IN, "origins", id_=stored["id"]))
    assert (tools.waits, tools.clock.at) == ([], started), "at once"
    await tools.cloud.execute(Create(Tunnel("next")))
    assert tools.clock.at > started
    assert tools.waits


async def test_a_stop_is_told_with_a_time_that_stays_the_same(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/pools", tools.refusal(429, retry_after="200"))
    told = set()
    for _ in range(5):
        with pytest.raises(RateLimitedError) as refused:
            await tools.cloud.pools()
        told.add(refused.value.message)
        tools.clock.at += 30
    assert told == {"Cloudflare limits the calls of the API token; the operator goes on at 00:20:00 UTC"}


async def test_who_refers_to_what_cannot_be_deleted_is_named(tools: Any) -> None:
    stored = tools.cloudflare.put(tools.pools, name="web", origins=[])
    tools.cloudflare.fail("DELETE", stored["id"], tools.refusal(400, 1005, "referenced"))
    reference = {"reference_type": "referrer", "resource_type": "load_balancer", "resource_name": "a.example"}
    tools.cloudflare.fail("GET", "/references", tools.envelope([reference]))
    with pytest.raises(StillReferencedError, match=r"load balancer 'a\.example' at Cloudflare still refers"):
        await tools.cloud.execute(Delete(RemoteKind.POOL, stored["id"], "web"))
