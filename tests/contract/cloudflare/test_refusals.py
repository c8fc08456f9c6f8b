"""What the edge refuses as Cloudflare does arrives as the error and the words that a user acts by."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tunnelpool.cloudflare.account import CloudAccount
from tunnelpool.domain.canonical import canonical_affinity_attributes, canonical_rules
from tunnelpool.domain.errors import (
    AlreadyExistsError,
    CredentialsError,
    HostHeaderError,
    InvalidError,
    MissingPermissionError,
    NotBoughtError,
    NotFoundError,
    OutcomeUnknownError,
    PlanError,
    RateLimitedError,
    StillReferencedError,
    TooManyOriginsError,
)
from tunnelpool.domain.json import freeze
from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Monitor, Origin, Pool, RemoteKind, Tunnel
from tunnelpool.plan.steps import (
    Change,
    CloseConnections,
    Create,
    Delete,
    PutConfiguration,
    RotateSecret,
    Update,
)

POOL = Pool("refusals", (Origin("a", "192.0.2.9"),), check_regions=("WNAM",))


@pytest.fixture
async def cloud(edge: Any) -> AsyncIterator[CloudAccount]:
    async with edge.open() as opened:
        yield opened
    edge.control("DELETE", "faults")
    # Another client: the first one may have been told to stop.
    async with edge.open() as opened:
        for balancer in await opened.load_balancers(edge.zone_id, fresh=True):
            await opened.execute(Delete(RemoteKind.LOAD_BALANCER, balancer.id, "", edge.zone_id))
        for kind, found in (
            (RemoteKind.POOL, await opened.pools(fresh=True)),
            (RemoteKind.MONITOR, await opened.monitors(fresh=True)),
            (RemoteKind.TUNNEL, await opened.tunnels(fresh=True)),
        ):
            for item in found:
                await opened.execute(Delete(kind, item.id, ""))


async def pool_id(cloud: CloudAccount) -> str:
    await cloud.execute(Create(POOL))
    (pool,) = await cloud.pools()
    return pool.id


async def test_an_account_without_load_balancing_says_where_to_enable_it(
    edge_without_load_balancing: Any,
) -> None:
    async with edge_without_load_balancing.open() as cloud:
        with pytest.raises(NotBoughtError, match="enable it in the dashboard under Traffic > Load Balancing"):
            await cloud.execute(Create(POOL))


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        (Monitor("fast", interval=20), PlanError, "`intervalSeconds` must lie between 60 and 3600"),
        (Pool("everywhere", POOL.origins), PlanError, "choose `checkRegions`"),
        (
            Pool("host", (Origin("a", "192.0.2.1", host="www.example.org"),), check_regions=("WEU",)),
            HostHeaderError,
            "'www.example.org' of origin '192.0.2.1' must be a host name in a zone of this account",
        ),
        (
            Pool("many", tuple(Origin(f"o{n}", f"192.0.2.{n}") for n in range(30)), check_regions=("WEU",)),
            PlanError,
            "at most 20 origins",
        ),
    ],
)
async def test_a_limit_of_the_plan_says_what_to_do(
    cloud: CloudAccount, value: Any, kind: type[InvalidError], says: str
) -> None:
    with pytest.raises(kind, match=says):
        await cloud.execute(Create(value))


RULE = {"name": "a", "terminates": True}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"steering_policy": "proximity"}, "`steeringPolicy` 'proximity' needs Traffic Steering"),
        ({"steering_policy": "geo", "region_pools": True}, "needs Traffic Steering"),
        ({"rules": canonical_rules([RULE, {**RULE, "name": "b"}])}, "at most 1 `rules`"),
        (
            {
                "session_affinity": "header",
                "session_affinity_attributes": canonical_affinity_attributes({"headers": ["A", "B"]}),
            },
            "at most 1 `headers`",
        ),
    ],
)
async def test_what_the_plan_lacks_is_named_with_the_way_out(
    cloud: CloudAccount, edge: Any, fields: dict[str, Any], says: str
) -> None:
    pool = await pool_id(cloud)
    if fields.get("region_pools"):
        fields = {**fields, "region_pools": freeze({"WEU": [pool]})}
    with pytest.raises(PlanError, match=says):
        await cloud.execute(Create(LoadBalancer("www.example.com", (pool,), pool, **fields), edge.zone_id))


@pytest.mark.parametrize(
    ("value", "allowed"), [(POOL, "20 origins"), (Monitor("[mark]", interval=60), "30 monitors")]
)
async def test_how_many_an_account_may_have_is_told_with_the_way_out(
    cloud: CloudAccount, value: Pool | Monitor, allowed: str
) -> None:
    for number in range(int(allowed.partition(" ")[0])):
        name = {"name": f"pool{number}"} if isinstance(value, Pool) else {"description": f"[{number}]"}
        await cloud.execute(Create(replace(value, **name)))
    with pytest.raises(PlanError, match=f"the account may have at most {allowed}"):
        await cloud.execute(Create(value))


async def test_a_limit_of_origins_is_a_number_to_go_by_whoever_it_counts_for(cloud: CloudAccount) -> None:
    many = tuple(Origin(f"o{n}", f"192.0.2.{n}") for n in range(21))
    with pytest.raises(TooManyOriginsError) as of_pool:
        await cloud.execute(Create(replace(POOL, origins=many)))
    await cloud.execute(Create(replace(POOL, name="first", origins=many[: of_pool.value.limit - 1])))
    with pytest.raises(TooManyOriginsError) as of_account:
        await cloud.execute(Create(replace(POOL, origins=many[:2])))
    assert (of_pool.value.limit, of_pool.value.of_account) == (20, False)
    assert (of_account.value.limit, of_account.value.of_account) == (20, True)


async def test_a_hostname_of_another_zone_is_named(cloud: CloudAccount, edge: Any) -> None:
    pool = await pool_id(cloud)
    with pytest.raises(InvalidError, match=r"'www\.example\.org' is not a host name in this zone"):
        await cloud.execute(Create(LoadBalancer("www.example.org", (pool,), pool), edge.zone_id))


@pytest.mark.parametrize("value", [POOL, Tunnel("taken")])
async def test_a_taken_name_is_told_by_the_server(cloud: CloudAccount, edge: Any, value: Any) -> None:
    await cloud.execute(Create(value))
    async with edge.open() as other:
        with pytest.raises(AlreadyExistsError):
            await other.execute(Create(value))


async def test_a_taken_host_name_is_told_by_the_server(edge: Any) -> None:
    record = DnsRecord("taken.example.com", "CNAME", "x.example.net")
    async with edge.open() as one, edge.open() as other:
        await one.execute(Create(record, edge.zone_id))
        with pytest.raises(AlreadyExistsError):
            await other.execute(Create(record, edge.zone_id))
        (stored,) = await one.dns_records(edge.zone_id)
        await one.execute(Delete(RemoteKind.DNS_RECORD, stored.id, "", edge.zone_id))


async def test_what_is_referenced_is_waited_for(cloud: CloudAccount, edge: Any) -> None:
    pool = await pool_id(cloud)
    await cloud.execute(Create(LoadBalancer("www.example.com", (pool,), pool), edge.zone_id))
    with pytest.raises(StillReferencedError):
        await cloud.execute(Delete(RemoteKind.POOL, pool, "refusals"))


@pytest.mark.parametrize("kind", [RemoteKind.POOL, RemoteKind.MONITOR])
async def test_what_is_gone_is_deleted_but_not_changed(cloud: CloudAccount, kind: RemoteKind) -> None:
    gone = "0" * 32
    await cloud.execute(Delete(kind, gone, ""))
    value = POOL if kind is RemoteKind.POOL else Monitor("m")
    with pytest.raises(NotFoundError):
        await cloud.execute(Update(gone, value, (Change("description", "", value.description),)))


async def test_a_tunnel_is_configured_and_hands_its_token_out(cloud: CloudAccount) -> None:
    await cloud.execute(Create(Tunnel("web")))
    (tunnel,) = await cloud.tunnels()
    assert tunnel.remotely_managed
    config = freeze({"ingress": [{"service": "http_status:404"}]})
    await cloud.execute(PutConfiguration(tunnel.id, "web", config))
    await cloud.execute(CloseConnections(tunnel.id, "web"))
    assert len(await cloud.token(tunnel.id)) > 40
    bad = freeze({"ingress": [{"hostname": "www.example.com", "service": "http://web"}]})
    with pytest.raises(InvalidError, match="the last ingress rule of a tunnel must match everything"):
        await cloud.execute(PutConfiguration(tunnel.id, "web", bad))


async def test_a_tunnel_that_gets_a_new_secret_hands_another_token_out(cloud: CloudAccount) -> None:
    await cloud.execute(Create(Tunnel("web")))
    (tunnel,) = await cloud.tunnels()
    before = await cloud.token(tunnel.id)
    await cloud.execute(RotateSecret(tunnel.id, "web"))
    assert await cloud.token(tunnel.id) != before
    assert await cloud.tunnels(fresh=True) == (tunnel,)


async def test_zones_and_their_ssl_mode_are_read(cloud: CloudAccount, edge: Any) -> None:
    (zone,) = await cloud.zones()
    assert (zone.id, zone.name) == (edge.zone_id, "example.com")
    assert await cloud.ssl_mode(zone.id) in {"off", "flexible", "full", "strict"}


@pytest.mark.parametrize(
    ("granted", "needed"),
    [
        ("Cloudflare Tunnel Write", "Load Balancing: Monitors and Pools Write"),
        ("Load Balancing: Monitors and Pools Read", "Load Balancing: Monitors and Pools Write"),
    ],
)
async def test_a_missing_permission_is_named(edge: Any, granted: str, needed: str) -> None:
    async with edge.open(edge.token(granted)) as cloud:
        with pytest.raises(MissingPermissionError) as refused:
            await cloud.execute(Create(POOL))
    assert refused.value.permission == needed


async def test_a_missing_permission_in_a_zone_is_named(edge: Any) -> None:
    async with edge.open(edge.token("Load Balancing: Monitors and Pools Write")) as cloud:
        with pytest.raises(MissingPermissionError, match="Load Balancers Read"):
            await cloud.load_balancers(edge.zone_id)
        with pytest.raises(MissingPermissionError, match="Zone Settings Read"):
            await cloud.ssl_mode(edge.zone_id)


@pytest.mark.parametrize("owner", ["user", "account"])
async def test_a_token_is_verified_whoever_owns_it(edge: Any, owner: str) -> None:
    async with edge.open(edge.token("Zone Read", owner=owner)) as cloud:
        await cloud.verify()
    async with edge.open(edge.token("Zone Read", owner=owner, status="expired")) as cloud:
        with pytest.raises(CredentialsError):
            await cloud.verify()


@pytest.mark.parametrize("token", ["wrong", "0" * 40])
async def test_a_wrong_token_is_no_credential(edge: Any, token: str) -> None:
    async with edge.open(token) as cloud:
        with pytest.raises(CredentialsError, match="replace it"):
            await cloud.verify()
        with pytest.raises((CredentialsError, MissingPermissionError)):
            await cloud.pools()


@pytest.mark.parametrize("drop", ["before", "after"])
@pytest.mark.parametrize("value", [Monitor("[mark]"), POOL, Tunnel("web")])
async def test_a_lost_answer_leads_to_one_object(
    cloud: CloudAccount, edge: Any, drop: str, value: Any
) -> None:
    edge.fault("POST *", drop=drop)
    with pytest.raises(OutcomeUnknownError):
        await cloud.execute(Create(value))
    if drop == "before":
        with pytest.raises(OutcomeUnknownError):
            await cloud.execute(Create(value))
        await cloud.execute(Create(value))
    with pytest.raises(AlreadyExistsError):
        await cloud.execute(Create(value))
    found = (
        *await cloud.monitors(fresh=True),
        *await cloud.pools(fresh=True),
        *await cloud.tunnels(fresh=True),
    )
    assert len(found) == 1


async def test_a_read_outlives_a_broken_connection(cloud: CloudAccount, edge: Any) -> None:
    edge.fault("GET *", drop="before")
    assert await cloud.pools() == ()


async def test_a_429_stops_the_token(cloud: CloudAccount, edge: Any) -> None:
    edge.fault("GET *", status=429, headers={"Retry-After": "60"})
    with pytest.raises(RateLimitedError):
        await cloud.pools()
    since = edge.control("GET", "calls")["last"]
    with pytest.raises(RateLimitedError) as stopped:
        await cloud.execute(Create(POOL))
    assert 55 < (stopped.value.retry_after_s or 0) <= 60
    assert edge.control("GET", "calls")["last"] == since


async def test_no_log_at_any_level_holds_the_token(edge: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with edge.open() as cloud:
        await cloud.verify()
        await cloud.pools()
    assert caplog.text
    assert edge.ready["api_token"] not in caplog.text
