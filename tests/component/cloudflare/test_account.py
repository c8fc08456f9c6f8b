"""An account: what is read is kept, what is written is written through, nothing is created twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tunnelpool.domain.errors import (
    ActiveConnectionsError,
    AlreadyExistsError,
    ApiError,
    CredentialsError,
    InvalidError,
    MissingPermissionError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitedError,
    StillReferencedError,
    UnavailableError,
)
from tunnelpool.domain.json import freeze
from tunnelpool.domain.remote import (
    DnsRecord,
    LoadBalancer,
    Monitor,
    Origin,
    Pool,
    RemoteKind,
    RemoteValue,
    Tunnel,
)
from tunnelpool.engine.ports import Account
from tunnelpool.plan.diff import changes, update
from tunnelpool.plan.steps import Change, CloseConnections, Create, Delete, PutConfiguration, Update

POOL = Pool("web", (Origin("a", "a.example.com"),), check_regions=("WNAM",))
MONITOR = Monitor("[mark]")
VALUES = [
    Tunnel("web"),
    MONITOR,
    POOL,
    LoadBalancer("www.example.com", ("1",), "1"),
    DnsRecord("www.example.com", "CNAME", "x.example.com"),
]


async def listed(tools: Any, value: RemoteValue, *, fresh: bool = False) -> list[Any]:
    match value:
        case Tunnel():
            return list(await tools.cloud.tunnels(fresh=fresh))
        case Monitor():
            return list(await tools.cloud.monitors(fresh=fresh))
        case Pool():
            return list(await tools.cloud.pools(fresh=fresh))
        case LoadBalancer():
            return list(await tools.cloud.load_balancers(tools.zone_id, fresh=fresh))
        case DnsRecord():
            return list(await tools.cloud.dns_records(tools.zone_id, fresh=fresh))


def create(tools: Any, value: RemoteValue) -> Create:
    return Create(value, tools.zone_id if isinstance(value, LoadBalancer | DnsRecord) else "")


@pytest.mark.parametrize("value", VALUES)
async def test_own_writes_are_in_the_listing_without_another_request(tools: Any, value: RemoteValue) -> None:
    assert await listed(tools, value) == []
    await tools.cloud.execute(create(tools, value))
    (observed,) = await listed(tools, value)
    assert changes(value, observed.value) == ()
    assert observed.zone_id == create(tools, value).zone_id
    assert len(tools.cloudflare.calls) == 2


async def test_a_change_is_one_patch_of_what_changed(tools: Any) -> None:
    await tools.cloud.execute(Create(POOL))
    (observed,) = await tools.cloud.pools()
    step = update(replace(POOL, minimum_origins=2), observed)
    await tools.cloud.execute(step)
    assert tools.cloudflare.calls[-1] == ("PATCH", f"{tools.pools}/{observed.id}")
    assert tools.cloudflare.bodies[-1] == {"minimum_origins": 2}
    (observed,) = await tools.cloud.pools()
    assert observed.value.minimum_origins == 2


async def test_what_others_have_set_in_origins_survives_a_change(tools: Any) -> None:
    tools.cloudflare.put(
        tools.pools, name="web", origins=[{"name": "v", "address": "10.0.0.1", "virtual_network_id": "net"}]
    )
    (observed,) = await tools.cloud.pools()
    more = (*observed.value.origins, Origin("w", "w.example.com"))
    await tools.cloud.execute(update(replace(observed.value, origins=more), observed))
    assert tools.cloudflare.bodies[-1]["origins"][0]["virtual_network_id"] == "net"


async def test_a_pools_health_survives_a_change_that_does_not_concern_it(tools: Any) -> None:
    stored = tools.cloudflare.put(
        tools.pools,
        name="web",
        healthy=True,
        origins=[{"name": "a", "address": "a.example.com", "healthy": True}],
    )
    (observed,) = await tools.cloud.pools()
    stored["healthy"] = None
    stored["origins"][0]["healthy"] = None
    await tools.cloud.execute(update(replace(observed.value, description="new"), observed))
    (observed,) = await tools.cloud.pools()
    assert observed.health.healthy is True
    assert observed.health.origins == {"a": True}


async def test_a_deletion_takes_it_out_and_what_is_gone_is_deleted(tools: Any) -> None:
    await tools.cloud.execute(Create(POOL))
    (observed,) = await tools.cloud.pools()
    step = Delete(RemoteKind.POOL, observed.id, "web")
    await tools.cloud.execute(step)
    assert await tools.cloud.pools() == ()
    await tools.cloud.execute(step)
    assert tools.cloudflare.count("DELETE") == 2


async def test_closing_connections_of_a_tunnel_that_is_gone_is_done(tools: Any) -> None:
    await tools.cloud.execute(CloseConnections("1", "web"))
    assert tools.cloudflare.calls == [("DELETE", f"{tools.tunnels}/1/connections")]


async def test_a_configuration_is_put_whole(tools: Any) -> None:
    tools.cloudflare.fail("PUT", "/configurations", tools.envelope({"version": 1}))
    config = {"ingress": [{"service": "http_status:404"}]}
    await tools.cloud.execute(PutConfiguration("1", "web", freeze(config)))
    assert tools.cloudflare.calls == [("PUT", f"{tools.tunnels}/1/configurations")]
    assert tools.cloudflare.bodies == [{"config": config}]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, 1001), NotFoundError),
        ((409, 1003), AlreadyExistsError),
        ((412, 1005), StillReferencedError),
        ((400, 1002), InvalidError),
        ((500, 0), OutcomeUnknownError),
    ],
)
async def test_an_answer_that_shows_the_listing_to_be_out_of_date_has_it_read_again(
    tools: Any, answer: tuple[int, int], error: type[ApiError]
) -> None:
    await tools.cloud.pools()
    tools.cloudflare.put(tools.pools, name="theirs", origins=[])
    tools.cloudflare.fail("PATCH", "", tools.refusal(*answer))
    with pytest.raises(error):
        await tools.cloud.execute(Update("1", POOL, (Change("minimum_origins", 3, 1),)))
    assert len(await tools.cloud.pools()) == 1


async def test_a_reference_has_the_referrers_listing_read_again(tools: Any) -> None:
    await tools.cloud.load_balancers(tools.zone_id)
    tools.cloudflare.put(tools.balancers, name="www.example.com", default_pools=["1"], fallback_pool="1")
    tools.cloudflare.fail("DELETE", "/1", tools.refusal(412, 1005))
    with pytest.raises(StillReferencedError):
        await tools.cloud.execute(Delete(RemoteKind.POOL, "1", "web"))
    (balancer,) = await tools.cloud.load_balancers(tools.zone_id)
    assert balancer.value.pools == {"1"}


async def test_a_tunnel_with_connections_is_waited_for(tools: Any) -> None:
    tools.cloudflare.fail("DELETE", "/1", tools.refusal(400, 1022))
    with pytest.raises(ActiveConnectionsError):
        await tools.cloud.execute(Delete(RemoteKind.TUNNEL, "1", "web"))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("lost", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("closed")])
async def test_a_creation_that_happened_without_answer_is_found_and_not_repeated(
    tools: Any, value: RemoteValue, lost: Exception
) -> None:
    step = create(tools, value)
    tools.cloudflare.lose_answer("POST", "", lost)
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(step)
    with pytest.raises(AlreadyExistsError):
        await tools.cloud.execute(step)
    with pytest.raises(AlreadyExistsError):
        await tools.cloud.execute(step)
    assert len(await listed(tools, value)) == 1
    assert tools.cloudflare.count("POST") == 1


@pytest.mark.parametrize("value", VALUES)
async def test_a_creation_that_did_not_happen_is_repeated_after_two_listings_that_lack_it(
    tools: Any, value: RemoteValue
) -> None:
    step = create(tools, value)
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
    assert len(await listed(tools, value)) == 1


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
    for _ in range(90):
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


async def test_a_tunnels_token_is_fetched_and_kept_nowhere(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/token", *[tools.envelope("connector-secret")] * 2)
    assert await tools.cloud.token("1") == await tools.cloud.token("1") == "connector-secret"
    tools.cloudflare.fail("GET", "/token", tools.envelope(None))
    with pytest.raises(UnavailableError):
        await tools.cloud.token("1")


async def test_a_users_token_is_verified_in_one_request(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/user/tokens/verify", tools.envelope({"status": "active"}))
    await tools.cloud.verify()
    assert len(tools.cloudflare.calls) == 1


async def test_an_accounts_token_is_verified_in_its_place_and_at_once_the_next_time(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/user/tokens/verify", tools.refusal(401, 1000))
    of_account = f"/accounts/{tools.account_id}/tokens/verify"
    tools.cloudflare.fail("GET", of_account, *[tools.envelope({"status": "active"})] * 2)
    await tools.cloud.verify()
    await tools.cloud.verify()
    assert [path for _, path in tools.cloudflare.calls] == ["/user/tokens/verify", of_account, of_account]


@pytest.mark.parametrize("status", ["disabled", "expired"])
async def test_a_token_that_is_not_active_is_refused_with_its_status(tools: Any, status: str) -> None:
    tools.cloudflare.fail("GET", "/user/tokens/verify", tools.envelope({"status": status}))
    with pytest.raises(CredentialsError, match=status):
        await tools.cloud.verify()


async def test_a_token_that_is_nobodys_is_refused(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/user/tokens/verify", tools.refusal(401, 1000, "Invalid API Token"))
    tools.cloudflare.fail("GET", "/tokens/verify", tools.refusal(403, 10000))
    with pytest.raises(CredentialsError, match="Invalid API Token"):
        await tools.cloud.verify()


async def test_a_new_token_sees_the_same_listings(tools: Any) -> None:
    await tools.cloud.execute(Create(POOL))
    await tools.cloud.pools()
    calls = len(tools.cloudflare.calls)
    renewed = tools.accounts.account(Account(tools.account_id, "renewed"))
    assert renewed is not tools.cloud
    assert len(await renewed.pools()) == 1
    assert len(tools.cloudflare.calls) == calls


async def test_an_object_that_is_not_understood_spoils_its_listing(tools: Any) -> None:
    tools.cloudflare.put(tools.pools, name="web", origins="none")
    with pytest.raises(UnavailableError, match="not understood"):
        await tools.cloud.pools()


async def test_a_change_of_nothing_is_not_sent(tools: Any) -> None:
    probe = replace(MONITOR, type="tcp", method="connection_established", path="")
    await tools.cloud.execute(Update("1", probe, (Change("path", "/", ""),)))
    assert tools.cloudflare.calls == []
