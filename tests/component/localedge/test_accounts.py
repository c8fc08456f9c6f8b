"""Several accounts on one edge: who sees what, and where a token is verified."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from localedge.api.gateway import ROUTES
from localedge.edge import TlsContexts
from localedge.options import EdgeOptions, FurtherAccount
from localedge.state.store import Lags
from localedge.state.tokens import PERMISSION_GROUPS
from localedge.testing import FakeAnswer, edge_with_fake_tunnels
from localedge.tunnel.ca import CertificateAuthority
from localedge.tunnel.interface import TunnelRequest
from localedge.visitor_tls import visitor_context

Client = Any
FORBIDDEN = (403, 10000, "Authentication error")
UNKNOWN = (401, 1000, "Invalid API Token")


@pytest.fixture
def options() -> EdgeOptions:
    further = (FurtherAccount("Second", ("example.org",)),)
    return EdgeOptions(Path(), lags=Lags(0, 0, 0), seed=1, accounts=further)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def second(client: Client) -> dict[str, Any]:
    account: dict[str, Any] = (await client.control("GET", "/accounts"))["Second"]
    return account


async def hello(_request: TunnelRequest) -> FakeAnswer:
    return FakeAnswer(body=b"hello")


async def test_a_token_sees_the_zones_of_its_own_account_only(client: Client) -> None:
    other = await second(client)
    theirs = bearer(other["api_token"])
    assert [zone["name"] for zone in await client.ok("GET", "/zones")] == ["example.com"]
    assert [zone["name"] for zone in await client.ok("GET", "/zones", headers=theirs)] == ["example.org"]
    assert await client.ok("GET", "/zones?name=example.com", headers=theirs) == []
    assert await client.refused("GET", client.fake.zone_path, headers=theirs) == FORBIDDEN
    assert await client.refused("GET", f"/zones/{other['zones']['example.org']}") == FORBIDDEN
    pools = f"/accounts/{other['id']}/load_balancers/pools"
    assert await client.refused("GET", pools) == FORBIDDEN
    assert await client.ok("GET", pools, headers=theirs) == []


async def test_a_token_over_two_accounts_sees_both(client: Client) -> None:
    other = await second(client)
    body = {"permissions": ["Zone Read", "Account Settings Read"]}
    made = await client.control(
        "POST", "/tokens", {**body, "accounts": [client.fake.edge.account.id, other["id"]]}
    )
    both = bearer(made["token"])
    assert [z["name"] for z in await client.ok("GET", "/zones", headers=both)] == [
        "example.com",
        "example.org",
    ]
    assert [a["name"] for a in await client.ok("GET", "/accounts", headers=both)] == ["Local Edge", "Second"]
    query = f"/zones?account.id={other['id']}"
    assert [z["name"] for z in await client.ok("GET", query, headers=both)] == ["example.org"]


async def test_an_account_owned_token_is_valid_at_its_account_and_unknown_elsewhere(client: Client) -> None:
    other = await second(client)
    made = await client.control(
        "POST", "/tokens", {"permissions": [], "owner": "account", "accounts": [other["id"]]}
    )
    owned = bearer(made["token"])
    at_home = f"/accounts/{other['id']}/tokens/verify"
    assert (await client.ok("GET", at_home, headers=owned))["status"] == "active"
    assert await client.refused("GET", "/user/tokens/verify", headers=owned) == UNKNOWN
    assert await client.refused("GET", f"{client.fake.account_path}/tokens/verify", headers=owned) == UNKNOWN
    users = f"{client.fake.account_path}/tokens/verify"
    assert await client.refused("GET", users) == UNKNOWN


async def test_an_account_made_at_run_time_serves_its_zone(client: Client) -> None:
    made = await client.control("POST", "/accounts", {"name": "Third", "zones": ["example.net"]})
    theirs = bearer(made["api_token"])
    base = f"/accounts/{made['id']}"
    tunnel = await client.ok(
        "POST", f"{base}/cfd_tunnel", {"name": "t", "config_src": "cloudflare"}, headers=theirs
    )
    client.fake.tunnels.connect(tunnel["id"], hello)
    record = {"type": "CNAME", "name": "a", "content": f"{tunnel['id']}.cfargotunnel.com", "proxied": True}
    zone = made["zones"]["example.net"]
    await client.ok("POST", f"/zones/{zone}/dns_records", record, headers=theirs)
    assert (await client.visit("a.example.net")).text == "hello"
    listed = await client.ok("GET", f"{base}/cfd_tunnel", headers=theirs)
    assert [t["account_tag"] for t in listed] == [made["id"]]
    assert await client.ok("GET", f"{client.fake.account_path}/cfd_tunnel") == []
    state = await client.control("GET", f"/state?account={made['id']}")
    assert [t["id"] for t in state["tunnels"]] == [tunnel["id"]]


async def test_names_of_accounts_and_zones_are_unique(client: Client) -> None:
    url = f"http://127.0.0.1:{client.fake.ports.api}/_edge/accounts"
    for body in ({"name": "Second"}, {"name": "Third", "zones": ["EXAMPLE.com"]}):
        answer = await client.http.post(url, json=body)
        assert answer.status_code == 400
        assert "already" in answer.json()["error"]


async def test_a_tunnel_of_another_account_is_not_reached(client: Client) -> None:
    other = await second(client)
    tunnel = await client.ok(
        "POST", f"/accounts/{other['id']}/cfd_tunnel", {"name": "t"}, headers=bearer(other["api_token"])
    )
    client.fake.tunnels.connect(tunnel["id"], hello)
    monitor = await client.monitor(retries=0)
    origin = {"name": "a", "address": f"{tunnel['id']}.cfargotunnel.com"}
    pool = await client.pool("p", [origin], monitor=monitor["id"])
    await client.balancer([pool["id"]])
    assert (await client.visit("my.example.com")).status_code == 530

    async def probed() -> bool:
        return bool((await client.control("GET", "/probes"))["entries"])

    await client.until(probed)
    assert (await client.control("GET", "/probes"))["entries"][0]["response_code"] == 530


def filled(client: Client, template: str) -> str:
    ids = {"account_id": client.fake.edge.account.id, "zone_id": client.fake.zone_id, "region_id": "WNAM"}
    uuids = {"tunnel_id", "connector_id"}
    return re.sub(
        r"{(\w+)}",
        lambda m: ids.get(m[1]) or (f"{'0' * 8}-0000-4000-8000-{'0' * 12}" if m[1] in uuids else "0" * 32),
        template,
    )


async def test_without_its_permission_group_every_call_is_refused_with_10000(client: Client) -> None:
    for route in ROUTES:
        if route.permission is None:
            continue
        assert route.permission in PERMISSION_GROUPS
        beside = {p for p in PERMISSION_GROUPS if p != route.permission}
        if route.permission.endswith(" Read"):
            beside.discard(route.permission.removesuffix(" Read") + " Write")
        for permissions, refused in ((beside, True), ({route.permission}, False)):
            made = await client.control("POST", "/tokens", {"permissions": sorted(permissions)})
            answer = await client.raw(
                route.method, filled(client, route.template), {}, headers=bearer(made["token"])
            )
            errors = answer.json()["errors"]
            said = answer.status_code == 403 and errors[0]["code"] == 10000
            assert said is refused, (route.method, route.template, permissions, answer.text)


async def test_https_knows_zones_that_came_later(tmp_path: Path) -> None:
    authority = CertificateAuthority()
    authority.write(tmp_path / "ca.pem")
    zones = ["example.com"]
    tls = TlsContexts(authority.tunnel_context(), visitor_context(authority, lambda: zones, ["localhost"]))
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    async with (
        edge_with_fake_tunnels(EdgeOptions(tmp_path, seed=1), tls=tls) as fake,
        httpx.AsyncClient(verify=trust) as http,
    ):

        async def visit(name: str) -> int:
            url = f"https://127.0.0.1:{fake.ports.https}/"
            answer = await http.get(
                url, headers={"Host": name, "Connection": "close"}, extensions={"sni_hostname": name}
            )
            return answer.status_code

        assert await visit("a.example.com") == 409
        with pytest.raises(httpx.ConnectError, match="mismatch"):
            await visit("a.example.org")
        zones.append("example.org")
        assert await visit("a.example.org") == 409
