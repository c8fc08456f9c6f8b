"""Cloudflare's own Python SDK does its work against the edge and cannot tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import cloudflare
import pytest
from cloudflare import AsyncCloudflare

from localedge.testing import FakeAnswer, FakeEdge
from localedge.tunnel.interface import TunnelRequest


@pytest.fixture
async def sdk(fake: FakeEdge) -> AsyncIterator[AsyncCloudflare]:
    async with AsyncCloudflare(
        api_token=fake.edge.full_token.value, base_url=fake.api, max_retries=0
    ) as client:
        yield client


@pytest.fixture
def account(fake: FakeEdge) -> str:
    return fake.edge.account.id


async def new_tunnel(sdk: AsyncCloudflare, account: str, name: str) -> str:
    tunnel = await sdk.zero_trust.tunnels.cloudflared.create(
        account_id=account, name=name, config_src="cloudflare"
    )
    assert tunnel.id is not None
    return tunnel.id


async def test_the_token_is_verified(sdk: AsyncCloudflare) -> None:
    verified = await sdk.user.tokens.verify()
    assert verified is not None
    assert verified.status == "active"


async def test_listings_end(sdk: AsyncCloudflare, account: str, fake: FakeEdge) -> None:
    for name in "abc":
        await new_tunnel(sdk, account, name)
    listed = sdk.zero_trust.tunnels.cloudflared.list(account_id=account, per_page=2)
    assert [tunnel.name async for tunnel in listed] == ["a", "b", "c"]
    assert [zone.name async for zone in sdk.zones.list(name="example.com")] == ["example.com"]
    for name in "abc":
        await sdk.dns.records.create(
            zone_id=fake.zone_id, type="TXT", name=f"{name}.example.com", content="x", ttl=1
        )
    records = sdk.dns.records.list(zone_id=fake.zone_id, per_page=2)
    assert [record.name async for record in records] == ["a.example.com", "b.example.com", "c.example.com"]


async def test_a_tunnel_lives_from_creation_to_deletion(
    sdk: AsyncCloudflare, account: str, fake: FakeEdge
) -> None:
    async def fine(_request: TunnelRequest) -> FakeAnswer:
        return FakeAnswer()

    tunnels = sdk.zero_trust.tunnels.cloudflared
    tunnel = await new_tunnel(sdk, account, "t")
    config = await tunnels.configurations.update(
        tunnel, account_id=account, config={"ingress": [{"hostname": "", "service": "http_status:404"}]}
    )
    assert config is not None
    assert config.version == 1
    assert len(await tunnels.token.get(tunnel, account_id=account)) > 100
    fake.tunnels.connect(tunnel, fine)
    clients = [client async for client in tunnels.connections.get(tunnel, account_id=account)]
    assert [len(client.conns or []) for client in clients] == [4]
    with pytest.raises(cloudflare.BadRequestError) as refused:
        await tunnels.delete(tunnel, account_id=account)
    assert refused.value.errors[0].code == 1022
    with pytest.raises(cloudflare.ConflictError) as taken:
        await new_tunnel(sdk, account, "t")
    assert taken.value.errors[0].code == 1013


async def test_load_balancing_lives_from_creation_to_deletion(
    sdk: AsyncCloudflare, account: str, fake: FakeEdge
) -> None:
    monitor = await sdk.load_balancers.monitors.create(
        account_id=account, type="https", expected_codes="2xx", header={"Host": ["my.example.com"]}
    )
    assert monitor.id is not None
    tunnel = await new_tunnel(sdk, account, "t")
    address = f"{tunnel}.cfargotunnel.com"
    pool = await sdk.load_balancers.pools.create(
        account_id=account,
        name="p",
        monitor=monitor.id,
        origins=[{"name": "o", "address": address, "header": {"host": ["my.example.com"]}}],
        extra_body={"check_regions": ["WNAM"]},
    )
    assert pool.id is not None
    assert pool.origins is not None
    assert pool.origins[0].header is not None
    assert pool.origins[0].header.host == ["my.example.com"]
    balancer = await sdk.load_balancers.create(
        zone_id=fake.zone_id,
        name="my.example.com",
        default_pools=[pool.id],
        fallback_pool=pool.id,
        proxied=True,
    )
    assert balancer.id is not None
    edited = await sdk.load_balancers.pools.edit(pool.id, account_id=account, enabled=False)
    assert (edited.enabled, edited.disabled_at is not None) == (False, True)
    listed = [p async for p in sdk.load_balancers.pools.list(account_id=account)]
    assert [p.id for p in listed] == [pool.id]
    references = sdk.load_balancers.pools.references.get(pool.id, account_id=account)
    assert {r.resource_type async for r in references} == {"load_balancer", "monitor"}
    with pytest.raises(cloudflare.APIStatusError) as in_use:
        await sdk.load_balancers.pools.delete(pool.id, account_id=account)
    assert in_use.value.status_code == 412
    await sdk.load_balancers.delete(balancer.id, zone_id=fake.zone_id)
    await sdk.load_balancers.pools.delete(pool.id, account_id=account)
    await sdk.load_balancers.monitors.delete(monitor.id, account_id=account)
    assert fake.edge.store.state.pools == {}


async def test_pool_health_is_a_map_of_places(sdk: AsyncCloudflare, account: str, fake: FakeEdge) -> None:
    monitor = await sdk.load_balancers.monitors.create(account_id=account, type="http", retries=0)
    assert monitor.id is not None
    pool = await sdk.load_balancers.pools.create(
        account_id=account,
        name="p",
        monitor=monitor.id,
        origins=[{"name": "o", "address": "127.9.0.1", "port": 9}],
        extra_body={"check_regions": ["WEU"]},
    )
    assert pool.id is not None
    async with asyncio.timeout(10):
        while fake.edge.book.health(pool.id, "127.9.0.1").last is None:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.005)
    health = await sdk.load_balancers.pools.health.get(pool.id, account_id=account)
    assert health is not None
    place = health.to_dict()["pop_health"]["Amsterdam, NL"]  # type: ignore[index] # the SDK models one object
    assert place["healthy"] is False


async def test_a_token_without_permission_is_told_so(fake: FakeEdge, account: str) -> None:
    async with AsyncCloudflare(
        api_token=fake.edge.read_only_token.value, base_url=fake.api, max_retries=0
    ) as reader:
        with pytest.raises(cloudflare.PermissionDeniedError) as denied:
            await new_tunnel(reader, account, "t")
    assert denied.value.errors[0].code == 10000
