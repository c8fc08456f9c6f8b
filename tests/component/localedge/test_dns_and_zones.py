"""DNS records, zones, and what `cloudflared tunnel route` asks for."""

from __future__ import annotations

from typing import Any

import pytest

Client = Any
TUNNEL = "11111111-2222-4333-8444-555555555555.cfargotunnel.com"
CNAME = {"type": "CNAME", "name": "app.example.com", "content": TUNNEL, "proxied": True, "ttl": 1}


def records(client: Client) -> str:
    return f"{client.fake.zone_path}/dns_records"


async def test_a_name_comes_back_in_full_and_a_proxied_ttl_is_automatic(client: Client) -> None:
    made = await client.ok("POST", records(client), {**CNAME, "name": "App", "ttl": 300, "comment": "mine"})
    assert (made["name"], made["ttl"], made["comment"], made["tags"]) == ("app.example.com", 1, "mine", [])
    assert (await client.ok("POST", records(client), {**CNAME, "name": "@"}))["name"] == "example.com"
    path = f"{records(client)}/{made['id']}"
    assert (await client.ok("PATCH", path, {"comment": "yours"}))["content"] == TUNNEL
    assert await client.ok("DELETE", path) == {"id": made["id"]}
    assert (await client.refused("GET", path))[:2] == (404, 81044)


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (CNAME, CNAME, 81058),
        (CNAME, {**CNAME, "content": "other.example.net"}, 81053),
        (CNAME, {"type": "A", "name": "app.example.com", "content": "192.0.2.1"}, 81054),
        ({"type": "A", "name": "app.example.com", "content": "192.0.2.1"}, CNAME, 81053),
    ],
)
async def test_records_that_cannot_stand_together_are_refused(
    client: Client, first: dict[str, Any], second: dict[str, Any], code: int
) -> None:
    await client.ok("POST", records(client), first)
    assert (await client.refused("POST", records(client), second))[:2] == (400, code)


async def test_addresses_and_text_stand_side_by_side(client: Client) -> None:
    for content in ("192.0.2.1", "192.0.2.2"):
        await client.ok("POST", records(client), {"type": "A", "name": "a", "content": content})
    await client.ok("POST", records(client), {"type": "TXT", "name": "a", "content": "heritage=x"})
    assert len(await client.ok("GET", f"{records(client)}?name=a.example.com")) == 3


@pytest.mark.parametrize(
    "body",
    [
        {**CNAME, "type": "A"},
        {**CNAME, "comment": "x" * 101},
        {**CNAME, "proxied": False, "ttl": 30},
        {"type": "TXT", "name": "a", "content": "x", "proxied": True},
    ],
)
async def test_an_invalid_record_is_refused(client: Client, body: dict[str, Any]) -> None:
    assert (await client.refused("POST", records(client), body))[:2] == (400, 1004)


async def test_other_types_are_refused_as_not_emulated(client: Client) -> None:
    body = {"type": "MX", "name": "a", "content": "mail.example.net"}
    assert (await client.refused("POST", records(client), body))[1] == 99001


async def test_records_are_found_by_their_fields(client: Client) -> None:
    await client.ok("POST", records(client), {**CNAME, "comment": "tunnelpool/c1"})
    await client.ok("POST", records(client), {**CNAME, "name": "b", "comment": None})

    async def names(query: str) -> list[str]:
        return [r["name"] for r in await client.ok("GET", f"{records(client)}?{query}")]

    assert await names("comment.startswith=tunnelpool/") == ["app.example.com"]
    assert await names("comment.absent=true") == ["b.example.com"]
    assert await names("name.exact=B.example.com&type=CNAME") == ["b.example.com"]
    assert await names("name=b.example.com&comment.contains=pool&match=any") == [
        "app.example.com",
        "b.example.com",
    ]
    assert await names("type=A") == []


async def test_a_zone_is_found_by_name_and_its_ssl_mode_can_be_set(client: Client) -> None:
    found = await client.ok("GET", "/zones?name=example.com")
    assert [(zone["id"], zone["status"]) for zone in found] == [(client.fake.zone_id, "active")]
    assert await client.ok("GET", "/zones?name=example.org") == []
    path = f"{client.fake.zone_path}/settings/ssl"
    assert (await client.ok("GET", path))["value"] == "full"
    assert (await client.ok("PATCH", path, {"value": "strict"}))["value"] == "strict"
    assert (await client.refused("PATCH", path, {"value": "sometimes"}))[1] == 1007


async def test_routing_a_name_to_a_tunnel_creates_changes_or_leaves_its_record(client: Client) -> None:
    tunnel = await client.tunnel("t")
    path = f"{client.fake.zone_path}/tunnels/{tunnel}/routes"
    body = {"type": "dns", "user_hostname": "app.example.com", "overwrite_existing": False}
    assert await client.ok("PUT", path, body) == {"cname": "new", "name": "app.example.com"}
    assert (await client.ok("PUT", path, body))["cname"] == "unchanged"
    other = f"{client.fake.zone_path}/tunnels/{await client.tunnel('u')}/routes"
    assert (await client.refused("PUT", other, body))[1] == 81053
    assert (await client.ok("PUT", other, {**body, "overwrite_existing": True}))["cname"] == "updated"


async def test_routing_a_load_balancer_to_tunnels_makes_pool_and_balancer_and_extends_them(
    client: Client,
) -> None:
    body = {"type": "lb", "lb_name": "my.example.com", "lb_pool": "my-pool"}
    answers = []
    for tunnel in [await client.tunnel("a"), await client.tunnel("b")]:
        path = f"{client.fake.zone_path}/tunnels/{tunnel}/routes"
        answers += [await client.ok("PUT", path, body), await client.ok("PUT", path, body)]
    assert [(a["load_balancer"], a["pool"]) for a in answers] == [
        ("new", "new"),
        ("unchanged", "unchanged"),
        ("unchanged", "updated"),
        ("unchanged", "unchanged"),
    ]
    state = await client.control("GET", "/state")
    assert [o["name"] for o in state["pools"][0]["origins"]] == ["a", "b"]
    assert state["load_balancers"][0]["default_pools"] == [state["pools"][0]["id"]]
