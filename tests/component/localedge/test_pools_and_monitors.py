"""Pools, monitors and load balancers over HTTP, as Cloudflare documents them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localedge.options import EdgeOptions
from localedge.plan import PlanName
from localedge.state.store import Lags

Client = Any
NO_REGIONS = (
    "Probing from every data centre is not allowed with this subscription. "
    "Please choose regions to probe from."
)
BAD_CODES = "expected_codes must be codes or ranges of codes such as '200', '2xx' or '200,302'"
ORIGIN = {"name": "a", "address": "127.9.0.1"}


def without_what_moves(answer: dict[str, Any]) -> dict[str, Any]:
    moving = {"modified_on": None, "healthy": None}
    if "origins" not in answer:
        return {**answer, **moving}
    return {**answer, **moving, "origins": [{**o, "healthy": None} for o in answer["origins"]]}


def pools(client: Client) -> str:
    return f"{client.fake.account_path}/load_balancers/pools"


def monitors(client: Client) -> str:
    return f"{client.fake.account_path}/load_balancers/monitors"


def balancers(client: Client) -> str:
    return f"{client.fake.zone_path}/load_balancers"


async def test_the_server_fills_defaults_in(client: Client) -> None:
    pool = await client.pool("p", [ORIGIN])
    assert pool["enabled"] is True
    assert pool["minimum_origins"] == 1
    assert pool["origin_steering"] == {"policy": "random"}
    assert pool["load_shedding"] == {
        "default_percent": 0,
        "default_policy": "random",
        "session_percent": 0,
        "session_policy": "hash",
    }
    assert pool["origins"] == [{**ORIGIN, "enabled": True, "weight": 1}]
    monitor = await client.ok("POST", monitors(client), {})
    assert (monitor["type"], monitor["interval"], monitor["timeout"], monitor["retries"]) == (
        "http",
        60,
        5,
        2,
    )
    balancer = await client.balancer([pool["id"]])
    assert balancer["session_affinity_attributes"] == {
        "samesite": "Auto",
        "secure": "Auto",
        "zero_downtime_failover": "none",
    }
    assert balancer["zone_name"] == "example.com"


async def test_patch_merges_and_put_replaces(client: Client) -> None:
    pool = await client.pool("p", [ORIGIN], description="d", load_shedding={"default_percent": 10})
    path = f"{pools(client)}/{pool['id']}"
    patched = await client.ok("PATCH", path, {"load_shedding": {"session_percent": 5}})
    assert (patched["description"], patched["load_shedding"]["default_percent"]) == ("d", 10)
    assert patched["load_shedding"]["session_percent"] == 5
    body = {"name": "p", "origins": [ORIGIN], "check_regions": ["WEU"]}
    replaced = await client.ok("PUT", path, body)
    assert (replaced["description"], replaced["load_shedding"]["default_percent"]) == ("", 0)
    assert replaced["created_on"] == pool["created_on"]


async def test_origins_come_back_sorted_by_name(client: Client) -> None:
    origins = [{"name": name, "address": f"127.9.0.{n}"} for n, name in enumerate("cab")]
    assert [o["name"] for o in (await client.pool("p", origins))["origins"]] == ["a", "b", "c"]


async def test_what_was_read_can_be_written_back(client: Client) -> None:
    monitor = await client.monitor()
    pool = await client.pool("p", [ORIGIN], monitor=monitor["id"])
    balancer = await client.balancer([pool["id"]])
    for path, read in ((pools, pool), (monitors, monitor), (balancers, balancer)):
        written = await client.ok("PUT", f"{path(client)}/{read['id']}", read)
        assert without_what_moves(written) == without_what_moves(read)


async def test_disabled_at_stands_as_long_as_something_is_disabled(client: Client) -> None:
    pool = await client.pool("p", [ORIGIN, {"name": "b", "address": "127.9.0.2", "enabled": False}])
    path = f"{pools(client)}/{pool['id']}"
    since = pool["origins"][1]["disabled_at"]
    assert "disabled_at" not in pool["origins"][0]
    again = await client.ok("PATCH", path, {"description": "x", "enabled": False})
    assert again["origins"][1]["disabled_at"] == since
    assert again["disabled_at"] > since
    assert (await client.ok("PATCH", path, {"description": "y"}))["disabled_at"] == again["disabled_at"]
    back = await client.ok("PATCH", path, {"enabled": True, "origins": [ORIGIN]})
    assert "disabled_at" not in back


async def test_null_and_the_empty_string_detach_a_monitor(client: Client) -> None:
    monitor = await client.monitor()
    for nothing in (None, ""):
        pool = await client.pool(f"p{nothing}", [ORIGIN], monitor=monitor["id"])
        patched = await client.ok("PATCH", f"{pools(client)}/{pool['id']}", {"monitor": nothing})
        assert "monitor" not in patched


async def test_objects_in_use_cannot_be_deleted_and_go_in_order(client: Client) -> None:
    monitor = await client.monitor()
    pool = await client.pool("p", [ORIGIN], monitor=monitor["id"])
    balancer = await client.balancer([pool["id"]])
    message = "This object is referenced by other objects, delete them first."
    assert await client.refused("DELETE", f"{pools(client)}/{pool['id']}") == (412, 1005, message)
    assert await client.refused("DELETE", f"{monitors(client)}/{monitor['id']}") == (412, 1005, message)
    for path, key in ((balancers, balancer["id"]), (pools, pool["id"]), (monitors, monitor["id"])):
        assert await client.ok("DELETE", f"{path(client)}/{key}") == {"id": key}
    assert (await client.control("GET", "/state"))["pools"] == []


async def test_references_name_the_referrers(client: Client) -> None:
    monitor = await client.monitor()
    pool = await client.pool("p", [ORIGIN], monitor=monitor["id"])
    await client.balancer([pool["id"]])
    of_pool = await client.ok("GET", f"{pools(client)}/{pool['id']}/references")
    assert [(r["reference_type"], r["resource_type"], r["resource_name"]) for r in of_pool] == [
        ("referrer", "load_balancer", "my.example.com"),
        ("referral", "monitor", ""),
    ]
    of_monitor = await client.ok("GET", f"{monitors(client)}/{monitor['id']}/references")
    assert [r["resource_name"] for r in of_monitor] == ["p"]


async def test_names_are_unique(client: Client) -> None:
    pool = await client.pool("p", [ORIGIN])
    body = {"name": "p", "origins": [ORIGIN], "check_regions": ["WNAM"]}
    assert await client.refused("POST", pools(client), body) == (
        409,
        1003,
        "A pool with that name already exists: value not unique",
    )
    balancer = await client.balancer([pool["id"]])
    assert await client.refused("POST", balancers(client), balancer) == (
        409,
        1003,
        "A load balancer with that name already exists: value not unique",
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"origins": []}, "the origin list length must be in range [1, 20]: validation failed"),
        (
            {"origins": [{**ORIGIN, "header": {"Host": ["my.example.org"]}}]},
            'Host header "my.example.org" not allowed for origin domain "127.9.0.1": validation failed',
        ),
        (
            {"check_regions": None},
            f"{NO_REGIONS}: validation failed",
        ),
        (
            {"origins": [ORIGIN, {**ORIGIN, "name": "b", "port": 8080}]},
            "origin addresses must be unique within the pool: validation failed",
        ),
        (
            {"origins": [ORIGIN, {**ORIGIN, "address": "127.9.0.9"}]},
            "origin names must be unique within the pool: validation failed",
        ),
        (
            {"name": "a pool"},
            "name must consist of letters, digits, hyphens and underscores: validation failed",
        ),
        ({"latitude": 1}, "latitude and longitude must be set together: validation failed"),
        ({"monitor": "0" * 32}, f"monitor {'0' * 32} does not exist: validation failed"),
        (
            {"origins": [{**ORIGIN, "weight": 2}]},
            "origins[0].weight is not in range [0, 1]: validation failed",
        ),
    ],
)
async def test_an_invalid_pool_is_refused(client: Client, fields: dict[str, Any], message: str) -> None:
    body = {"name": "p", "origins": [ORIGIN], "check_regions": ["WNAM"], **fields}
    assert await client.refused("POST", pools(client), body) == (400, 1002, message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"interval": 30}, "interval is not in range [60, 3600]: validation failed"),
        (
            {"timeout": 10, "retries": 5},
            "interval must be greater than (retries + 1) * timeout: validation failed",
        ),
        ({"type": "tcp"}, "port is required for type tcp: validation failed"),
        (
            {"header": {"User-Agent": ["me"]}},
            "header User-Agent cannot be overridden: validation failed",
        ),
        (
            {"expected_codes": "fine"},
            f"{BAD_CODES}: validation failed",
        ),
    ],
)
async def test_an_invalid_monitor_is_refused(client: Client, fields: dict[str, Any], message: str) -> None:
    assert await client.refused("POST", monitors(client), fields) == (400, 1002, message)


@pytest.mark.parametrize(
    ("fields", "status", "code", "message"),
    [
        ({"name": "my.example.org"}, 400, 1002, "invalid hostname: my.example.org: validation failed"),
        ({"default_pools": []}, 400, 1002, "default_pools must not be empty: validation failed"),
        (
            {"fallback_pool": "f" * 32},
            400,
            1002,
            f"pool {'f' * 32} does not exist: validation failed",
        ),
        (
            {"steering_policy": "geo"},
            400,
            1002,
            "steering_policy geo is not allowed with this subscription: validation failed",
        ),
        ({"colour": "red"}, 400, 99001, "field 'colour' is not emulated by the local edge"),
    ],
)
async def test_an_invalid_or_unemulated_balancer_is_refused(
    client: Client, fields: dict[str, Any], status: int, code: int, message: str
) -> None:
    pool = await client.pool("p", [ORIGIN])
    body = {
        "name": "my.example.com",
        "proxied": True,
        "default_pools": [pool["id"]],
        "fallback_pool": pool["id"],
        **fields,
    }
    assert await client.refused("POST", balancers(client), body) == (status, code, message)


async def test_the_plan_limits_the_number_of_pools_and_of_origins(client: Client) -> None:
    for number in range(20):
        await client.pool(f"p{number}", [{"name": "o", "address": f"127.9.0.{number}"}])
    body = {"name": "more", "origins": [ORIGIN], "check_regions": ["WNAM"]}
    status, code, message = await client.refused("POST", pools(client), body)
    assert (status, code) == (400, 1002)
    assert message.startswith("the account is limited to 20")


async def test_unknown_ids_are_not_found_and_impossible_ones_have_no_route(client: Client) -> None:
    assert await client.refused("GET", f"{pools(client)}/{'0' * 32}") == (404, 1001, "pool not found")
    status, code, message = await client.refused("GET", f"{pools(client)}/nonsense")
    assert (status, code) == (404, 7003)
    assert message.startswith("Could not route to /client/v4/accounts/")


async def test_pools_are_listed_by_monitor(client: Client) -> None:
    monitor = await client.monitor()
    await client.pool("p", [ORIGIN], monitor=monitor["id"])
    await client.pool("q", [{"name": "b", "address": "127.9.0.2"}])
    listed = await client.ok("GET", f"{pools(client)}?monitor={monitor['id']}")
    assert [pool["name"] for pool in listed] == ["p"]


async def test_health_is_unavailable_before_any_probe(client: Client) -> None:
    pool = await client.pool("p", [ORIGIN])
    _, _, message = await client.refused("GET", f"{pools(client)}/{pool['id']}/health")
    assert "Health info unavailable" in message


NO_ADD_ON = EdgeOptions(Path(), lags=Lags(0, 0, 0), load_balancing=False)
ENTERPRISE = EdgeOptions(Path(), lags=Lags(0, 0, 0), plan=PlanName.ENTERPRISE)


@pytest.mark.parametrize("options", [NO_ADD_ON])
async def test_without_the_add_on_a_pool_is_refused_in_cloudflares_own_words(client: Client) -> None:
    body = {"name": "p", "origins": [ORIGIN], "check_regions": ["WNAM"]}
    assert await client.refused("POST", pools(client), body) == (
        400,
        1002,
        "the origin list length must be in range [1, 0]: validation failed",
    )


@pytest.mark.parametrize("options", [ENTERPRISE])
async def test_enterprise_may_probe_often_and_from_everywhere(client: Client) -> None:
    assert (await client.monitor(interval=20))["interval"] == 20
    assert (await client.pool("p", [ORIGIN], check_regions=None))["check_regions"] is None


@pytest.mark.parametrize("options", [ENTERPRISE])
async def test_steering_that_the_plan_has_and_the_edge_has_not_is_refused(client: Client) -> None:
    pool = await client.pool("p", [ORIGIN])
    body = {
        "name": "my.example.com",
        "proxied": True,
        "default_pools": [pool["id"]],
        "fallback_pool": pool["id"],
        "steering_policy": "proximity",
    }
    assert await client.refused("POST", balancers(client), body) == (
        400,
        99001,
        "steering_policy 'proximity' is not emulated by the local edge",
    )
