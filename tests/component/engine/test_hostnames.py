"""A Tunnel of several hostnames: each is answered as its own rule says, and leaves as it came."""

from __future__ import annotations

import pytest
from resources import HOST, apply_tunnel, delete_all, patch
from running_world import World

from tunnelpool.domain.json import thaw
from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Pool, tunnel_address
from tunnelpool.plan.steps import PutConfiguration

pytestmark = pytest.mark.looptime(noop_cycles=1)

API = "api.example.com"
DOCS = "docs.example.com"
SERVICE = "http://api.default.svc:80"


def rule(hostname: str, **fields: object) -> dict[str, object]:
    return {"hostname": hostname, "service": SERVICE, **fields}


async def test_a_further_hostname_joins_its_own_pool_with_its_own_host_header(world: World) -> None:
    async with world:
        apply_tunnel(world, ingress=[rule(API, pool="api")])
        await world.start()
        await world.quiet()
        assert world.is_ready(), world.message("Tunnel", "web")
        for pool, hostname in (("my-pool", HOST), ("api", API)):
            assert {o.host for o in world.remote.named(Pool, pool).value.origins} == {hostname}
            assert len(world.remote.answering(hostname)) == 2
        assert {one.value.name for one in world.remote.all(LoadBalancer)} == {HOST, API}
        status = world.status("Tunnel", "web")
        assert status["billableOrigins"] == 4
        (further,) = status["furtherHosts"]
        assert (further["hostname"], further["answeredBy"]) == (API, "LoadBalancer")
        assert (further["pool"]["name"], further["pool"]["origins"]) == ("api", 2)
        assert further["loadBalancer"]["servingPools"] == ["api"]


async def test_a_further_hostname_without_pool_gets_a_cname(world: World) -> None:
    async with world:
        apply_tunnel(world, ingress=[rule(DOCS)])
        await world.start()
        await world.quiet()
        assert world.is_ready(), world.message("Tunnel", "web")
        assert world.remote.only(DnsRecord).value.name == DOCS
        assert len(world.remote.answering(DOCS)) == 1
        assert world.status("Tunnel", "web")["furtherHosts"] == [{"hostname": DOCS, "answeredBy": "CNAME"}]


async def test_a_hostname_that_is_added_is_known_to_the_tunnels_before_it_is_answered(world: World) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet()
        start = len(world.remote.log)
        patch(world, "Tunnel", "web", ingress=[rule(DOCS), rule(API, pool="api")])
        await world.quiet()
        assert world.is_ready(), world.message("Tunnel", "web")
        calls = [type(step).__name__ for step in world.remote.log[start:]]
        assert calls[:2] == ["PutConfiguration", "PutConfiguration"]
        assert "PutConfiguration" not in calls[2:]


async def test_a_hostname_that_is_taken_away_leaves_nothing(world: World) -> None:
    async with world:
        apply_tunnel(world, ingress=[rule(DOCS), rule(API, pool="api")])
        await world.start()
        await world.quiet()
        patch(world, "Tunnel", "web", ingress=None)
        await world.quiet()
        assert world.is_ready(), world.message("Tunnel", "web")
        assert world.remote.all(DnsRecord) == []
        assert {one.value.name for one in world.remote.all(LoadBalancer)} == {HOST}
        assert {one.value.name for one in world.remote.all(Pool)} == {"my-pool"}
        assert "furtherHosts" not in world.status("Tunnel", "web")


async def test_a_tunnel_of_several_hostnames_is_deleted_with_all_of_them(world: World) -> None:
    async with world:
        apply_tunnel(world, ingress=[rule(DOCS), rule(API, pool="api")])
        await world.start()
        await world.quiet()
        delete_all(world)
        await world.until(lambda: world.cluster.get("Tunnel", "web") is None)
        assert [*world.remote.all(Pool), *world.remote.all(LoadBalancer), *world.remote.all(DnsRecord)] == []


async def test_the_rules_keep_their_order_and_the_tunnels_own_comes_after_them(world: World) -> None:
    async with world:
        apply_tunnel(
            world,
            replicas=1,
            ingress=[
                rule(HOST, path="^/b/", originRequest={"noTLSVerify": True}),
                rule(HOST, path="^/a/"),
                rule(DOCS),
            ],
        )
        await world.start()
        await world.quiet()
        (config,) = [step.config for step in world.remote.log if isinstance(step, PutConfiguration)]
        assert thaw(config) == {
            "ingress": [
                {
                    "hostname": HOST,
                    "path": "^/b/",
                    "service": SERVICE,
                    "originRequest": {"noTLSVerify": True},
                },
                {"hostname": HOST, "path": "^/a/", "service": SERVICE},
                {"hostname": DOCS, "service": SERVICE},
                {"hostname": HOST, "service": "http://web.default.svc:8080"},
                {"service": "http_status:404"},
            ]
        }


async def test_the_cname_turns_to_a_connected_tunnel_when_its_own_is_lost(world: World) -> None:
    async with world:
        apply_tunnel(world, ingress=[rule(DOCS)])
        await world.start()
        await world.quiet()
        ids = [one["tunnelID"] for one in world.status("Tunnel", "web")["origins"]]
        assert world.remote.only(DnsRecord).value.content == tunnel_address(ids[0])
        world.pods.kill("web-connector-0", hold=True)
        turned = tunnel_address(ids[1])
        await world.until(lambda: world.remote.only(DnsRecord).value.content == turned, within_s=120)
        world.pods.release("web-connector-0")
        await world.quiet()
        assert world.remote.only(DnsRecord).value.content == turned  # no need to turn back


async def test_a_scaled_down_tunnel_stays_until_its_cname_points_elsewhere(world: World) -> None:
    async with world:
        apply_tunnel(world, ingress=[rule(DOCS)])
        await world.start()
        await world.quiet()
        ids = [one["tunnelID"] for one in world.status("Tunnel", "web")["origins"]]
        world.pods.kill("web-connector-0", hold=True)
        last = tunnel_address(ids[1])
        await world.until(lambda: world.remote.only(DnsRecord).value.content == last, within_s=120)
        world.pods.release("web-connector-0")
        await world.quiet()
        start = len(world.remote.log)
        patch(world, "Tunnel", "web", replicas=1)
        await world.quiet()
        assert world.remote.only(DnsRecord).value.content == tunnel_address(ids[0])
        steps = [str(step) for step in world.remote.log[start:]]
        turned = next(i for i, step in enumerate(steps) if DOCS in step)
        removed = next(i for i, step in enumerate(steps) if "Delete(" in step and ids[1] in step)
        assert turned < removed


async def test_two_hostnames_in_one_pool_at_cloudflare_are_refused_in_words(world: World) -> None:
    async with world:
        world.cluster.apply("LBPool", "api", {"name": "my-pool"})
        apply_tunnel(world, ingress=[rule(API, pool="api")])
        await world.start()
        await world.until(lambda: world.condition("Tunnel", "web") == "False/PoolNamedTwice")
        assert "cannot hold one tunnel twice" in world.message("Tunnel", "web")


async def test_a_further_hostname_in_no_zone_is_told(world: World) -> None:
    async with world:
        apply_tunnel(world, ingress=[rule("app.elsewhere.test")])
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/ZoneNotFound"
        assert "app.elsewhere.test" in world.message("Tunnel", "web")
        assert len(world.remote.answering(HOST)) == 2


async def test_a_foreign_record_at_a_further_hostname_is_kept_and_told(world: World) -> None:
    async with world:
        foreign = DnsRecord(DOCS, "CNAME", "somewhere.example.net")
        world.remote.put(foreign, "zone-com")
        apply_tunnel(world, ingress=[rule(DOCS)])
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/HostnameInUse"
        assert world.remote.only(DnsRecord).value == foreign
        assert len(world.remote.answering(HOST)) == 2
