"""Monitors at work: what is probed, how, and what the pool makes of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from localedge.clock import Clock
from localedge.options import EdgeOptions
from localedge.state.store import Lags
from localedge.testing import FakeAnswer, edge_with_fake_tunnels
from localedge.tunnel.ca import CertificateAuthority
from localedge.tunnel.interface import TunnelRequest

Client = Any
OriginOf = Callable[..., dict[str, Any]]


class Site:
    """An application whose answer can be changed."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b"alive"
        self.seen: list[TunnelRequest] = []

    async def __call__(self, request: TunnelRequest) -> FakeAnswer:
        """Answer a request through the tunnel."""
        self.seen.append(request)
        return FakeAnswer(self.status, self.body)


@asynccontextmanager
async def site_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def serve(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="alive")

    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
def clock() -> Clock:
    """Stop the edge's clock: probes come when a test says so."""
    return Clock(frozen=True)


async def health(client: Client, pool: str = "p") -> Any:
    return (await client.control("GET", "/health"))[pool]


async def rounds(client: Client, count: int, pool: str = "p") -> None:
    """Wait until so many probes of a pool have been made."""

    async def made() -> bool:
        entries = (await client.control("GET", "/probes"))["entries"]
        return len([e for e in entries if e["pool"] == pool]) >= count

    await client.until(made)


async def monitored(client: Client, site: Site, origin_of: OriginOf, **monitor: Any) -> tuple[str, Any]:
    tunnel = await client.tunnel("t")
    client.fake.tunnels.connect(tunnel, site)
    made = await client.monitor(**monitor)
    return tunnel, await client.pool("p", [origin_of("a", tunnel)], monitor=made["id"])


async def test_a_probe_comes_at_once_and_then_at_the_interval(
    client: Client, clock: Clock, origin_of: OriginOf
) -> None:
    site = Site()
    await monitored(client, site, origin_of)
    await rounds(client, 1)
    assert await health(client) == {"health": "healthy", "origins": {"a": True}}
    clock.step(59)
    await client.control("GET", "/health")
    assert len(site.seen) == 1
    clock.step(1)
    await rounds(client, 2)
    assert len(site.seen) == 2


async def test_a_probe_says_who_it_is_and_asks_for_the_origins_host(
    client: Client, origin_of: OriginOf
) -> None:
    site = Site()
    _, pool = await monitored(
        client, site, origin_of, path="/up?x", header={"Host": ["monitor.example.com"], "X-Probe": ["1"]}
    )
    await rounds(client, 1)
    request = site.seen[0]
    assert (request.authority, request.path) == ("my.example.com", "/up?x")
    fields = dict(request.headers)
    assert fields["x-probe"] == "1"
    assert fields["user-agent"] == (
        "Mozilla/5.0 (compatible; Cloudflare-Traffic-Manager/1.0; "
        f"+https://www.cloudflare.com/traffic-manager/; pool-id: {pool['id'][:16]})"
    )


@pytest.mark.parametrize(
    ("header", "host"), [({"Host": ["monitor.example.com"]}, "monitor.example.com"), ({}, None)]
)
async def test_without_the_origins_own_host_the_monitors_and_then_the_address_is_sent(
    client: Client, header: dict[str, Any], host: str | None
) -> None:
    site = Site()
    tunnel = await client.tunnel("t")
    client.fake.tunnels.connect(tunnel, site)
    monitor = await client.monitor(header=header)
    origin = {"name": "a", "address": f"{tunnel}.cfargotunnel.com"}
    await client.pool("p", [origin], monitor=monitor["id"])
    await rounds(client, 1)
    assert site.seen[0].authority == host or site.seen[0].authority == origin["address"]


async def test_a_bad_answer_takes_the_origin_out_and_a_good_one_brings_it_back(
    client: Client, clock: Clock, origin_of: OriginOf
) -> None:
    site = Site()
    _, pool = await monitored(client, site, origin_of, consecutive_down=2, consecutive_up=2)
    await rounds(client, 1)
    assert (await health(client))["origins"] == {"a": None}
    for count, (status, verdict) in enumerate(
        [(200, True), (503, True), (503, False), (200, False), (200, True)], start=2
    ):
        site.status = status
        clock.step(60)
        await rounds(client, count)
        assert (await health(client))["origins"] == {"a": verdict}
    path = f"{client.fake.account_path}/load_balancers/pools/{pool['id']}/health"
    told = (await client.ok("GET", path))["pop_health"]["San Jose, CA"]
    assert told["healthy"] is True
    [answer] = told["origins"][0].values()
    assert (answer["failure_reason"], answer["response_code"]) == ("No failures", 200)


async def test_the_pools_are_listed_with_their_health(client: Client, origin_of: OriginOf) -> None:
    site = Site()
    site.status = 500
    _, pool = await monitored(client, site, origin_of)
    assert pool["healthy"] is None
    await rounds(client, 1)
    [listed] = await client.ok("GET", f"{client.fake.account_path}/load_balancers/pools")
    assert (listed["healthy"], listed["origins"][0]["healthy"]) == (False, False)


async def test_the_verdict_of_a_disabled_origin_is_forgotten(client: Client, origin_of: OriginOf) -> None:
    site = Site()
    tunnel, pool = await monitored(client, site, origin_of)
    await rounds(client, 1)
    path = f"{client.fake.account_path}/load_balancers/pools/{pool['id']}"
    await client.ok("PATCH", path, {"origins": [origin_of("a", tunnel, enabled=False)]})

    async def forgotten() -> bool:
        return (await health(client))["origins"] == {"a": None}

    await client.until(forgotten)
    site.status = 500
    await client.ok("PATCH", path, {"origins": [origin_of("a", tunnel)]})
    await rounds(client, 2)
    assert (await health(client))["origins"] == {"a": False}


async def test_a_tunnel_without_connection_fails_with_the_code_530(
    client: Client, origin_of: OriginOf
) -> None:
    monitor = await client.monitor()
    pool = await client.pool("p", [origin_of("a", await client.tunnel("t"))], monitor=monitor["id"])
    await rounds(client, 1)
    path = f"{client.fake.account_path}/load_balancers/pools/{pool['id']}/health"
    [answer] = (await client.ok("GET", path))["pop_health"]["San Jose, CA"]["origins"][0].values()
    assert (answer["healthy"], answer["response_code"]) == (False, 530)
    assert answer["failure_reason"] == "Response code mismatch error"


async def test_time_outs_alone_are_retried_at_once(client: Client, origin_of: OriginOf) -> None:
    calls = {"slow": 0, "wrong": 0}

    async def slow(_request: TunnelRequest) -> FakeAnswer:
        calls["slow"] += 1
        if calls["slow"] <= 2:
            await asyncio.Event().wait()
        return FakeAnswer()

    async def wrong(_request: TunnelRequest) -> FakeAnswer:
        calls["wrong"] += 1
        return FakeAnswer(404)

    origins = []
    for name, application in (("slow", slow), ("wrong", wrong)):
        tunnel = await client.tunnel(name)
        client.fake.tunnels.connect(tunnel, application)
        origins.append(origin_of(name, tunnel))
    monitor = await client.monitor(timeout=1, retries=2)
    await client.pool("p", origins, monitor=monitor["id"])
    await rounds(client, 2)
    assert calls == {"slow": 3, "wrong": 1}
    assert (await health(client))["origins"] == {"slow": True, "wrong": False}


async def test_a_tcp_monitor_never_makes_a_tunnel_healthy(client: Client, origin_of: OriginOf) -> None:
    async with site_server() as port:
        tunnel = await client.tunnel("t")
        client.fake.tunnels.connect(tunnel, Site())
        path = f"{client.fake.account_path}/load_balancers/monitors"
        monitor = await client.ok("POST", path, {"type": "tcp", "port": port})
        origins = [origin_of("tunnel", tunnel), {"name": "address", "address": "127.0.0.1"}]
        await client.pool("p", origins, monitor=monitor["id"])
        await rounds(client, 2)
        assert (await health(client))["origins"] == {"tunnel": False, "address": True}


async def test_traffic_falls_back_below_the_threshold_and_returns_by_itself(
    client: Client, clock: Clock, origin_of: OriginOf
) -> None:
    sites = {name: Site() for name in ("a", "b", "f")}
    origins = {}
    for name, site in sites.items():
        site.body = name.encode()
        tunnel = await client.tunnel(name)
        client.fake.tunnels.connect(tunnel, site)
        origins[name] = origin_of(name, tunnel)
    monitor = await client.monitor()
    pool = await client.pool("p", [origins["a"], origins["b"]], monitor=monitor["id"], minimum_origins=2)
    fallback = await client.pool("f", [origins["f"]])
    await client.balancer([pool["id"]], fallback["id"])
    await rounds(client, 2)
    assert (await client.visit("my.example.com")).text in {"a", "b"}
    sites["a"].status = 500
    clock.step(60)
    await rounds(client, 4)
    assert (await client.visit("my.example.com")).text == "f"
    sites["a"].status = 200
    clock.step(60)
    await rounds(client, 6)
    assert (await client.visit("my.example.com")).text in {"a", "b"}
    entries = (await client.control("GET", "/requests"))["entries"]
    assert [e["on_fallback"] for e in entries] == [False, True, False]


@pytest.mark.parametrize(("allow_insecure", "healthy"), [(True, True), (False, False)])
async def test_an_https_monitor_checks_the_certificate_of_an_address_unless_told_otherwise(
    allow_insecure: bool, healthy: bool
) -> None:
    tls = CertificateAuthority().https_context(["127.0.0.1"])
    options = EdgeOptions(Path(), lags=Lags(0, 0, 0))
    async with (
        site_server(tls) as port,
        edge_with_fake_tunnels(options) as fake,
        httpx.AsyncClient(base_url=fake.api, headers=dict(fake.headers)) as http,
    ):
        base = f"{fake.account_path}/load_balancers"
        monitor = (
            await http.post(f"{base}/monitors", json={"type": "https", "allow_insecure": allow_insecure})
        ).json()["result"]["id"]
        origins = [{"name": "a", "address": "127.0.0.1", "port": port}]
        body = {"name": "p", "origins": origins, "check_regions": ["WNAM"], "monitor": monitor}
        pool = (await http.post(f"{base}/pools", json=body)).json()["result"]["id"]
        async with asyncio.timeout(10):
            while fake.edge.book.health(pool, "127.0.0.1").healthy is None:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.005)
        known = fake.edge.book.health(pool, "127.0.0.1")
        assert known.healthy is healthy
        assert known.last is not None
        assert known.last.failure == (None if healthy else "TLS untrusted certificate error")
