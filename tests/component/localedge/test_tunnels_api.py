"""Tunnels, their tokens, connections and configurations over HTTP."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from localedge.clock import Clock
from localedge.options import EdgeOptions
from localedge.state.store import Lags
from localedge.testing import FakeAnswer
from localedge.tunnel.interface import TunnelRequest

Client = Any
RULES = {
    "config": {
        "ingress": [{"hostname": "my.example.com", "service": "http://web"}, {"service": "http_status:404"}]
    }
}
CONNECTED = (
    400,
    1022,
    (
        "This tunnel has active connections. Please stop all cloudflared replicas, "
        "or wait a few minutes for connections to close, then try again."
    ),
)


def base(client: Client) -> str:
    return f"{client.fake.account_path}/cfd_tunnel"


async def fine(_request: TunnelRequest) -> FakeAnswer:
    return FakeAnswer()


async def test_a_new_tunnel_comes_with_its_token_and_credentials(client: Client) -> None:
    secret = base64.b64encode(bytes(range(32))).decode()
    tunnel = await client.ok("POST", base(client), {"name": "t", "tunnel_secret": secret})
    assert (tunnel["status"], tunnel["config_src"], tunnel["tun_type"]) == ("inactive", "local", "cfd_tunnel")
    assert tunnel["conns_inactive_at"] == tunnel["created_at"]
    account = client.fake.edge.account.id
    assert json.loads(base64.b64decode(tunnel["token"])) == {"a": account, "t": tunnel["id"], "s": secret}
    assert tunnel["credentials_file"] == {
        "AccountTag": account,
        "TunnelID": tunnel["id"],
        "TunnelName": "t",
        "TunnelSecret": secret,
    }
    assert await client.ok("GET", f"{base(client)}/{tunnel['id']}/token") == tunnel["token"]
    assert "connections" not in await client.ok("GET", f"{base(client)}/{tunnel['id']}")


async def test_a_name_is_free_again_once_its_tunnel_is_deleted(client: Client) -> None:
    tunnel = await client.tunnel("t")
    assert await client.refused("POST", base(client), {"name": "t"}) == (
        409,
        1013,
        (
            "You already have a tunnel with this name. Delete the existing tunnel, "
            "or choose a different name for your new tunnel."
        ),
    )
    deleted = await client.ok("DELETE", f"{base(client)}/{tunnel}")
    assert deleted["deleted_at"] is not None
    assert await client.tunnel("t") != tunnel
    assert "config_src" not in await client.ok("GET", f"{base(client)}/{tunnel}")
    assert len(await client.ok("GET", base(client))) == 1
    assert [t["id"] for t in await client.ok("GET", f"{base(client)}?is_deleted=true")] == [tunnel]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Bad request: name is required"),
        ({"name": "t", "tunnel_secret": "c2hvcnQ="}, "Bad request: tunnel_secret must be at least 32 bytes"),
        ({"name": "t", "tunnel_secret": "?"}, "Bad request: tunnel_secret must be base64"),
    ],
)
async def test_an_invalid_tunnel_is_refused(client: Client, body: dict[str, Any], message: str) -> None:
    assert (await client.refused("POST", base(client), body))[2] == message


async def test_the_listing_filters_and_ends(client: Client) -> None:
    for name in ("a-1", "a-2", "b-1"):
        await client.tunnel(name)

    async def names(query: str) -> list[str]:
        return [t["name"] for t in await client.ok("GET", f"{base(client)}?{query}")]

    assert await names("name=a-2") == ["a-2"]
    assert await names("include_prefix=a-") == ["a-1", "a-2"]
    assert await names("exclude_prefix=a-") == ["b-1"]
    assert await names("per_page=2&page=2") == ["b-1"]
    assert await names("page=5") == []
    envelope = (await client.raw("GET", f"{base(client)}?per_page=2")).json()
    assert envelope["result_info"] == {
        "page": 1,
        "per_page": 2,
        "count": 2,
        "total_count": 3,
        "total_pages": 2,
    }
    assert (await client.refused("GET", f"{base(client)}?existed_at=x"))[1] == 99001


async def test_the_status_follows_the_connections(client: Client) -> None:
    tunnel = await client.tunnel("t")

    async def status() -> str:
        return str((await client.ok("GET", f"{base(client)}/{tunnel}"))["status"])

    assert await status() == "inactive"
    few = client.fake.tunnels.connect(tunnel, fine, connections=2)
    assert await status() == "degraded"
    more = client.fake.tunnels.connect(tunnel, fine, connections=2)
    assert await status() == "healthy"
    assert [t["id"] for t in await client.ok("GET", f"{base(client)}?status=healthy")] == [tunnel]
    for connector in (few, more):
        client.fake.tunnels.leave(tunnel, connector, graceful=True)
    assert await status() == "down"


async def test_connections_are_listed_by_connector(client: Client) -> None:
    tunnel = await client.tunnel("t")
    connector = client.fake.tunnels.connect(tunnel, fine)
    listed = await client.ok("GET", f"{base(client)}/{tunnel}/connections")
    assert [(c["id"], len(c["conns"]), c["config_version"]) for c in listed] == [(connector, 4, 0)]
    assert await client.ok("GET", f"{base(client)}/{tunnel}/connectors/{connector}") == listed[0]


async def test_a_connected_tunnel_is_not_deleted_unless_by_cascade(client: Client) -> None:
    tunnel = await client.tunnel("t")
    client.fake.tunnels.connect(tunnel, fine)
    assert await client.refused("DELETE", f"{base(client)}/{tunnel}") == CONNECTED
    await client.ok("DELETE", f"{base(client)}/{tunnel}?cascade=true")

    async def disconnected() -> bool:
        return not client.fake.tunnels.connections(tunnel)

    await client.until(disconnected)


async def test_cleaned_up_connections_are_closed(client: Client) -> None:
    tunnel = await client.tunnel("t")
    kept = client.fake.tunnels.connect(tunnel, fine)
    gone = client.fake.tunnels.connect(tunnel, fine)
    await client.ok("DELETE", f"{base(client)}/{tunnel}/connections?client_id={gone}")

    async def only_kept() -> bool:
        return {c.client_id for c in client.fake.tunnels.connections(tunnel)} == {kept}

    await client.until(only_kept)


async def test_a_configuration_is_versioned_pushed_and_completed(client: Client) -> None:
    tunnel = await client.tunnel("t")
    path = f"{base(client)}/{tunnel}/configurations"
    before = await client.ok("GET", path)
    assert (before["version"], before["config"], before["source"]) == (0, None, "cloudflare")
    client.fake.tunnels.connect(tunnel, fine)
    written = await client.ok("PUT", path, RULES)
    assert (written["version"], written["config"]["warp-routing"]) == (1, {"enabled": False})
    assert (await client.ok("PUT", path, RULES))["version"] == 2

    async def pushed() -> bool:
        return [c.version for _, c in client.fake.tunnels.pushed] == [1, 2]

    await client.until(pushed)
    listed = await client.ok("GET", f"{base(client)}/{tunnel}/connections")
    assert listed[0]["config_version"] == 2


@pytest.mark.parametrize(
    ("ingress", "message"),
    [
        ([], "The config file doesn't contain any ingress rules\n"),
        (
            [{"hostname": "a.example.com", "service": "http://web"}],
            "The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)\n",
        ),
    ],
)
async def test_a_configuration_without_a_last_rule_is_refused(
    client: Client, ingress: list[Any], message: str
) -> None:
    path = f"{base(client)}/{await client.tunnel('t')}/configurations"
    refused = await client.refused("PUT", path, {"config": {"ingress": ingress}})
    assert refused == (400, 1056, f"Bad Configuration: Validation failed: {message}")


async def test_a_deleted_tunnel_has_no_configuration(client: Client) -> None:
    tunnel = await client.tunnel("t")
    await client.ok("DELETE", f"{base(client)}/{tunnel}")
    refused = await client.refused("GET", f"{base(client)}/{tunnel}/configurations")
    assert refused == (404, 1055, "Configuration for tunnel not found")


async def test_a_new_secret_lets_nobody_register_with_the_old_one(client: Client) -> None:
    tunnel = await client.tunnel("t")
    state = client.fake.edge.store.state.tunnels
    directory = client.fake.tunnels._directory
    account = client.fake.edge.account.id
    old = state[tunnel].secret
    assert directory.authenticate(account, tunnel, old) is None
    secret = base64.b64encode(b"n" * 32).decode()
    await client.ok("PATCH", f"{base(client)}/{tunnel}", {"tunnel_secret": secret, "name": "u"})
    assert directory.authenticate(account, tunnel, old) == "Unauthorized: Invalid tunnel secret"
    assert directory.authenticate(account, tunnel, b"n" * 32) is None
    await client.ok("DELETE", f"{base(client)}/{tunnel}")
    assert directory.authenticate(account, tunnel, b"n" * 32) == "Unauthorized: Tunnel not found"


@pytest.mark.parametrize("options", [EdgeOptions(Path(), lags=Lags(0, 15, 0))])
async def test_the_api_learns_of_connections_late_and_still_protects_a_live_tunnel(client: Client) -> None:
    clock: Clock = client.fake.edge.clock
    tunnel = await client.tunnel("t")
    client.fake.tunnels.connect(tunnel, fine)
    assert (await client.ok("GET", f"{base(client)}/{tunnel}"))["status"] == "inactive"
    assert await client.refused("DELETE", f"{base(client)}/{tunnel}") == CONNECTED
    clock.step(15)
    assert (await client.ok("GET", f"{base(client)}/{tunnel}"))["status"] == "healthy"
