"""Tokens and their permissions, injected faults, and what the edge tells of its calls."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

Client = Any
POOL = {"name": "p", "origins": [{"name": "a", "address": "127.9.0.1"}], "check_regions": ["WNAM"]}


def pools(client: Client) -> str:
    return f"{client.fake.account_path}/load_balancers/pools"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def new_token(client: Client, *permissions: str, **fields: Any) -> dict[str, str]:
    made = await client.control("POST", "/tokens", {"permissions": list(permissions), **fields})
    return bearer(made["token"])


async def test_a_token_is_verified_where_it_belongs(client: Client) -> None:
    envelope = (await client.raw("GET", "/user/tokens/verify")).json()
    assert envelope["result"]["status"] == "active"
    assert envelope["messages"][0]["message"] == "This API Token is valid and active"
    owned = await new_token(client, owner="account")
    assert (await client.refused("GET", "/user/tokens/verify", headers=owned))[:2] == (401, 1000)
    path = f"{client.fake.account_path}/tokens/verify"
    assert (await client.ok("GET", path, headers=owned))["status"] == "active"
    unknown = await client.refused("GET", "/user/tokens/verify", headers=bearer("nobody"))
    assert unknown == (401, 1000, "Invalid API Token")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": ""}, (400, 6003, "Invalid request headers")),
        ({"Authorization": "Basic eDp5"}, (400, 6003, "Invalid request headers")),
        ({"Authorization": "Bearer nobody"}, (401, 9109, "Invalid access token")),
    ],
)
async def test_a_bad_header_is_named(client: Client, headers: dict[str, str], expected: tuple[Any]) -> None:
    assert await client.refused("GET", pools(client), headers=headers) == expected


async def test_a_token_may_do_what_its_permission_groups_say(client: Client) -> None:
    writer = await new_token(client, "Load Balancing: Monitors and Pools Write")
    pool = await client.ok("POST", pools(client), POOL, headers=writer)
    assert await client.ok("GET", pools(client), headers=writer)
    forbidden = (403, 10000, "Authentication error")
    balancers = f"{client.fake.zone_path}/load_balancers"
    assert await client.refused("GET", balancers, headers=writer) == forbidden
    reader = bearer(client.fake.edge.read_only_token.value)
    assert (await client.ok("GET", pools(client), headers=reader))[0]["id"] == pool["id"]
    assert await client.refused("POST", pools(client), POOL, headers=reader) == forbidden
    assert await client.refused("DELETE", f"{pools(client)}/{pool['id']}", headers=reader) == forbidden


async def test_another_account_or_zone_is_forbidden(client: Client) -> None:
    forbidden = (403, 10000, "Authentication error")
    assert await client.refused("GET", f"/accounts/{'0' * 32}/load_balancers/pools") == forbidden
    assert await client.refused("GET", f"/zones/{'0' * 32}/dns_records") == forbidden


async def test_a_disabled_token_may_do_nothing(client: Client) -> None:
    disabled = await new_token(client, "Zone Read", status="disabled")
    assert (await client.ok("GET", "/user/tokens/verify", headers=disabled))["status"] == "disabled"
    assert (await client.refused("GET", "/zones", headers=disabled))[:2] == (403, 10000)


async def test_a_revoked_token_is_unknown(client: Client) -> None:
    made = await client.control("POST", "/tokens", {"permissions": ["Zone Read"]})
    await client.ok("GET", "/zones", headers=bearer(made["token"]))
    assert await client.control("DELETE", f"/tokens/{made['id']}") == {"revoked": True}
    assert (await client.refused("GET", "/zones", headers=bearer(made["token"])))[:2] == (401, 9109)


async def test_malformed_json_is_refused(client: Client) -> None:
    response = await client.http.post(client.fake.api + pools(client), content=b"{")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, 6007)


async def test_calls_that_are_not_emulated_say_so(client: Client) -> None:
    path = f"{client.fake.account_path}/load_balancers/monitor_groups"
    status, code, message = await client.refused("GET", path)
    assert (status, code) == (400, 99001)
    assert message == f"GET {path} is not emulated by the local edge"


async def test_a_method_that_is_not_emulated_on_a_path_that_is_says_so(client: Client) -> None:
    message = f"PATCH {pools(client)} is not emulated by the local edge"
    assert await client.refused("PATCH", pools(client), {"notification_email": ""}) == (400, 99001, message)


async def test_a_rate_limit_hits_as_often_as_it_was_set(client: Client) -> None:
    fault = {"route": "GET */pools", "status": 429, "times": 1, "headers": {"retry-after": "7"}}
    await client.control("POST", "/faults", fault)
    limited = await client.raw("GET", pools(client))
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")
    assert limited.json()["errors"][0]["code"] == 10013
    await client.ok("GET", pools(client))


async def test_a_fault_of_every_route_hits_the_calls_without_credentials_too(client: Client) -> None:
    assert (await client.ok("GET", "/ips"))["ipv4_cidrs"] == ["127.0.0.0/8"]
    await client.control("POST", "/faults", {"route": "* *", "status": 503})
    assert (await client.raw("GET", "/ips")).status_code == 503
    await client.control("DELETE", "/faults")
    await client.control("POST", "/faults", {"route": "GET /ips", "drop": "before"})
    with pytest.raises(httpx.TransportError):
        await client.raw("GET", "/ips")


async def test_an_answer_lost_after_the_commit_leaves_the_object_behind(client: Client) -> None:
    await client.control("POST", "/faults", {"route": "POST */pools", "drop": "after", "times": 1})
    with pytest.raises(httpx.TransportError):
        await client.raw("POST", pools(client), POOL)
    assert [p["name"] for p in await client.ok("GET", pools(client))] == ["p"]


async def test_a_call_lost_before_the_commit_leaves_nothing_behind(client: Client) -> None:
    await client.control("POST", "/faults", {"route": "POST */pools", "drop": "before"})
    with pytest.raises(httpx.TransportError):
        await client.raw("POST", pools(client), POOL)
    assert await client.ok("GET", pools(client)) == []
    await client.control("DELETE", "/faults")
    await client.ok("POST", pools(client), POOL)


async def test_an_unknown_fault_is_refused(client: Client) -> None:
    url = f"http://127.0.0.1:{client.fake.ports.api}/_edge/faults"
    answer = await client.http.post(url, json={"route": "* *", "fire": True})
    assert answer.status_code == 400
    assert answer.json() == {"error": "field 'fire' is not emulated by the local edge"}


async def test_every_call_is_in_the_journal_with_its_token_and_body(client: Client) -> None:
    mark = (await client.control("GET", "/calls"))["last"]
    await client.ok("POST", pools(client), POOL)
    await client.refused("GET", f"{pools(client)}/{'0' * 32}")
    entries = (await client.control("GET", f"/calls?since={mark}"))["entries"]
    assert [(e["method"], e["status"]) for e in entries] == [("POST", 200), ("GET", 404)]
    assert entries[0]["body"] == POOL
    assert entries[0]["token"] == client.fake.edge.full_token.id
    assert entries[1]["route"] == "/accounts/{account_id}/load_balancers/pools/{pool_id}"


async def test_counters_count_and_are_reset(client: Client) -> None:
    for _ in range(3):
        await client.ok("GET", pools(client))
    counters = (await client.control("GET", "/counters"))["calls"]
    assert counters == [
        {
            "method": "GET",
            "route": "/accounts/{account_id}/load_balancers/pools",
            "status": 200,
            "count": 3,
        }
    ]
    await client.control("POST", "/reset")
    assert (await client.control("GET", "/counters"))["calls"] == []


async def test_reading_changes_nothing_in_the_dump_of_the_state(client: Client) -> None:
    await client.ok("POST", pools(client), POOL)
    before = await client.control("GET", "/state")
    await client.ok("GET", pools(client))
    assert await client.control("GET", "/state") == before


async def test_speed_and_lags_change_at_run_time(client: Client) -> None:
    assert (await client.control("PUT", "/clock", {"speed": 20}))["speed"] == 20
    assert await client.control("PUT", "/lags", {"state": 1}) == {"config": 0, "state": 1, "death": 0}
    url = f"http://127.0.0.1:{client.fake.ports.api}/_edge/clock"
    assert (await client.http.put(url, json={"speed": 0})).status_code == 400
