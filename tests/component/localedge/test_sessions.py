"""Session affinity, drain and zero-downtime failover, as visitors meet them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from localedge.clock import Clock
from localedge.options import EdgeOptions
from localedge.plan import PlanName
from localedge.state.store import Lags
from localedge.testing import Application, FakeAnswer
from localedge.tunnel.interface import TunnelRequest

Client = Any
OriginOf = Callable[..., dict[str, Any]]
HOST = "my.example.com"


@pytest.fixture
def clock() -> Clock:
    return Clock(frozen=True)


def saying(name: str) -> Application:
    async def application(_request: TunnelRequest) -> FakeAnswer:
        return FakeAnswer(body=name.encode())

    return application


async def pair(client: Client, origin_of: OriginOf, *, affinity: str = "cookie", **attributes: Any) -> Any:
    """Make a pool of two tunnels `a` and `b` that say their names, and a load balancer over it."""
    origins = []
    for name in "ab":
        tunnel = await client.tunnel(name)
        client.fake.tunnels.connect(tunnel, saying(name))
        origins.append(origin_of(name, tunnel))
    pool = await client.pool("p", origins)
    await client.balancer([pool["id"]], session_affinity=affinity, session_affinity_attributes=attributes)
    return pool


async def switch(client: Client, pool: Any, name: str, **fields: Any) -> None:
    path = f"{client.fake.account_path}/load_balancers/pools/{pool['id']}"
    origins = (await client.ok("GET", path))["origins"]
    changed = [{**origin, **fields} if origin["name"] == name else origin for origin in origins]
    await client.ok("PATCH", path, {"origins": changed})


async def visit(client: Client, cookie: str | None = None, **headers: str) -> tuple[str, str | None]:
    """Visit; returns what answered and the session that was set."""
    sent = {**headers, **({} if cookie is None else {"Cookie": f"x=1; __cflb={cookie}"})}
    client.http.cookies.clear()
    answer = await client.visit(HOST, headers=sent)
    assert answer.status_code == 200, answer.text
    said = answer.headers.get("set-cookie")
    return answer.text, None if said is None else SimpleCookie(said)["__cflb"].value


async def sessions(client: Client) -> list[str | None]:
    return [e["session"] for e in (await client.control("GET", "/requests"))["entries"]]


async def test_a_cookie_keeps_a_visitor_with_its_origin(client: Client, origin_of: OriginOf) -> None:
    await pair(client, origin_of)
    first, cookie = await visit(client)
    assert cookie is not None
    assert [await visit(client, cookie) for _ in range(20)] == [(first, None)] * 20
    assert await sessions(client) == ["new", *["held"] * 20]
    assert {(await visit(client))[0] for _ in range(40)} == {"a", "b"}


async def test_the_cookie_is_what_its_attributes_say(client: Client, origin_of: OriginOf) -> None:
    await pair(client, origin_of)
    answer = await client.visit(HOST)
    morsel = SimpleCookie(answer.headers["set-cookie"])["__cflb"]
    assert (morsel["samesite"], morsel["secure"], morsel["httponly"], morsel["path"]) == (
        "Lax",
        "",
        True,
        "/",
    )
    expires = parsedate_to_datetime(morsel["expires"]).timestamp()
    assert expires == pytest.approx(client.fake.edge.clock.epoch() + 82_800, abs=1)
    balancers = f"{client.fake.zone_path}/load_balancers"
    balancer = (await client.ok("GET", balancers))[0]
    assert balancer["session_affinity_ttl"] == 82_800
    for samesite, secure, expected in (
        ("None", "Auto", ("None", True)),
        ("Strict", "Never", ("Strict", "")),
        ("Auto", "Always", ("Lax", True)),
    ):
        patch = {"session_affinity_attributes": {"samesite": samesite, "secure": secure}}
        await client.ok("PATCH", f"{balancers}/{balancer['id']}", patch)
        client.http.cookies.clear()
        morsel = SimpleCookie((await client.visit(HOST)).headers["set-cookie"])["__cflb"]
        assert (morsel["samesite"], morsel["secure"]) == expected


async def test_a_disabled_origin_keeps_its_sessions_for_drain_duration(
    client: Client, clock: Clock, origin_of: OriginOf
) -> None:
    pool = await pair(client, origin_of, drain_duration=60)
    first, cookie = await visit(client)
    other = "ab".replace(first, "")
    await switch(client, pool, first, enabled=False)
    assert {(await visit(client))[0] for _ in range(10)} == {other}
    clock.step(59)
    assert await visit(client, cookie) == (first, None)
    clock.step(2)
    moved, fresh = await visit(client, cookie)
    assert moved == other
    assert fresh not in {None, cookie}
    assert await visit(client, fresh) == (other, None)


async def test_without_drain_duration_a_disabled_origin_is_left_at_once(
    client: Client, origin_of: OriginOf
) -> None:
    pool = await pair(client, origin_of)
    first, cookie = await visit(client)
    await switch(client, pool, first, enabled=False)
    assert (await visit(client, cookie))[0] != first


async def test_an_unhealthy_origin_loses_its_sessions_or_lends_them(
    client: Client, origin_of: OriginOf
) -> None:
    pool = await pair(client, origin_of)
    monitor = await client.monitor(retries=0, interval=3600)
    one = f"{client.fake.account_path}/load_balancers/pools/{pool['id']}"
    await client.ok("PATCH", one, {"monitor": monitor["id"]})

    async def healthy() -> bool:
        return all((await client.control("GET", "/health"))["p"]["origins"].values())

    await client.until(healthy)
    first, cookie = await visit(client)
    await client.control("PUT", "/pretend/health", {"pool": "p", "origin": first, "healthy": False})
    moved, fresh = await visit(client, cookie)
    assert (moved != first, fresh is not None) == (True, True)
    balancers = f"{client.fake.zone_path}/load_balancers"
    balancer = (await client.ok("GET", balancers))[0]
    patch = {"session_affinity_attributes": {"zero_downtime_failover": "temporary"}}
    await client.ok("PATCH", f"{balancers}/{balancer['id']}", patch)
    assert await visit(client, cookie) == (moved, None)
    await client.control("DELETE", "/pretend")
    assert await visit(client, cookie) == (first, None)
    assert (await sessions(client))[-2:] == ["away", "held"]


@asynccontextmanager
async def addresses(client: Client, failover: str) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Make a pool of two address origins; the first to be visited can be ended."""

    async def named(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        return web.Response(
            text=request.transport.get_extra_info("sockname")[0], headers={"Connection": "close"}
        )

    runners = {}
    port = 0
    for host in ("127.0.0.2", "127.0.0.3"):
        runner = web.ServerRunner(web.Server(named), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        port = runner.addresses[0][1]
        runners[host] = runner
    pool = await client.pool("p", [{"name": h, "address": h, "port": port} for h in runners])
    await client.balancer(
        [pool["id"]],
        session_affinity="cookie",
        session_affinity_attributes={"zero_downtime_failover": failover},
    )
    try:
        yield lambda host: runners[host].cleanup()
    finally:
        for runner in runners.values():
            await runner.cleanup()


@pytest.mark.parametrize("failover", ["none", "temporary", "sticky"])
async def test_zero_downtime_failover_moves_sessions_as_it_says(client: Client, failover: str) -> None:
    async with addresses(client, failover) as end:
        first, cookie = await visit(client)
        await end(first)
        answer = await client.visit(HOST, headers={"Cookie": f"__cflb={cookie}"})
        if failover == "none":
            assert answer.status_code == 521
            return
        assert answer.status_code == 200
        assert answer.text != first
        assert ("set-cookie" in answer.headers) is (failover == "sticky")


async def test_a_session_by_header_lives_by_its_last_use(
    client: Client, clock: Clock, origin_of: OriginOf
) -> None:
    await pair(client, origin_of, affinity="header", headers=["X-Session"])
    origins = {}
    for name in ("one", "two", "three", "four"):
        origins[name], cookie = await visit(client, **{"X-Session": name})
        assert cookie is None
    clock.step(1799)
    for name, origin in origins.items():
        assert {(await visit(client, **{"x-session": name}))[0] for _ in range(5)} == {origin}
    clock.step(1799)
    assert (await visit(client, **{"X-Session": "one"}))[0] == origins["one"]
    assert {(await visit(client))[0] for _ in range(40)} == {"a", "b"}
    assert (await sessions(client))[-1] is None
    clock.step(1801)
    await visit(client, **{"X-Session": "one"})
    assert (await sessions(client))[-1] == "new"


@pytest.mark.parametrize(
    "options", [EdgeOptions(Path(), lags=Lags(0, 0, 0), seed=1, plan=PlanName.ENTERPRISE)], ids=["enterprise"]
)
async def test_all_headers_are_needed_where_that_is_said_and_cookies_may_be_headers(
    client: Client, origin_of: OriginOf
) -> None:
    await pair(client, origin_of, affinity="header", headers=["X-A", "cookie:b,c"], require_all_headers=True)
    await visit(client, **{"X-A": "1"})
    await visit(client, **{"X-A": "1", "Cookie": "d=2; b=3"})
    await visit(client, **{"X-A": "1", "Cookie": "b=3"})
    assert await sessions(client) == [None, "new", "held"]


async def test_sessions_of_a_pool_that_sheds_them_all_go_elsewhere(
    client: Client, origin_of: OriginOf
) -> None:
    pool = await pair(client, origin_of)
    _, cookie = await visit(client)
    spare = await client.tunnel("spare")
    client.fake.tunnels.connect(spare, saying("spare"))
    other = await client.pool("q", [origin_of("spare", spare)])
    balancers = f"{client.fake.zone_path}/load_balancers"
    balancer = (await client.ok("GET", balancers))[0]
    await client.ok("PATCH", f"{balancers}/{balancer['id']}", {"default_pools": [pool["id"], other["id"]]})
    one = f"{client.fake.account_path}/load_balancers/pools/{pool['id']}"
    await client.ok("PATCH", one, {"load_shedding": {"session_percent": 100, "default_percent": 100}})
    assert (await visit(client, cookie))[0] == "spare"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"session_affinity": "cookie", "session_affinity_ttl": 60},
            "session_affinity_ttl is not in range [1800, 604800]",
        ),
        (
            {"session_affinity": "header", "session_affinity_attributes": {"headers": ["a", "b"]}},
            "session_affinity_attributes.headers must not hold more than 1 entries",
        ),
        (
            {"session_affinity": "header"},
            "session_affinity_attributes.headers must not be empty",
        ),
        (
            {"session_affinity_attributes": {"samesite": "None", "secure": "Never"}},
            "session_affinity_attributes.secure must not be Never where samesite is None",
        ),
        (
            {
                "session_affinity": "header",
                "session_affinity_attributes": {"headers": ["a"], "zero_downtime_failover": "sticky"},
            },
            "zero_downtime_failover sticky is not for session affinity by header",
        ),
        (
            {"session_affinity": "cookie", "proxied": False},
            "session_affinity is for proxied load balancers",
        ),
    ],
)
async def test_affinity_that_cannot_be_is_refused(
    client: Client, fields: dict[str, Any], message: str
) -> None:
    pool = await client.pool("p", [{"name": "a", "address": "127.9.0.1"}])
    body = {
        "name": HOST,
        "proxied": True,
        "default_pools": [pool["id"]],
        "fallback_pool": pool["id"],
        **fields,
    }
    path = f"{client.fake.zone_path}/load_balancers"
    assert await client.refused("POST", path, body) == (400, 1002, f"{message}: validation failed")
