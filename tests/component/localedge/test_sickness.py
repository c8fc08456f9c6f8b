"""A Cloudflare that is stale, sick or tired of its caller, and writers that race."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from localedge.clock import Clock
from localedge.options import EdgeOptions
from localedge.state.store import Lags
from localedge.testing import FakeAnswer
from localedge.tunnel.interface import TunnelRequest

Client = Any
Options = EdgeOptions


@pytest.fixture
def clock() -> Clock:
    return Clock(frozen=True)


def pools(client: Client) -> str:
    return f"{client.fake.account_path}/load_balancers/pools"


def address(name: str, number: int) -> dict[str, str]:
    return {"name": name, "address": f"127.9.0.{number}"}


async def fine(_request: TunnelRequest) -> FakeAnswer:
    return FakeAnswer()


async def held(client: Client, count: int) -> None:
    async def enough() -> bool:
        waiting: int = (await client.control("GET", "/faults"))["waiting"]
        return waiting == count

    await client.until(enough)


async def test_a_stale_listing_tells_what_was_stored_then(client: Client, clock: Clock) -> None:
    await client.pool("old", [address("a", 1)])
    clock.step(10)
    made = await client.pool("new", [address("b", 2)])
    await client.control("POST", "/faults", {"route": "GET */pools", "stale_s": 5, "times": 1})
    assert [p["name"] for p in await client.ok("GET", pools(client))] == ["old"]
    assert [p["name"] for p in await client.ok("GET", pools(client))] == ["old", "new"]
    await client.control("POST", "/faults", {"route": "GET */{pool_id}", "stale_s": 5, "times": 1})
    one = f"{pools(client)}/{made['id']}"
    assert (await client.refused("GET", one))[:2] == (404, 1001)
    clock.step(5)
    await client.control("POST", "/faults", {"route": "GET */pools", "stale_s": 5})
    assert [p["name"] for p in await client.ok("GET", pools(client))] == ["old", "new"]


async def test_what_is_served_stale_can_be_written_all_the_same(client: Client, clock: Clock) -> None:
    pool = await client.pool("p", [address("a", 1)], description="then")
    clock.step(10)
    await client.control("POST", "/faults", {"route": "* */pools*", "stale_s": 5})
    one = f"{pools(client)}/{pool['id']}"
    assert (await client.ok("PATCH", one, {"description": "now"}))["description"] == "now"
    assert (await client.ok("GET", one))["description"] == "then"
    await client.control("DELETE", "/faults")
    assert (await client.ok("GET", one))["description"] == "now"


async def test_two_writers_that_have_both_read_lose_one_entry(client: Client) -> None:
    pool = await client.pool("p", [address("a", 1)])
    one = f"{pools(client)}/{pool['id']}"
    await client.control("POST", "/faults", {"route": f"PATCH {one}", "hold": 2})
    for _ in range(3):
        await client.ok("PUT", one, {"name": "p", "origins": [address("a", 1)], "check_regions": ["WNAM"]})

        async def add(origin: dict[str, str]) -> None:
            origins = (await client.ok("GET", one))["origins"]
            await client.ok("PATCH", one, {"origins": [*origins, origin]})

        first = asyncio.create_task(add(address("b", 2)))
        await held(client, 1)
        assert len((await client.ok("GET", one))["origins"]) == 1
        await asyncio.gather(first, add(address("c", 3)))
        left = {origin["name"] for origin in (await client.ok("GET", one))["origins"]}
        assert left in ({"a", "b"}, {"a", "c"})


async def test_a_call_that_waits_alone_goes_on_after_a_while(client: Client, clock: Clock) -> None:
    pool = await client.pool("p", [address("a", 1)])
    one = f"{pools(client)}/{pool['id']}"
    fault = {"route": "PATCH *", "hold": 2, "hold_timeout_s": 4}
    await client.control("POST", "/faults", fault)
    alone = asyncio.create_task(client.ok("PATCH", one, {"description": "x"}))
    await held(client, 1)
    clock.step(3.9)
    await held(client, 1)
    clock.step(0.1)
    assert (await alone)["description"] == "x"
    await held(client, 0)
    again = asyncio.create_task(client.ok("PATCH", one, {"description": "y"}))
    await held(client, 1)
    assert not again.done()
    await client.control("DELETE", "/faults")
    assert (await again)["description"] == "y"


@pytest.mark.parametrize(
    "options", [EdgeOptions(Path(), lags=Lags(0, 0, 0), seed=1, rate_limit=3)], ids=["three calls"]
)
async def test_a_token_that_calls_too_often_is_shut_out_for_five_minutes(
    client: Client, clock: Clock, options: Options
) -> None:
    del options
    assert (await client.raw("GET", pools(client))).headers["ratelimit"] == '"default";r=2;t=300'
    clock.step(100)
    for left in (1, 0):
        answer = await client.raw("GET", pools(client))
        assert answer.headers["ratelimit"] == f'"default";r={left};t=200'
    assert answer.headers["ratelimit-policy"] == '"default";q=3;w=300'
    limited = await client.raw("GET", pools(client))
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "300")
    assert limited.json()["errors"][0]["code"] == 10013
    other = await client.control("POST", "/tokens", {"permissions": ["Zone Read"]})
    await client.ok("GET", "/zones", headers={"Authorization": f"Bearer {other['token']}"})
    clock.step(299)
    assert (await client.raw("GET", pools(client))).headers["retry-after"] == "1"
    clock.step(1)
    assert (await client.raw("GET", pools(client))).status_code == 200


async def test_a_fault_lasts_as_long_as_it_says(client: Client, clock: Clock) -> None:
    await client.control("POST", "/faults", {"route": "* *", "status": 429, "for_s": 60})
    for _ in range(3):
        assert (await client.raw("GET", pools(client))).status_code == 429
        clock.step(19)
    clock.step(3)
    await client.ok("GET", pools(client))
    assert await client.control("GET", "/faults") == {"faults": [], "waiting": 0}


async def test_the_limit_is_cloudflares_own_and_can_be_lifted(client: Client) -> None:
    assert await client.control("GET", "/rate_limit") == {"calls": 1200, "window_s": 300}
    await client.control("PUT", "/rate_limit", {"calls": 1})
    await client.ok("GET", pools(client))
    assert (await client.raw("GET", pools(client))).status_code == 429
    assert (await client.control("PUT", "/rate_limit", {"calls": 0}))["calls"] == 0
    answer = await client.raw("GET", pools(client))
    assert (answer.status_code, "ratelimit" in answer.headers) == (200, False)


async def test_a_sick_api_calls_connected_tunnels_down(client: Client) -> None:
    base = f"{client.fake.account_path}/cfd_tunnel"
    never = await client.tunnel("never")
    running = [await client.tunnel(name) for name in "ab"]
    for tunnel in running:
        client.fake.tunnels.connect(tunnel, fine)

    async def told() -> dict[str, str]:
        return {t["name"]: t["status"] for t in await client.ok("GET", base)}

    healthy = {"never": "inactive", "a": "healthy", "b": "healthy"}
    assert await told() == healthy
    await client.control("PUT", "/pretend/tunnels", {"status": "down"})
    assert await told() == {"never": "inactive", "a": "down", "b": "down"}
    listed = await client.ok("GET", f"{base}?status=down")
    assert {t["conns_active_at"] for t in listed} == {None}
    assert await client.ok("GET", f"{base}/{running[0]}/connections") == []
    assert (await client.refused("DELETE", f"{base}/{running[0]}"))[1] == 1022
    await client.control("PUT", "/pretend/tunnels", {"status": "down", "ids": [running[0], never]})
    assert await told() == healthy | {"a": "down"}
    await client.control("DELETE", "/pretend")
    assert await told() == healthy


async def test_what_is_called_down_serves_all_the_same(client: Client) -> None:
    tunnel = await client.tunnel("t")
    client.fake.tunnels.connect(tunnel, fine)
    pool = await client.pool("p", [{"name": "a", "address": f"{tunnel}.cfargotunnel.com"}])
    await client.balancer([pool["id"]])
    await client.control("PUT", "/pretend/tunnels", {"status": "down"})
    assert (await client.visit("my.example.com")).status_code == 200


async def test_health_flaps_on_demand(client: Client, clock: Clock) -> None:
    tunnel = await client.tunnel("t")
    client.fake.tunnels.connect(tunnel, fine)
    monitor = await client.monitor(retries=0, interval=3600)
    origin = {"name": "a", "address": f"{tunnel}.cfargotunnel.com"}
    await client.pool("p", [origin], monitor=monitor["id"])

    async def told() -> bool | None:
        listed = (await client.ok("GET", pools(client)))[0]
        assert listed["origins"][0].get("healthy") == listed["healthy"]
        healthy: bool | None = listed["healthy"]
        return healthy

    async def probed() -> bool:
        return await told() is True

    await client.until(probed)
    await client.control("PUT", "/pretend/health", {"pool": "p", "origin": "a", "flap_s": 10})
    seen = []
    for _ in range(4):
        seen.append(await told())
        clock.step(10)
    assert seen == [False, True, False, True]
    await client.control("PUT", "/pretend/health", {"pool": "p", "origin": "a", "healthy": False})
    clock.step(10)
    assert await told() is False
    await client.control("DELETE", "/pretend")
    assert await told() is True


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"pool": "p", "origin": "a"}, "one of healthy and flap_s is required"),
        ({"pool": "q", "origin": "a", "healthy": True}, "there is no pool q"),
        ({"pool": "p", "origin": "b", "healthy": True}, "pool p has no origin b"),
    ],
)
async def test_a_pretence_about_nothing_is_refused(
    client: Client, body: dict[str, Any], message: str
) -> None:
    await client.pool("p", [address("a", 1)])
    url = f"http://127.0.0.1:{client.fake.ports.api}/_edge/pretend/health"
    answer = await client.http.put(url, json=body)
    assert (answer.status_code, answer.json()) == (400, {"error": message})
