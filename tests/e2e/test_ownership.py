"""What is not ours stays bit-identical whatever we do beside it, unmarked or another cluster's (law 1)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from demo.scene import Scene
from demo.stage import ZONE, Stage
from demo.waiting import NotYetError, wait_for

MARK = "[tunnelpool/v1 cluster=another uid=0badf00d of={}]"
REGIONS = ["WNAM"]
WITHIN_S = 30.0
SWEPT_WITHIN_S = 150.0
Made = dict[str, tuple[str, str]]
"""By path: kind and bytes of what stands there."""


@pytest_asyncio.fixture(loop_scope="session")
async def strangers(theatre: Stage) -> AsyncIterator[Made]:
    """Make one object of each kind without a mark, and one with another cluster's; in the end they go."""
    made: list[str] = []
    for marked in (False, True):
        made += await _make(theatre, marked=marked)
    yield {path: (path.split("/")[-2], await _read(theatre, path)) for path in made}
    for path in reversed(made):
        await theatre.edge.rest("DELETE", path)


async def _make(theatre: Stage, *, marked: bool) -> list[str]:
    account = f"/accounts/{theatre.edge.facts.account_id}"
    zone = f"/zones/{theatre.edge.facts.zones[ZONE]}"
    name = "marked" if marked else "plain"
    paths: list[str] = []

    async def post(collection: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = await theatre.edge.rest("POST", collection, body)
        paths.append(f"{collection}/{answer['id']}")
        return answer

    def mark(of: str) -> str:
        return MARK.format(of) if marked else "made by hand"

    monitor = await post(
        f"{account}/load_balancers/monitors",
        {"type": "https", "expected_codes": "2xx", "description": mark("monitor/default/web")},
    )
    tunnel_name = f"tunnelpool_another_0badf00d_default_{name}_0" if marked else f"{name}-strangers-tunnel"
    tunnel = await post(f"{account}/cfd_tunnel", {"name": tunnel_name, "config_src": "cloudflare"})
    pool = await post(
        f"{account}/load_balancers/pools",
        {
            "name": f"strangers-{name}",
            "description": mark(f"pool/strangers-{name}"),
            "monitor": monitor["id"],
            "origins": [{"name": tunnel_name, "address": f"{tunnel['id']}.cfargotunnel.com", "weight": 0.25}],
            "check_regions": REGIONS,
        },
    )
    await post(
        f"{zone}/load_balancers",
        {
            "name": f"strangers-{name}.{ZONE}",
            "description": mark(f"host/strangers-{name}.{ZONE}"),
            "default_pools": [pool["id"]],
            "fallback_pool": pool["id"],
            "proxied": True,
        },
    )
    await post(
        f"{zone}/dns_records",
        {
            "type": "CNAME",
            "name": f"strangers-record-{name}.{ZONE}",
            "content": f"{tunnel['id']}.cfargotunnel.com",
            "proxied": True,
            "ttl": 1,
            "comment": mark("host/x"),
        },
    )
    return paths


async def _read(theatre: Stage, path: str) -> str:
    """Read an object without what the edge says of its health by itself."""
    found = await theatre.edge.rest("GET", path)
    found.pop("healthy", None)
    for origin in found.get("origins", ()):
        origin.pop("healthy", None)
    return json.dumps(found, sort_keys=True)


async def harmed(theatre: Stage, strangers: Made) -> list[str]:
    """Name what is not what it was, to the bit."""
    return [
        f"{kind} {path}: {was} -> {now}"
        for path, (kind, was) in strangers.items()
        if (now := await _read(theatre, path)) != was
    ]


async def origins(scene: Scene, pool: str) -> dict[str, bool]:
    """List the origins of a pool, and whether they are enabled."""
    pools = (await scene.stage.edge.state())["pools"]
    return {o["name"]: o["enabled"] for one in pools if one["name"] == pool for o in one["origins"]}


async def wait_enabled(scene: Scene, count: int) -> None:
    """Wait until so many origins of the scene's pool are enabled."""

    async def look() -> None:
        found = await origins(scene, scene.pool)
        if sum(found.values()) != count:
            raise NotYetError(str(found))

    await wait_for(f"{count} enabled origins", look, within_s=WITHIN_S)


async def test_strangers_objects_stay_as_they_are_through_all_that_we_do(
    theatre: Stage, scene: Scene, strangers: Made
) -> None:
    await scene.put("HealthCheck", "web", {"path": "/healthz"})
    await scene.put("LBPool", scene.pool, {"healthCheckRef": {"name": "web"}})
    await scene.tunnel(replicas=2)
    await scene.wait_current()
    assert await harmed(theatre, strangers) == []
    await theatre.kill_connector("web", 0, scene.namespace)
    await wait_enabled(scene, 1)
    await theatre.release_connector("web", 0, scene.namespace)
    await wait_enabled(scene, 2)
    assert await harmed(theatre, strangers) == []
    await theatre.restart_operator()
    await scene.wait_current()
    assert await harmed(theatre, strangers) == []
    for kind, name in (("tunnels", "web"), ("lbpools", scene.pool), ("healthchecks", "web")):
        await scene.delete(kind, name)
    await scene.wait_nothing_remote()
    assert await harmed(theatre, strangers) == []


async def test_names_that_strangers_have_are_left_to_them(
    theatre: Stage, scene: Scene, strangers: Made
) -> None:
    for name in ("plain", "marked"):
        await scene.put(
            "LBPool",
            f"strangers-{name}",
            {"origins": [{"name": "ours", "address": "ours.example.net"}], "sharing": "Shared"},
        )
        await scene.tunnel(name, hostname=f"strangers-{name}.{ZONE}", replicas=1)
    for name in ("plain", "marked"):
        await scene.wait_reason("lbpools", f"strangers-{name}", "NameInUse")
        await scene.wait_reason("tunnels", name, "HostnameInUse")
        await scene.wait_reason("tunnels", name, "Ready", kind="Connected")
    assert await harmed(theatre, strangers) == []
    await scene.delete("lbpools", "strangers-plain", "strangers-marked")
    await scene.delete("tunnels", "plain", "marked")
    assert await harmed(theatre, strangers) == []


@pytest.mark.full
async def test_an_origin_made_by_hand_is_kept_or_not_as_the_pool_says(theatre: Stage, scene: Scene) -> None:
    pools = {f"{scene.pool}-{policy.lower()}": policy for policy in ("Report", "Correct")}
    for pool, policy in pools.items():
        await scene.put("LBPool", pool, {"driftPolicy": policy})
        host = f"{policy.lower()}-{scene.hostname}"
        await scene.tunnel(policy.lower(), hostname=host, pool=pool, replicas=1)
    await scene.wait_current()
    hand = {"name": "by-hand", "address": "192.0.2.77", "enabled": True, "weight": 0.5}
    for found in (await theatre.edge.state())["pools"]:
        if found["name"] in pools:
            path = f"/accounts/{theatre.edge.facts.account_id}/load_balancers/pools/{found['id']}"
            await theatre.edge.rest("PATCH", path, {"origins": [*found["origins"], hand]})

    async def look(pool: str, *, kept: bool) -> None:
        if ("by-hand" in await origins(scene, pool)) is not kept:
            raise NotYetError(str(await origins(scene, pool)))

    corrected, reported = f"{scene.pool}-correct", f"{scene.pool}-report"
    await wait_for("the origin to go", partial(look, corrected, kept=False), within_s=SWEPT_WITHIN_S)
    await scene.wait_reason("lbpools", reported, "Drifted", kind="Drifted")
    await look(reported, kept=True)
