"""Which namespaces may claim which hostnames: who may not makes nothing, blocks nobody, and loses nothing."""

from __future__ import annotations

import pytest
from resources import HOST, apply_tunnel, delete_all, tunnel
from running_world import World

from tunnelpool.domain.hostname_policy import NO_POLICY, Grant, HostnamePolicy
from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Pool

pytestmark = pytest.mark.looptime(noop_cycles=1)

REFUSED = "False/HostnameNotAllowed"
OTHERS_ONLY = HostnamePolicy((Grant(("other",), ("*.example.com",)), Grant(("default",), ("*.example.org",))))
BALANCER = {"hostname": HOST, "pools": ["static"]}
STATIC = {"origins": [{"name": "static", "address": "fallback.example.net"}]}


def apply_elsewhere(world: World, **fields: object) -> None:
    """Apply a Tunnel of the same hostname in the namespace `other`."""
    world.cluster.apply("Tunnel", "web", tunnel(replicas=1, pool="theirs", **fields), "other")


def is_ready_elsewhere(world: World) -> bool:
    return world.condition("Tunnel", "web", namespace="other") == "True/Ready"


async def test_a_claim_that_is_not_allowed_makes_nothing_and_says_what_would_be(world: World) -> None:
    async with world:
        world.hostname_policy = OTHERS_ONLY
        apply_tunnel(world)
        world.cluster.apply("LBPool", "static", STATIC)
        world.cluster.apply("LoadBalancer", "lb", BALANCER)
        await world.start()
        await world.quiet()
        for kind, name in (("Tunnel", "web"), ("LoadBalancer", "lb")):
            assert world.condition(kind, name) == REFUSED
            assert world.condition(kind, name, "Stalled") == "True/HostnameNotAllowed"
            said = world.message(kind, name)
            assert "namespace 'default' must not claim hostname 'my.example.com'" in said
            assert "'*.example.org'" in said
        assert {type(one.value) for one in world.remote.objects.values()} == {Pool}  # the addresses'
        assert not world.cluster.all("Deployment", "Secret", "PodDisruptionBudget")
        delete_all(world)
        await world.until(lambda: not world.remains())


async def test_a_further_hostname_is_judged_like_the_first(world: World) -> None:
    async with world:
        world.hostname_policy = OTHERS_ONLY
        rule = {"hostname": "api.example.com", "service": "http://api.default.svc:80"}
        apply_tunnel(world, hostname="web.example.org", ingress=[rule])
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "web") == REFUSED
        assert "'api.example.com'" in world.message("Tunnel", "web")
        assert not world.remote.objects


@pytest.mark.parametrize("older", ["Tunnel", "LoadBalancer"])
async def test_an_older_claim_that_is_not_allowed_blocks_nobody(world: World, older: str) -> None:
    async with world:
        world.hostname_policy = OTHERS_ONLY
        if older == "Tunnel":
            apply_tunnel(world, pool="theirs")
        else:
            world.cluster.apply("LBPool", "static", STATIC)
            world.cluster.apply("LoadBalancer", "web", BALANCER)
        await world.start()
        await world.quiet(for_s=20)
        apply_elsewhere(world)
        await world.quiet()
        assert is_ready_elsewhere(world), world.message("Tunnel", "web", "other")
        assert world.condition(older, "web") == REFUSED
        assert len(world.remote.answering(HOST)) == 1
        world.cluster.delete(older, "web")
        await world.until(lambda: world.cluster.get(older, "web") is None)
        await world.quiet()
        assert is_ready_elsewhere(world)
        assert len(world.remote.answering(HOST)) == 1


@pytest.mark.parametrize("pool", ["my-pool", None])
async def test_what_is_no_longer_allowed_stays_as_it_is_until_it_is_deleted(
    world: World, pool: str | None
) -> None:
    async with world:
        apply_tunnel(world, pool=pool)
        await world.start()
        await world.quiet()
        assert world.is_ready()
        before = dict(world.remote.objects)
        world.hostname_policy = OTHERS_ONLY
        await world.restart()
        await world.quiet()
        assert world.condition("Tunnel", "web") == REFUSED
        assert world.remote.objects == before
        assert world.remote.answering(HOST)
        world.hostname_policy = NO_POLICY
        await world.restart()
        await world.quiet()
        assert world.is_ready()
        assert world.remote.objects == before
        world.hostname_policy = OTHERS_ONLY
        await world.restart()
        await world.quiet()
        delete_all(world)
        await world.until(lambda: not world.remains())
        assert not world.remote.objects


async def test_a_load_balancer_that_is_no_longer_allowed_is_left_alone(world: World) -> None:
    async with world:
        world.cluster.apply("LBPool", "static", STATIC)
        world.cluster.apply("LoadBalancer", "lb", BALANCER)
        await world.start()
        await world.quiet()
        before = world.remote.only(LoadBalancer)
        world.hostname_policy = OTHERS_ONLY
        await world.restart()
        world.cluster.apply("LoadBalancer", "lb", {**BALANCER, "sessionAffinity": "cookie"})
        await world.quiet()
        assert world.condition("LoadBalancer", "lb") == REFUSED
        assert world.remote.only(LoadBalancer) == before
        delete_all(world)
        await world.until(lambda: not world.remains())


async def test_an_allowed_claim_takes_over_what_is_no_longer_allowed(world: World) -> None:
    async with world:
        apply_tunnel(world, pool="theirs")
        await world.start()
        await world.quiet()
        balancer = world.remote.only(LoadBalancer)
        world.hostname_policy = OTHERS_ONLY
        await world.restart()
        apply_elsewhere(world)
        await world.quiet()
        assert is_ready_elsewhere(world), world.message("Tunnel", "web", "other")
        assert world.condition("Tunnel", "web") == REFUSED
        assert world.remote.only(LoadBalancer).id == balancer.id
        origins = world.remote.only(Pool).value.origins
        assert [origin.name for origin in origins] == ["tunnelpool_here_0123abcd_other_web_0"]
        delete_all(world)
        await world.until(lambda: not world.remains())
        assert not world.remote.objects


async def test_one_of_two_that_are_no_longer_allowed_can_be_deleted(world: World) -> None:
    async with world:
        apply_tunnel(world, "web", replicas=1)
        apply_tunnel(world, "two", replicas=1, pool="second")
        await world.start()
        await world.quiet()
        world.hostname_policy = OTHERS_ONLY
        await world.restart()
        await world.quiet()
        world.cluster.delete("Tunnel", "web")
        await world.until(lambda: world.cluster.get("Tunnel", "web") is None)
        await world.quiet()
        assert world.remote.only(Pool).value.name == "second"
        assert len(world.remote.answering(HOST)) == 1


async def test_a_tunnel_that_may_not_have_its_pool_starts_no_connector(world: World) -> None:
    async with world:
        world.cluster.apply("LBPool", "my-pool", STATIC)
        await world.start()
        await world.quiet()
        apply_tunnel(world)
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/MixedPool"
        assert not world.cluster.all("Deployment", "Secret", "PodDisruptionBudget")
        world.cluster.delete("LBPool", "my-pool")
        await world.quiet()
        assert world.is_ready(), world.cluster.all("Tunnel", "LBPool")


async def test_a_tunnel_that_comes_into_conflict_keeps_its_connectors_and_gets_no_more(world: World) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet()
        names = {raw["metadata"]["name"] for raw in world.cluster.all("Deployment")}
        world.cluster.apply("LBPool", "my-pool", STATIC)
        apply_tunnel(world, replicas=4)
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/MixedPool"
        assert {raw["metadata"]["name"] for raw in world.cluster.all("Deployment")} == names
        assert not world.remote.all(DnsRecord)
