"""A Tunnel that follows a workload has as many origins as that has replicas, and never writes to it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from resources import HOST, apply_tunnel, patch
from running_world import World

from tunnelpool.domain.remote import Tunnel
from tunnelpool.engine.room import HOLDS_S

pytestmark = pytest.mark.looptime(noop_cycles=1)
SELECTOR = {"matchLabels": {"app": "shop"}}
FOLLOWS = {"workloadRef": {"name": "shop"}}


def workload(
    world: World, replicas: int | None = 3, *, kind: str = "Deployment", image: str = "shop:1", ready: int = 0
) -> None:
    """Write a workload as its user and its controller do."""
    there = world.cluster.get(kind, "shop") or {"metadata": {"name": "shop", "namespace": "default"}}
    spec: dict[str, Any] = {"selector": SELECTOR, "template": {"spec": {"containers": [{"image": image}]}}}
    if replicas is not None:
        spec["replicas"] = replicas
    status = {"readyReplicas": ready}
    world.cluster.write({**there, "apiVersion": "apps/v1", "kind": kind, "spec": spec, "status": status})


def following(world: World) -> str:
    """Read the condition `Following`."""
    return world.condition("Tunnel", "web", "Following")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize("registration", ["PerReplica", "Shared"])
async def test_connectors_follow_the_replicas_in_both_directions_without_an_edit_of_the_tunnel(
    world: World, kind: str, registration: str
) -> None:
    async with world:
        workload(world, 3, kind=kind)
        apply_tunnel(world, workloadRef={"kind": kind, "name": "shop"}, registration=registration)
        await world.start()
        for replicas in (3, 5, 1, None, 2):  # none said is 1
            workload(world, replicas, kind=kind)
            await world.quiet()
            shared = registration == "Shared"
            assert world.is_ready()
            assert len(world.enabled("my-pool")) == (1 if shared else replicas or 1)
            assert world.pods.ready() == (replicas or 1)
            assert following(world) == "True/Following"
            assert world.status("Tunnel", "web")["replicas"] == (replicas or 1)


async def test_an_application_rolled_ten_times_leaves_exactly_three_origins_and_costs_no_write(
    world: World,
) -> None:
    """The story of cloudflared #247: each roll registered origins anew until the pool was full."""
    async with world:
        workload(world, 3, ready=3)
        apply_tunnel(world, **FOLLOWS)
        await world.start()
        await world.quiet()
        origins, tunnels, written = world.origins("my-pool"), world.remote.all(Tunnel), world.writes()
        assert len(origins) == len(tunnels) == 3
        for roll in range(10):
            for ready in (3, 2, 3):  # a pod more, a pod less: the number that is asked for stays
                workload(world, 3, image=f"shop:{roll + 2}", ready=ready)
                await world.quiet(for_s=5.0)
        await world.quiet()
        assert world.origins("my-pool") == origins
        assert world.remote.all(Tunnel) == tunnels
        assert world.writes() == written


async def test_origins_stay_as_they_are_while_the_workload_is_not_there(world: World) -> None:
    async with world:
        workload(world, 3)
        apply_tunnel(world, **FOLLOWS)
        await world.start()
        await world.quiet()
        remote, written = len(world.remote.log), len(world.cluster.log)
        world.cluster.delete("Deployment", "shop")
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/WorkloadNotFound"
        assert following(world) == "False/WorkloadNotFound"
        assert "keeps its 3 connectors" in world.message("Tunnel", "web")
        assert len(world.enabled("my-pool")) == world.pods.ready() == 3
        assert len(world.remote.log) == remote
        assert set(world.cluster.log[written:]) == {"status Tunnel default/web"}  # pods keep their affinity
        await world.restart()
        await world.quiet()
        assert len(world.enabled("my-pool")) == 3
        workload(world, 3)
        await world.quiet()
        assert world.is_ready()
        assert len(world.remote.log) == remote


async def test_a_tunnel_that_is_applied_before_its_workload_waits_for_it(world: World) -> None:
    async with world:
        apply_tunnel(world, **FOLLOWS)
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/WorkloadNotFound"
        assert world.remote.all(Tunnel) == []
        workload(world, 2)
        await world.quiet()
        assert world.is_ready()
        assert len(world.enabled("my-pool")) == 2


async def test_a_workload_scaled_to_nothing_takes_all_origins_out_by_the_drain(world: World) -> None:
    async with world:
        workload(world, 2)
        apply_tunnel(world, **FOLLOWS)
        await world.start()
        await world.quiet()
        workload(world, 0)
        await world.until(lambda: not world.origins("my-pool"))
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/NoOrigins"
        assert "Deployment 'shop' has no replicas" in world.message("Tunnel", "web")
        assert world.remote.objects == {}
        workload(world, 2)
        await world.quiet()
        assert world.is_ready()


async def test_more_replicas_than_a_tunnel_may_have_connectors_are_told(world: World) -> None:
    async with world:
        workload(world, 50)
        apply_tunnel(world, **FOLLOWS, registration="Shared")
        await world.start()
        await world.quiet()
        assert world.pods.ready() == 20
        assert world.is_ready()
        assert following(world) == "False/TooManyReplicas"
        workload(world, 4)
        await world.quiet()
        assert following(world) == "True/Following"


async def test_connectors_prefer_the_nodes_of_the_workloads_pods(world: World) -> None:
    async with world:
        workload(world, 1)
        apply_tunnel(world, **FOLLOWS)
        await world.start()
        await world.quiet()
        made = world.cluster.get("Deployment", "web-connector-0")
        assert made is not None
        (preferred,) = made["spec"]["template"]["spec"]["affinity"]["podAffinity"][
            "preferredDuringSchedulingIgnoredDuringExecution"
        ]
        assert preferred["podAffinityTerm"] == {
            "labelSelector": SELECTOR,
            "topologyKey": "kubernetes.io/hostname",
        }


async def test_nothing_of_the_workload_is_changed_and_all_of_it_stays_when_the_tunnel_goes(
    world: World,
) -> None:
    async with world:
        workload(world, 2)
        before = world.cluster.get("Deployment", "shop")
        apply_tunnel(world, **FOLLOWS)
        await world.start()
        await world.quiet()
        world.cluster.delete("Tunnel", "web")
        await world.quiet()
        assert world.cluster.get("Deployment", "shop") == before
        assert world.remains() == ["Deployment shop"]


async def test_a_tunnel_that_stops_following_has_the_number_that_it_says(world: World) -> None:
    async with world:
        workload(world, 4)
        apply_tunnel(world, **FOLLOWS)
        await world.start()
        await world.quiet()
        patch(world, "Tunnel", "web", workloadRef=None, replicas=3)
        await world.quiet()
        assert world.is_ready()
        assert len(world.enabled("my-pool")) == 3
        assert following(world) == ""
        made = world.cluster.get("Deployment", "web-connector-0")
        assert made is not None
        assert "affinity" not in made["spec"]["template"]["spec"]


@pytest.mark.parametrize("first", [1, 5])
async def test_a_plan_with_fewer_origins_than_replicas_keeps_those_that_fit_and_says_so(
    world: World, first: int
) -> None:
    async with world:
        world.remote.max_origins = 3
        workload(world, first)
        apply_tunnel(world, **FOLLOWS)
        await world.start()
        await world.quiet()
        before = world.enabled("my-pool")
        workload(world, 5)
        await world.quiet()
        assert before <= world.enabled("my-pool")
        assert len(world.enabled("my-pool")) == 3
        assert world.condition("Tunnel", "web") == "False/PlanLimit"
        assert "2 of 5 origins do not fit" in world.message("Tunnel", "web")
        assert world.remote.answering(HOST)
        world.remote.max_origins = 20
        await world.until(world.is_ready, within_s=HOLDS_S + 120)
        assert len(world.enabled("my-pool")) == 5


async def test_an_origin_is_taken_out_and_put_back_also_where_another_does_not_fit(world: World) -> None:
    async with world:
        world.remote.max_origins = 3
        workload(world, 4)
        apply_tunnel(world, **FOLLOWS)
        await world.start()
        await world.quiet()
        (some, *_) = sorted(world.enabled("my-pool"))
        world.pods.kill(f"web-connector-{some}", hold=True)
        await world.until(lambda: some not in world.enabled("my-pool"), within_s=5.0)
        world.pods.release(f"web-connector-{some}")
        await world.until(lambda: some in world.enabled("my-pool"), within_s=60.0)


async def test_a_plan_that_is_too_small_is_asked_four_times_an_hour_and_no_more(world: World) -> None:
    async with world:
        world.remote.max_origins = 2
        workload(world, 3)
        apply_tunnel(world, **FOLLOWS)
        await world.start()
        await world.quiet()
        refused, written = world.remote.refused, world.writes()
        await asyncio.sleep(3600.0)
        assert 3 <= world.remote.refused - refused <= 5
        assert world.writes() == written


async def test_a_pool_of_addresses_that_does_not_fit_says_so_too(world: World) -> None:
    async with world:
        world.remote.max_origins = 2
        origins = [{"name": f"o{n}", "address": f"192.0.2.{n}"} for n in range(1, 4)]
        world.cluster.apply("LBPool", "static", {"origins": origins})
        await world.start()
        await world.quiet()
        assert len(world.enabled("static")) == 2
        assert world.condition("LBPool", "static") == "False/PlanLimit"


async def test_a_plan_that_allows_fewer_than_there_are_takes_none_away_and_says_so(world: World) -> None:
    async with world:
        workload(world, 3)
        apply_tunnel(world, **FOLLOWS)
        await world.start()
        await world.quiet()
        world.remote.max_origins = 2
        patch(world, "Tunnel", "web", weight=0.5)
        await world.until(lambda: world.condition("Tunnel", "web") == "False/PlanLimit", within_s=120.0)
        assert len(world.enabled("my-pool")) == 3
        refused = world.remote.refused
        await asyncio.sleep(600.0)
        assert world.remote.refused - refused <= 11  # once a minute at most, as whatever is refused
        world.remote.max_origins = None
        await world.until(world.is_ready, within_s=1200.0)
        assert {one.weight for one in world.origins("my-pool").values()} == {0.5}
