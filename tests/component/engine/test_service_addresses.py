"""The address of a Service of type LoadBalancer is followed, and a pool never becomes empty by it."""

from __future__ import annotations

from typing import Any

import pytest
from resources import apply_static, apply_tunnel, patch
from running_world import World

from tunnelpool.domain.remote import Pool

pytestmark = pytest.mark.looptime(noop_cycles=1)
FIRST, SECOND = {"ip": "203.0.113.7"}, {"hostname": "LB-2.example.net"}


def service(world: World, *ingress: dict[str, str], name: str = "shop", kind: str = "LoadBalancer") -> None:
    """Write a Service as its user and the cloud's controller do."""
    there = world.cluster.get("Service", name) or {"metadata": {"name": name, "namespace": "default"}}
    spec = {"type": kind, "ports": [{"port": 443}]}
    status = {"loadBalancer": {"ingress": list(ingress)} if ingress else {}}
    world.cluster.write({**there, "apiVersion": "v1", "kind": "Service", "spec": spec, "status": status})


def apply_pool(world: World, *origins: dict[str, Any], name: str = "static") -> None:
    """Apply a pool of addresses; by default of the one Service."""
    given = list(origins) or [{"name": "shop", "serviceRef": {"name": "shop"}, "port": 8443}]
    world.cluster.apply("LBPool", name, {"origins": given})


def addresses(world: World, pool: str = "static") -> dict[str, str]:
    """Tell where the enabled origins of a pool are reached, by name; empty if there is no pool."""
    return {name: one.address for name, one in world.origins(pool).items() if one.enabled}


def ready(world: World) -> str:
    """Read the condition `Ready` of the pool."""
    return world.condition("LBPool", "static")


async def test_the_address_is_followed_and_of_several_the_present_one_stays(world: World) -> None:
    async with world:
        service(world, FIRST)
        apply_pool(world)
        await world.start()
        await world.quiet()
        assert addresses(world) == {"shop": "203.0.113.7"}
        assert world.origins("static")["shop"].port == 8443
        written = len(world.remote.log)
        service(world, SECOND, FIRST)
        await world.quiet()
        assert addresses(world) == {"shop": "203.0.113.7"}
        assert len(world.remote.log) == written
        service(world, SECOND)
        await world.quiet()
        assert addresses(world) == {"shop": "lb-2.example.net"}
        assert len(world.remote.log) == written + 1
        assert ready(world) == "True/Ready"


async def test_without_address_the_origin_is_left_out_and_the_others_work_on(world: World) -> None:
    async with world:
        service(world)
        apply_pool(
            world, {"name": "shop", "serviceRef": {"name": "shop"}}, {"name": "b", "address": "192.0.2.1"}
        )
        await world.start()
        await world.quiet()
        assert addresses(world) == {"b": "192.0.2.1"}
        assert ready(world) == "False/WaitingForAddress"
        service(world, FIRST)
        await world.quiet()
        assert addresses(world) == {"b": "192.0.2.1", "shop": "203.0.113.7"}
        assert ready(world) == "True/Ready"


async def test_a_pool_of_one_service_waits_for_its_first_address(world: World) -> None:
    async with world:
        apply_pool(world)
        await world.start()
        await world.quiet()
        assert ready(world) == "False/ServiceNotFound"
        service(world)
        await world.quiet()
        assert ready(world) == "False/WaitingForAddress"
        assert world.remote.all(Pool) == []
        service(world, FIRST)
        await world.quiet()
        assert addresses(world) == {"shop": "203.0.113.7"}


async def test_an_address_that_is_lost_for_the_moment_stays_in_the_pool(world: World) -> None:
    async with world:
        service(world, FIRST)
        apply_pool(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        service(world)
        await world.quiet()
        assert addresses(world) == {"shop": "203.0.113.7"}
        assert ready(world) == "False/WaitingForAddress"
        assert "keeps '203.0.113.7'" in world.message("LBPool", "static")
        await world.restart()
        await world.quiet()
        assert len(world.remote.log) == written
        assert addresses(world) == {"shop": "203.0.113.7"}


async def test_the_origin_of_a_deleted_service_goes_and_the_last_one_is_switched_off(world: World) -> None:
    async with world:
        service(world, FIRST)
        apply_pool(
            world, {"name": "shop", "serviceRef": {"name": "shop"}}, {"name": "b", "address": "192.0.2.1"}
        )
        apply_tunnel(world)
        world.cluster.apply("LBPool", "my-pool", {"fallbackRef": {"name": "static"}})
        await world.start()
        await world.until(world.is_ready)
        world.cluster.delete("Service", "shop")
        await world.quiet()
        assert addresses(world) == {"b": "192.0.2.1"}
        assert ready(world) == "False/ServiceNotFound"
        service(world, FIRST)
        apply_pool(world)
        await world.until(world.is_ready)
        world.cluster.delete("Service", "shop")
        await world.quiet()
        assert set(world.origins("static")) == {"shop"}  # a load balancer refers to the pool
        assert addresses(world) == {}  # and the address may be somebody else's by now
        service(world, SECOND)
        await world.until(world.is_ready)
        assert addresses(world) == {"shop": "lb-2.example.net"}


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "ExternalName"])
async def test_a_service_of_another_type_is_refused_in_words(world: World, kind: str) -> None:
    async with world:
        service(world, kind=kind)
        apply_pool(world)
        await world.start()
        await world.quiet()
        assert ready(world) == "False/NotALoadBalancer"
        assert f"has type '{kind}'" in world.message("LBPool", "static")
        service(world, FIRST)
        await world.quiet()
        assert ready(world) == "True/Ready"


async def test_two_origins_that_meet_in_one_address_are_one_and_the_other_is_told(world: World) -> None:
    async with world:
        service(world, FIRST)
        apply_pool(
            world, {"name": "a", "address": "203.0.113.7"}, {"name": "shop", "serviceRef": {"name": "shop"}}
        )
        await world.start()
        await world.quiet()
        assert addresses(world) == {"a": "203.0.113.7"}
        assert ready(world) == "False/AddressTwice"
        service(world, SECOND)
        await world.quiet()
        assert ready(world) == "True/Ready"


async def test_a_service_takes_the_place_of_an_address_in_one_write(world: World) -> None:
    async with world:
        apply_static(world)
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        origin = {"name": "static", "serviceRef": {"name": "shop"}}
        patch(world, "LBPool", "static", origins=[origin])
        service(world)
        await world.quiet()
        assert addresses(world) == {"static": "fallback.example.net"}
        service(world, FIRST)
        await world.quiet()
        assert addresses(world) == {"static": "203.0.113.7"}
        assert len(world.remote.log) == written + 2  # the Host header, then the address
