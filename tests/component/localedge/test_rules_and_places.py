"""Steering by place and by load, rules, and names that only DNS answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localedge.balance.visitor import Visitor
from localedge.options import EdgeOptions
from localedge.plan import PlanName
from localedge.state.store import Lags
from localedge.testing import FakeAnswer
from localedge.tunnel.interface import TunnelRequest

Client = Any
OriginOf = Callable[..., dict[str, Any]]
HOST = "my.example.com"
ENTERPRISE = pytest.mark.parametrize(
    "options", [EdgeOptions(Path(), lags=Lags(0, 0, 0), seed=1, plan=PlanName.ENTERPRISE)], ids=["enterprise"]
)


async def pool_saying(client: Client, origin_of: OriginOf, name: str) -> str:
    """Make a pool of one tunnel that says the pool's name."""

    async def application(_request: TunnelRequest) -> FakeAnswer:
        return FakeAnswer(body=name.encode())

    tunnel = await client.tunnel(name)
    client.fake.tunnels.connect(tunnel, application)
    pool_id: str = (await client.pool(name, [origin_of(name, tunnel)]))["id"]
    return pool_id


def balancers(client: Client) -> str:
    return f"{client.fake.zone_path}/load_balancers"


def body_of(pool: str, **fields: Any) -> dict[str, Any]:
    return {"name": HOST, "proxied": True, "default_pools": [pool], "fallback_pool": pool, **fields}


@ENTERPRISE
async def test_a_visitor_is_steered_by_the_place_that_it_tells(client: Client, origin_of: OriginOf) -> None:
    ids = {name: await pool_saying(client, origin_of, name) for name in ("default", "gb", "weu", "lhr")}
    balancer = await client.balancer(
        [ids["default"]],
        country_pools={"GB": [ids["gb"]]},
        region_pools={"WEU": [ids["weu"]]},
        pop_pools={"AMS": [ids["lhr"]]},
    )
    assert balancer["steering_policy"] == "geo"

    async def serves(**place: str) -> str:
        answer = await client.visit(HOST, headers={f"x-localedge-{k}": v for k, v in place.items()})
        text: str = answer.text
        return text

    assert await serves() == "default"
    assert await serves(region="WEU") == "weu"
    assert await serves(region="WEU", country="gb") == "gb"
    assert await serves(region="WEU", country="GB", colo="AMS") == "lhr"
    sent = dict(client.fake.tunnels.requests[-1].headers)
    assert sent["cf-ipcountry"] == "GB"
    assert not [name for name in sent if name.startswith("x-localedge")]
    entry = (await client.control("GET", "/requests"))["entries"][-1]
    assert entry["colo"] == "AMS"
    path = f"{client.fake.account_path}/load_balancers/pools/{ids['gb']}"
    assert (await client.refused("DELETE", path))[:2] == (412, 1005)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"region_pools": {"WEU": ["x"]}}, "region_pools is not allowed with this subscription"),
        ({"steering_policy": "geo"}, "steering_policy geo is not allowed with this subscription"),
    ],
)
async def test_geo_steering_is_not_in_every_plan(
    client: Client, fields: dict[str, Any], message: str
) -> None:
    pool = await client.pool("p", [{"name": "a", "address": "127.9.0.1"}])
    refused = await client.refused("POST", balancers(client), body_of(pool["id"], **fields))
    assert refused == (400, 1002, f"{message}: validation failed")


@ENTERPRISE
@pytest.mark.parametrize("places", [{"region_pools": {"MARS": ["x"]}}, {"country_pools": {"gb": ["x"]}}])
async def test_a_place_that_is_none_is_refused(client: Client, places: dict[str, Any]) -> None:
    pool = await client.pool("p", [{"name": "a", "address": "127.9.0.1"}])
    refused = await client.refused("POST", balancers(client), body_of(pool["id"], **places))
    assert refused[:2] == (400, 1002)
    assert "is not a valid code" in refused[2]


async def test_steering_by_connections_is_refused(client: Client) -> None:
    body = {
        "name": "p",
        "origins": [{"name": "a", "address": "127.9.0.1"}],
        "check_regions": ["WNAM"],
        "origin_steering": {"policy": "least_connections"},
    }
    path = f"{client.fake.account_path}/load_balancers/pools"
    message = "origin_steering.policy 'least_connections' is not emulated by the local edge"
    assert await client.refused("POST", path, body) == (400, 99001, message)


async def test_requests_under_way_are_counted_until_their_answer_has_ended(
    client: Client, origin_of: OriginOf
) -> None:
    release = asyncio.Event()
    arrived: list[str] = []

    async def slow(request: TunnelRequest) -> FakeAnswer:
        arrived.append(request.path)
        await release.wait()
        return FakeAnswer()

    origins = []
    for name in ("slow", "quick"):
        tunnel = await client.tunnel(name)
        client.fake.tunnels.connect(tunnel, slow)
        origins.append(origin_of(name, tunnel))
    pool = await client.pool("p", origins, origin_steering={"policy": "least_outstanding_requests"})
    await client.balancer([pool["id"]])
    visits = [asyncio.create_task(client.visit(HOST, f"/{n}")) for n in range(60)]
    async with asyncio.timeout(10):
        while len(arrived) < 60:  # noqa: ASYNC110 - the edge tells nobody of requests under way
            await asyncio.sleep(0.01)
    counted = [
        client.fake.edge.origins.outstanding(pool["id"], origin["address"]) for origin in pool["origins"]
    ]
    assert sum(counted) == 60
    assert max(counted) <= 36
    release.set()
    assert {answer.status_code for answer in await asyncio.gather(*visits)} == {200}
    assert [client.fake.edge.origins.outstanding(pool["id"], o["address"]) for o in origins] == [0, 0]


def rule(condition: str, **fields: Any) -> dict[str, Any]:
    return {"name": condition or "always", "condition": condition, **fields}


async def test_a_rule_sends_some_requests_to_another_pool(client: Client, origin_of: OriginOf) -> None:
    main, api = [await pool_saying(client, origin_of, name) for name in ("main", "api")]
    made = await client.balancer(
        [main],
        rules=[
            rule(
                'http.host == "my.example.com" and starts_with(http.request.uri.path, "/api/")',
                overrides={"default_pools": [api], "fallback_pool": api},
            )
        ],
    )
    assert (made["rules"][0]["priority"], made["rules"][0]["terminates"]) == (0, False)
    assert (await client.visit(HOST, "/")).text == "main"
    assert (await client.visit(HOST, "/api/x")).text == "api"
    entry = (await client.control("GET", "/requests"))["entries"][-1]
    assert entry["rules"] == [made["rules"][0]["name"]]
    path = f"{client.fake.account_path}/load_balancers/pools/{api}"
    assert (await client.refused("DELETE", path))[:2] == (412, 1005)
    balancer = f"{balancers(client)}/{made['id']}"
    off = [{**made["rules"][0], "disabled": True}]
    await client.ok("PATCH", balancer, {"rules": off})
    assert (await client.visit(HOST, "/api/x")).text == "main"


async def test_a_rule_answers_by_itself(client: Client, origin_of: OriginOf) -> None:
    main = await pool_saying(client, origin_of, "main")
    fixed = {
        "message_body": "<p>moved</p>",
        "status_code": 302,
        "content_type": "text/html; charset=utf-8",
        "location": "https://example.com/",
    }
    made = await client.balancer(
        [main], rules=[rule('http.request.uri.path contains "/old"', fixed_response=fixed)]
    )
    assert made["rules"][0]["terminates"] is True
    answer = await client.visit(HOST, "/old/page")
    assert (answer.status_code, answer.text) == (302, "<p>moved</p>")
    assert answer.headers["location"] == "https://example.com/"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert client.fake.tunnels.requests == []
    assert (await client.visit(HOST, "/")).text == "main"


@ENTERPRISE
async def test_rules_run_by_priority_until_one_ends_it(client: Client, origin_of: OriginOf) -> None:
    ids = [await pool_saying(client, origin_of, name) for name in ("main", "first", "second", "third")]

    def to(pool: str) -> dict[str, Any]:
        return {"default_pools": [pool]}

    rules = [
        rule("", priority=30, overrides=to(ids[3])),
        rule('http.request.uri.query == "end"', priority=20, overrides=to(ids[2]), terminates=True),
        rule('http.request.uri.path == "/x"', priority=10, overrides=to(ids[1])),
    ]
    await client.balancer([ids[0]], rules=rules)
    assert (await client.visit(HOST, "/x")).text == "third"
    assert (await client.visit(HOST, "/x?end")).text == "second"
    twice = [{**rules[0], "priority": 5}, {**rules[1], "priority": 5}]
    body = body_of(ids[0], name="other.example.com", rules=twice)
    assert await client.refused("POST", balancers(client), body) == (409, 1003, "value not unique")


@pytest.mark.parametrize(
    ("fields", "status", "code", "message"),
    [
        (
            {"rules": [rule(""), rule("")]},
            400,
            1002,
            "the number of rules must be in range [0, 1]: validation failed",
        ),
        (
            {"rules": [rule('ip.src == "192.0.2.1"')]},
            400,
            99001,
            "rules[0].condition: 'ip.src' is not emulated by the local edge",
        ),
        (
            {"rules": [rule("", overrides={"pool_weights": {}})]},
            400,
            99001,
            "field 'rules[0].overrides.pool_weights' is not emulated by the local edge",
        ),
        (
            {"rules": [rule("")], "proxied": False},
            400,
            99001,
            "a rule of a DNS-only load balancer is not emulated by the local edge",
        ),
        (
            {"rules": [rule("", overrides={"default_pools": ["f" * 32]})]},
            400,
            1002,
            f"pool {'f' * 32} does not exist: validation failed",
        ),
    ],
)
async def test_rules_that_cannot_be_are_refused(
    client: Client, fields: dict[str, Any], status: int, code: int, message: str
) -> None:
    pool = await client.pool("p", [{"name": "a", "address": "127.9.0.1"}])
    body = body_of(pool["id"], **fields)
    assert await client.refused("POST", balancers(client), body) == (status, code, message)


async def looked_up(client: Client, name: str = HOST) -> list[tuple[str, str, int]] | str:
    told = await client.control("GET", f"/dns?name={name}")
    if told["status"] != "NOERROR":
        return str(told["status"])
    return sorted((a["type"], a["content"], a["ttl"]) for a in told["answers"])


async def test_a_dns_only_name_answers_the_healthy_addresses(client: Client) -> None:
    monitor = await client.monitor(retries=0, interval=3600)
    origins = [
        {"name": "a", "address": "192.0.2.1"},
        {"name": "b", "address": "2001:db8::1"},
        {"name": "c", "address": "192.0.2.3", "enabled": False},
    ]
    pool = await client.pool("p", origins, monitor=monitor["id"])
    spare = await client.pool("q", [{"name": "d", "address": "192.0.2.4"}], monitor=monitor["id"])
    made = await client.balancer(
        [pool["id"], spare["id"]], proxied=False, location_strategy={"mode": "resolver_ip"}
    )
    assert (made["ttl"], made["location_strategy"]["mode"]) == (30, "resolver_ip")

    async def pretend(pool_name: str, origin: str, *, healthy: bool) -> None:
        body = {"pool": pool_name, "origin": origin, "healthy": healthy}
        await client.control("PUT", "/pretend/health", body)

    for pool_name, origin in (("p", "a"), ("p", "b"), ("q", "d")):
        await pretend(pool_name, origin, healthy=True)
    assert await looked_up(client) == [("A", "192.0.2.1", 30), ("AAAA", "2001:db8::1", 30)]
    await pretend("p", "a", healthy=False)
    assert await looked_up(client) == [("AAAA", "2001:db8::1", 30)]
    await pretend("p", "b", healthy=False)
    assert await looked_up(client) == [("A", "192.0.2.4", 30)]
    await pretend("q", "d", healthy=False)
    assert await looked_up(client) == [("A", "192.0.2.4", 30)]
    await client.ok(
        "PATCH", f"{client.fake.account_path}/load_balancers/pools/{spare['id']}", {"enabled": False}
    )
    assert await looked_up(client) == []
    assert (await client.visit(HOST)).status_code == 409


async def test_a_tunnel_behind_a_dns_only_name_answers_nothing(
    client: Client, origin_of: OriginOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(2, 1, 6, "", ("192.0.2.9", 0))]

    pool = await pool_saying(client, origin_of, "p")
    await client.balancer([pool], proxied=False, ttl=60)
    assert await looked_up(client) == []
    assert (await client.visit(HOST)).status_code == 409
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert (await client.fake.edge.names.lookup(HOST, Visitor("127.0.0.1")))["answers"] == []


async def test_origins_by_name_are_resolved(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(host: str, *_: Any, **__: Any) -> list[Any]:
        assert host == "origin.example.net"
        return [(2, 1, 6, "", ("192.0.2.9", 0)), (10, 1, 6, "", ("2001:db8::9", 0, 0, 0))]

    pool = await client.pool("p", [{"name": "a", "address": "origin.example.net"}])
    await client.balancer([pool["id"]], proxied=False)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    answers = (await client.fake.edge.names.lookup(HOST, Visitor("127.0.0.1")))["answers"]
    assert [(a["type"], a["content"]) for a in answers] == [("A", "192.0.2.9"), ("AAAA", "2001:db8::9")]


async def test_other_names_are_looked_up_too(client: Client, origin_of: OriginOf) -> None:
    assert await looked_up(client, "nobody.example.com") == "NXDOMAIN"
    pool = await pool_saying(client, origin_of, "p")
    await client.balancer([pool], name="*.example.com")
    assert await looked_up(client, "any.example.com") == [("A", "127.0.0.1", 300)]
    records = f"{client.fake.zone_path}/dns_records"
    await client.ok("POST", records, {"type": "A", "name": "a", "content": "192.0.2.8", "ttl": 120})
    await client.ok("POST", records, {"type": "CNAME", "name": "c", "content": "a.example.com"})
    assert await looked_up(client, "a.example.com") == [("A", "192.0.2.8", 120)]
    assert await looked_up(client, "c.example.com") == [("CNAME", "a.example.com", 300)]
