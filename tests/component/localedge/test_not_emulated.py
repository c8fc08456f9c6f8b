"""What the edge does not emulate it refuses, and changes nothing: it never answers silently wrong."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localedge.api.call import Route
from localedge.api.gateway import ROUTES
from localedge.api.problem import NOT_EMULATED_CODE

Client = Any
PUBLISHED = json.loads(
    (Path(__file__).parents[2] / "contract/localedge/cloudflare-openapi-subset.json").read_text()
)
SOME_ID, SOME_UUID = "0" * 32, "00000000-0000-4000-8000-000000000000"
FREE_KEYS = {"header", "region_pools", "country_pools", "pool_weights"}
"""Objects whose keys are data: header fields, places, pools."""
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
MONITOR = {"type": "http", "expected_codes": "200", "header": {"X-A": ["1"]}}
POOL = {
    "name": "new",
    "origins": [{"name": "a", "address": "192.0.2.1", "header": {"Host": ["a.example.com"]}}],
    "check_regions": ["WNAM"],
    "load_shedding": {"default_percent": 1},
    "origin_steering": {"policy": "random"},
    "notification_filter": {"origin": {"disable": True}, "pool": {"healthy": False}},
}


def balancer(pool: str) -> dict[str, Any]:
    return {
        "name": "new.example.com",
        "proxied": True,
        "default_pools": [pool],
        "fallback_pool": pool,
        "random_steering": {"default_weight": 1, "pool_weights": {pool: 1}},
        "session_affinity": "cookie",
        "session_affinity_attributes": {"samesite": "Lax", "drain_duration": 5},
        "adaptive_routing": {"failover_across_pools": True},
        "location_strategy": {"mode": "pop"},
        "rules": [{"name": "r", "condition": "", "overrides": {"session_affinity": "none"}}],
    }


def objects(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Go through the objects within a body, by their paths; those with free keys left out."""
    if isinstance(body, dict):
        if not path or path[-1] not in FREE_KEYS:
            yield path
        for name, value in body.items():
            yield from objects(value, (*path, name))
    elif isinstance(body, list):
        for index, value in enumerate(body):
            yield from objects(value, (*path, index))


def with_field(body: dict[str, Any], path: tuple[Any, ...], name: str) -> dict[str, Any]:
    """Add a field to one of the objects within a body."""
    changed = copy.deepcopy(body)
    place: Any = changed
    for step in path:
        place = place[step]
    place[name] = "x"
    return changed


def filled(client: Client, template: str) -> str:
    """Fill a published path with ids that exist or could."""
    known = {"account_id": client.fake.edge.account.id, "zone_id": client.fake.zone_id}
    known |= dict.fromkeys(("tunnel_id", "connector_id", "virtual_network_id"), SOME_UUID)
    return re.sub(r"{(\w+)}", lambda name: known.get(name[1], SOME_ID), template)


def shape(template: str) -> str:
    """Forget how a path calls its ids."""
    return re.sub(r"{\w+[^}]*}", "{}", template)


async def test_an_unknown_field_at_any_depth_is_refused_and_nothing_is_written(client: Client) -> None:
    account, zone = client.fake.account_path, client.fake.zone_path
    tunnel = await client.tunnel("t")
    pool = (await client.pool("p", [{"name": "a", "address": "192.0.2.1"}]))["id"]
    monitor = (await client.monitor())["id"]
    writes: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"{account}/load_balancers/monitors", MONITOR),
        ("PUT", f"{account}/load_balancers/monitors/{monitor}", MONITOR),
        ("PATCH", f"{account}/load_balancers/monitors/{monitor}", MONITOR),
        ("POST", f"{account}/load_balancers/pools", POOL),
        ("PUT", f"{account}/load_balancers/pools/{pool}", POOL),
        ("PATCH", f"{account}/load_balancers/pools/{pool}", POOL),
        ("POST", f"{zone}/load_balancers", balancer(pool)),
        ("POST", f"{zone}/dns_records", {"type": "TXT", "name": "x", "content": "y"}),
        ("POST", f"{account}/cfd_tunnel", {"name": "u", "config_src": "cloudflare"}),
        ("PATCH", f"{account}/cfd_tunnel/{tunnel}", {"name": "u"}),
        ("PUT", f"{zone}/tunnels/{tunnel}/routes", {"type": "dns", "user_hostname": "x.example.com"}),
        ("PATCH", f"{zone}/settings/ssl", {"value": "full"}),
    ]
    before = await client.control("GET", "/state")
    for method, path, body in writes:
        for place in objects(body):
            refused = await client.refused(method, path, with_field(body, place, "no_such_field"))
            assert refused[1] == NOT_EMULATED_CODE, (method, path, place, refused)
            assert "no_such_field" in refused[2]
    assert await client.control("GET", "/state") == before


@pytest.mark.parametrize("template", sorted(PUBLISHED["paths"]))
async def test_a_published_call_that_is_not_emulated_says_so(client: Client, template: str) -> None:
    before = await client.control("GET", "/state")
    for method in METHODS - {route.method for route in ROUTES if shape(route.template) == shape(template)}:
        path = filled(client, template)
        status, code, message = await client.refused(method, path, {})
        assert (status, code) == (400, NOT_EMULATED_CODE), (method, path)
        assert message == f"{method} {path} is not emulated by the local edge"
    assert await client.control("GET", "/state") == before


async def test_what_nobody_has_is_no_call(client: Client) -> None:
    for path in ("/", "/nothing", f"{client.fake.account_path}/workers", f"{client.fake.zone_path}/firewall"):
        for method in sorted(METHODS):
            assert (await client.refused(method, path))[:2] == (404, 7003), (method, path)


@pytest.mark.parametrize(
    "route", [one for one in ROUTES if one.method == "GET"], ids=lambda route: route.template
)
async def test_a_listing_does_not_ignore_a_filter_that_it_does_not_have(client: Client, route: Route) -> None:
    path = filled(client, route.template)
    plain = (await client.raw("GET", path)).json()
    if isinstance(plain["result"], list):
        assert (await client.refused("GET", f"{path}?no_such_filter=1"))[1] == NOT_EMULATED_CODE
