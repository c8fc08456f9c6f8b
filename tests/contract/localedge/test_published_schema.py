"""Every answer of the edge is valid by Cloudflare's own published schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from localedge.api.gateway import ROUTES
from localedge.testing import FakeAnswer, FakeEdge
from localedge.tunnel.interface import TunnelRequest

SPEC = json.loads(Path(__file__).with_name("cloudflare-openapi-subset.json").read_text())
UNPUBLISHED = {
    "/zones/{zone_id}/settings/ssl": "the subset does not carry the zone settings",
}
NULLABLE_IN_LIFE = frozenset({"comment", "conns_active_at", "conns_inactive_at", "deleted_at"})
"""The published schema gives these as strings; real answers have null where there is nothing to tell."""

FAILURES = {
    "cfd_tunnel": "tunnel_api-response-common-failure",
    "dns_records": "dns-records_api-response-common-failure",
    "load_balancers": "load-balancing_api-response-common-failure",
    "tokens": "iam_api-response-common-failure",
}
"""Schemas of errors by what is in the path. A published 4XX asks for success and failure at once."""


def as_json_schema(schema: Any) -> Any:
    """Translate OpenAPI 3.0's dialect; its alternatives here overlap, so that `oneOf` cannot be meant."""
    if isinstance(schema, list):
        return [as_json_schema(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    translated = {
        {"oneOf": "anyOf"}.get(key, key): {name: lenient(name, value) for name, value in inner.items()}
        if key == "properties"
        else as_json_schema(inner)
        for key, inner in schema.items()
        if key not in {"nullable", "example", "default", "discriminator"}
    }
    return or_null(translated) if schema.get("nullable") else translated


def lenient(name: str, schema: Any) -> Any:
    translated = as_json_schema(schema)
    return or_null(translated) if name in NULLABLE_IN_LIFE else translated


def or_null(schema: Any) -> Any:
    return {"anyOf": [schema, {"type": "null"}]}


COMPONENTS = as_json_schema(SPEC["components"])
TEMPLATES = {
    re.compile("^" + re.sub(r"\{[^}]*\}", "[^/]+", template) + "$"): template for template in SPEC["paths"]
}


def template_of(path: str) -> str | None:
    matching = [template for pattern, template in TEMPLATES.items() if pattern.match(path)]
    # A literal segment (`/load_balancers/search`) is more specific than a parameter.
    return min(matching, key=lambda template: template.count("{"), default=None)


def problems(method: str, path: str, status: int, body: Any) -> Iterator[str]:
    template = template_of(path)
    assert template is not None, path
    if status == 200:
        response = SPEC["paths"][template][method.lower()]["responses"]["200"]
        schema = as_json_schema(response["content"]["application/json"]["schema"])
    else:
        schema = COMPONENTS["schemas"][next(FAILURES[part] for part in path.split("/") if part in FAILURES)]
    validator = Draft202012Validator({**schema, "components": COMPONENTS})
    for error in validator.iter_errors(body):
        yield f"{method} {template} {status}: {error.json_path}: {error.message[:300]}"


class Recorder:
    """A client that keeps every answer."""

    def __init__(self, fake: FakeEdge, http: httpx.AsyncClient) -> None:
        self.fake = fake
        self.http = http
        self.answers: list[tuple[str, str, int, Any]] = []

    async def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Call and keep; returns the result."""
        response = await self.http.request(method, self.fake.api + path, json=body)
        answer = response.json()
        plain = path.partition("?")[0]
        self.answers.append((method, plain, response.status_code, answer))
        return answer["result"]


@pytest.fixture
async def call(fake: FakeEdge) -> Any:
    async with httpx.AsyncClient(headers=dict(fake.headers)) as http:
        yield Recorder(fake, http)


async def use_load_balancing(call: Recorder, tunnel: str) -> None:
    account, zone = call.fake.account_path, call.fake.zone_path
    base = f"{account}/load_balancers"
    monitor = await call("POST", f"{base}/monitors", {"type": "https", "header": {"Host": ["a.example.com"]}})
    await call("POST", f"{base}/monitors", {"type": "https", "interval": 1})
    one = f"{base}/monitors/{monitor['id']}"
    origin = {
        "name": "o",
        "address": f"{tunnel}.cfargotunnel.com",
        "header": {"Host": ["my.example.com"]},
        "enabled": False,
    }
    body = {"name": "p", "origins": [origin], "check_regions": ["WNAM"], "monitor": monitor["id"]}
    pool = await call("POST", f"{base}/pools", body)
    of_pool = f"{base}/pools/{pool['id']}"
    await call("PATCH", of_pool, {"origins": [{**origin, "enabled": True}]})
    await call(
        "PUT", of_pool, body | {"origins": [{**origin, "enabled": True}], "latitude": 1, "longitude": 2}
    )
    while call.fake.edge.book.health(pool["id"], origin["address"]).last is None:
        await call.http.get(call.fake.api + "/ips")
    for path in (f"{base}/pools", of_pool, f"{of_pool}/health", f"{of_pool}/references"):
        await call("GET", path)
    balancers = f"{zone}/load_balancers"
    body = {
        "name": "my.example.com",
        "proxied": True,
        "default_pools": [pool["id"]],
        "fallback_pool": pool["id"],
    }
    balancer = await call("POST", balancers, body)
    await call("POST", balancers, body)
    of_balancer = f"{balancers}/{balancer['id']}"
    await call("PATCH", of_balancer, {"description": "d"})
    affinity = {
        "samesite": "Lax",
        "secure": "Always",
        "zero_downtime_failover": "sticky",
        "drain_duration": 60,
    }
    rule = {
        "name": "r",
        "condition": 'http.request.uri.path == "/"',
        "overrides": {"default_pools": [pool["id"]]},
    }
    fixed = {**rule, "overrides": {}, "fixed_response": {"message_body": "m", "status_code": 404}}
    for fields in (
        {"session_affinity": "cookie", "session_affinity_attributes": affinity, "rules": [rule]},
        {"session_affinity": "none", "rules": [fixed]},
        {"rules": [], "steering_policy": "geo"},
        {"rules": [], "proxied": False, "ttl": 60, "location_strategy": {"prefer_ecs": "always"}},
    ):
        await call("PATCH", of_balancer, fields)
    await call("PUT", of_balancer, body)
    for path in (balancers, of_balancer, f"{base}/monitors", one, f"{one}/references", f"{base}/regions"):
        await call("GET", path)
    await call("GET", f"{base}/regions/WNAM")
    await call("PATCH", one, {"path": "/up"})
    await call("PUT", one, {"type": "http"})
    for path in (of_pool, of_balancer, of_pool, one, one):
        await call("DELETE", path)


async def use_tunnels(call: Recorder) -> str:
    async def fine(_request: TunnelRequest) -> FakeAnswer:
        return FakeAnswer()

    base = f"{call.fake.account_path}/cfd_tunnel"
    tunnel = (await call("POST", base, {"name": "t", "config_src": "cloudflare"}))["id"]
    one = f"{base}/{tunnel}"
    await call("POST", base, {"name": "t"})
    await call("GET", one)
    connector = call.fake.tunnels.connect(tunnel, fine)
    await call("PUT", f"{one}/configurations", {"config": {"ingress": [{"service": "http_status:200"}]}})
    await call("PUT", f"{one}/configurations", {"config": {"ingress": []}})
    for path in (base, one, f"{one}/token", f"{one}/connections", f"{one}/connectors/{connector}"):
        await call("GET", path)
    await call("GET", f"{one}/configurations")
    await call("PATCH", one, {"name": "u"})
    await call("DELETE", one)
    other = (await call("POST", base, {"name": "v"}))["id"]
    await call("DELETE", f"{base}/{other}/connections")
    await call(
        "PUT",
        f"{call.fake.zone_path}/tunnels/{tunnel}/routes",
        {"type": "dns", "user_hostname": "r.example.com"},
    )
    await call("DELETE", f"{base}/{other}")
    await call("GET", f"{base}/{other}")
    return str(tunnel)


async def use_zones(call: Recorder) -> None:
    records = f"{call.fake.zone_path}/dns_records"
    for body in (
        {"type": "A", "name": "a", "content": "192.0.2.1", "proxied": True, "comment": "c", "tags": ["x:y"]},
        {"type": "AAAA", "name": "a", "content": "2001:db8::1"},
        {"type": "TXT", "name": "t", "content": "text"},
        {"type": "CNAME", "name": "c", "content": "a.example.com", "proxied": True},
    ):
        made = await call("POST", records, body)
        one = f"{records}/{made['id']}"
        await call("POST", records, body)
        await call("GET", one)
        await call("PUT", one, body)
        await call("PATCH", one, {"comment": "d"})
    await call("GET", records)
    await call("DELETE", one)
    for path in ("/zones", call.fake.zone_path, "/accounts", call.fake.account_path, "/user/tokens/verify"):
        await call("GET", path)
    await call("GET", f"{call.fake.account_path}/tokens/verify")


async def test_every_route_answers_as_published(call: Recorder) -> None:
    await use_zones(call)
    tunnel = await use_tunnels(call)
    await use_load_balancing(call, tunnel)
    wrong = [p for method, path, status, body in call.answers for p in problems(method, path, status, body)]
    assert wrong == []
    used = {(method, template_of(path)) for method, path, _, _ in call.answers}
    routes = {(r.method, template_of(re.sub(r"\{[^}]*\}", "x", r.template))) for r in ROUTES}
    unpublished = {(r.method, None) for r in ROUTES if r.template in UNPUBLISHED}
    assert routes - used - unpublished == set()
