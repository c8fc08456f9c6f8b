"""Rules of a LoadBalancer: their pools come and go like those of the load balancer itself."""

from __future__ import annotations

from typing import Any

import pytest
from resources import HOST, apply_static, apply_tunnel, delete_all, patch
from running_world import World

from tunnelpool.domain.json import thaw
from tunnelpool.domain.remote import LoadBalancer, Pool
from tunnelpool.plan.steps import Update

pytestmark = pytest.mark.looptime(noop_cycles=1)

CONDITION = 'http.request.uri.path contains "/api/"'
RULE = {"name": "api", "condition": CONDITION, "overrides": {"pools": ["api"]}}
BALANCER = {"hostname": HOST, "pools": ["my-pool"], "rules": [RULE]}


def overrides(world: World) -> dict[str, Any]:
    """Read what the one rule changes at Cloudflare."""
    (rule,) = thaw(world.remote.only(LoadBalancer).value.rules)
    assert rule["condition"] == CONDITION
    found: dict[str, Any] = rule["overrides"]
    return found


async def test_the_pool_of_a_rule_comes_goes_and_comes_back_with_its_origins(world: World) -> None:
    async with world:
        apply_tunnel(world)
        apply_tunnel(world, "api", pool="api", replicas=1)
        world.cluster.apply("LoadBalancer", "lb", BALANCER)
        await world.start()
        await world.quiet()
        assert world.is_ready(), world.message("LoadBalancer", "lb")
        balancer = world.remote.only(LoadBalancer)
        main = world.remote.named(Pool, "my-pool").id
        assert balancer.value.default_pools == (main,)
        assert overrides(world) == {"default_pools": [world.remote.named(Pool, "api").id]}
        patch(world, "Tunnel", "api", replicas=0)
        await world.quiet()
        assert [one.value.name for one in world.remote.all(Pool)] == ["my-pool"]
        assert overrides(world) == {"default_pools": [main]}
        assert world.condition("LoadBalancer", "lb") == "False/WaitingForPool"
        patch(world, "Tunnel", "api", replicas=1)
        await world.quiet()
        assert world.is_ready(), world.message("LoadBalancer", "lb")
        assert overrides(world) == {"default_pools": [world.remote.named(Pool, "api").id]}
        assert world.remote.only(LoadBalancer).id == balancer.id
        delete_all(world)
        await world.until(lambda: not world.remains())


async def test_one_changed_rule_is_one_write_and_none_at_rest(world: World) -> None:
    async with world:
        apply_static(world, "my-pool")
        apply_static(world, "api", origins=[{"name": "a", "address": "api.example.net"}])
        world.cluster.apply("LoadBalancer", "lb", BALANCER)
        await world.start()
        await world.quiet()
        assert world.is_ready(), world.message("LoadBalancer", "lb")
        before = len(world.remote.log)
        await world.restart()
        await world.quiet(for_s=700)
        assert len(world.remote.log) == before
        patch(world, "LoadBalancer", "lb", rules=[{**RULE, "disabled": True}])
        await world.quiet()
        (step,) = world.remote.log[before:]
        assert isinstance(step, Update)
        assert [change.field for change in step.changes] == ["rules"]


async def test_an_address_pool_that_a_rule_names_cannot_go_before_the_rule(world: World) -> None:
    async with world:
        apply_static(world, "my-pool")
        apply_static(world, "api", origins=[{"name": "a", "address": "api.example.net"}])
        world.cluster.apply("LoadBalancer", "lb", BALANCER)
        await world.start()
        await world.quiet()
        world.cluster.delete("LBPool", "api")
        await world.quiet()
        assert world.condition("LBPool", "api") == "False/DeletionBlocked"
        assert f"load balancer '{HOST}' still refers to it" in world.message("LBPool", "api")
        patch(world, "LoadBalancer", "lb", rules=None)
        await world.until(lambda: world.cluster.get("LBPool", "api") is None)
        assert [one.value.name for one in world.remote.all(Pool)] == ["my-pool"]


async def test_a_load_balancer_that_answers_dns_alone_takes_no_pool_of_tunnels(world: World) -> None:
    async with world:
        apply_tunnel(world)
        apply_static(world)
        spec = {"hostname": "dns.example.com", "pools": ["static"], "fallbackRef": {"name": "static"}}
        world.cluster.apply("LoadBalancer", "dns", {**spec, "proxied": False, "ttlSeconds": 60})
        world.cluster.apply(
            "LoadBalancer",
            "both",
            {**spec, "hostname": "b.example.com", "proxied": False, "pools": ["static", "my-pool"]},
        )
        await world.start()
        await world.quiet()
        assert world.condition("LoadBalancer", "dns") == "True/Ready", world.message("LoadBalancer", "dns")
        made = world.remote.named(LoadBalancer, "dns.example.com").value
        assert (made.proxied, made.ttl) == (False, 60)
        assert world.condition("LoadBalancer", "both") == "False/ProxyRequired"
        assert world.condition("LoadBalancer", "both", "Stalled") == "True/ProxyRequired"
        assert "pool 'my-pool' holds tunnel origins" in world.message("LoadBalancer", "both")
