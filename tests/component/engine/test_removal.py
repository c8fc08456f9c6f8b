"""Scaling down, leaving, deleting: through the pool, in order, to the end, and nothing but our own."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from resources import HOST, KINDS, apply_quickstart, apply_static, apply_tunnel, delete_all, patch
from running_world import OWNER, PROBE_EVERY_S, World

from tunnelpool.domain.ownership import Mark, Owner, TunnelName
from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Monitor, Origin, Pool, RemoteValue, Tunnel
from tunnelpool.plan.steps import Delete, Update

pytestmark = pytest.mark.looptime(noop_cycles=1)

OTHER = Owner("there", "89abcdef")


def put_decoys(world: World) -> dict[str, RemoteValue]:
    """Put objects of others beside ours: unmarked, and of another cluster."""
    pool = world.remote.put(
        Pool("decoy", (Origin("one", "192.0.2.1"),), description="hands off", check_regions=("WEU",))
    )
    for value in (
        Monitor("not yours"),
        Monitor(str(Mark(OTHER, "monitor/default/web"))),
        Pool("theirs", (Origin("one", "192.0.2.1"),), description=str(Mark(OTHER, "pool/theirs"))),
        Tunnel("tunnelpool"),
        Tunnel(str(TunnelName(OTHER, "default", "web", 0))),
    ):
        world.remote.put(value)
    world.remote.put(LoadBalancer("decoy.example.com", (pool,), pool), "zone-com")
    world.remote.put(DnsRecord("other.example.com", "CNAME", "elsewhere.example.net"), "zone-com")
    world.remote.put(DnsRecord(HOST, "TXT", "a text at our own host name", proxied=False), "zone-com")
    return {id_: one.value for id_, one in world.remote.objects.items()}


async def test_scaled_3_1_0_2_each_step_ends_in_a_true_status(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        patch(world, "LBPool", "my-pool", minimumOrigins=1)
        for replicas in (1, 0, 2):
            patch(world, "Tunnel", "web", replicas=replicas)
            await world.quiet()
            wanted = {str(slot) for slot in range(replicas)}
            assert world.enabled("my-pool") == set(world.origins("my-pool")) == wanted
            assert len(world.remote.all(Tunnel)) == replicas
            assert len(world.cluster.all("Deployment")) == len(world.cluster.all("Secret")) == replicas
            assert world.pods.ready() == replicas
            status = world.status("Tunnel", "web")
            assert status["billableOrigins"] == status["replicas"] == replicas
            if replicas:
                assert world.is_ready()
                assert len(world.remote.answering(HOST)) == replicas
            else:
                assert world.condition("Tunnel", "web") == "False/NoOrigins"
                assert world.condition("LBPool", "my-pool") == "False/NoOrigins"
                assert not [p for p in world.remote.all(Pool) if p.value.name == "my-pool"]


async def test_a_removed_origin_is_disabled_then_drained_then_dropped_then_its_connector_ends(
    world: World,
) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        patch(world, "LBPool", "my-pool", minimumOrigins=1)
        await world.quiet()
        start, asked = len(world.remote.log), world.remote.clock.monotonic()
        patch(world, "Tunnel", "web", replicas=2, drainSeconds=20)
        await world.until(lambda: world.enabled("my-pool") == {"0", "1"}, within_s=5)
        assert world.status("Tunnel", "web")["origins"][2]["state"] == "Draining"
        await world.until(lambda: "2" not in world.origins("my-pool"))
        assert world.remote.clock.monotonic() - asked >= 20
        assert world.remote.is_connected(next(t.id for t in world.remote.all(Tunnel) if t.title[-1] == "2"))
        await world.quiet()
        assert len(world.remote.all(Tunnel)) == 2
        kinds = [type(step).__name__ for step in world.remote.log[start:]]
        assert kinds == ["Update", "Update", "CloseConnections", "Delete"]


async def test_a_replica_leaves_only_once_one_that_came_back_is_healthy(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        patch(world, "LBPool", "my-pool", minimumOrigins=1)
        world.pods.kill("web-connector-0", hold=True)
        await world.until(lambda: world.enabled("my-pool") == {"1", "2"}, within_s=5)
        world.remote.probe()
        await asyncio.sleep(PROBE_EVERY_S - 20)  # the next round of probes is not near
        world.pods.release("web-connector-0")
        await world.until(lambda: world.enabled("my-pool") == {"0", "1", "2"}, within_s=30)
        patch(world, "Tunnel", "web", replicas=2)
        await world.until(lambda: world.condition("LBPool", "my-pool") == "False/WaitingForHealth")
        assert world.condition("Tunnel", "web") == "False/WaitingForHealth"
        assert world.enabled("my-pool") == {"0", "1", "2"}
        world.remote.probe()
        await world.until(lambda: world.enabled("my-pool") == {"0", "1"}, within_s=90)
        await world.quiet()
        assert world.is_ready()


async def test_a_deleted_tunnel_waits_for_the_verdict_on_the_one_that_follows_it_and_says_so(
    world: World,
) -> None:
    async with world:
        apply_quickstart(world, replicas=2)
        await world.start()
        await world.quiet()
        world.remote.probe()
        await asyncio.sleep(PROBE_EVERY_S - 40)
        apply_tunnel(world, "next", replicas=2)
        await world.until(lambda: len(world.remote.named(Pool, "my-pool").value.origins) == 4)
        world.cluster.delete("Tunnel", "web")
        await world.until(lambda: world.condition("Tunnel", "web") == "False/WaitingForHealth", within_s=10)
        assert all(one.enabled for one in world.remote.named(Pool, "my-pool").value.origins)
        world.remote.probe()
        await world.until(lambda: world.cluster.get("Tunnel", "web") is None)
        await world.quiet()
        assert len(world.remote.answering(HOST)) == 2
        assert world.is_ready()


async def test_a_removed_origin_stays_for_as_long_as_sessions_stay_on_it(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=2)
        sessions = {"sessionAffinity": "cookie", "sessionAffinityAttributes": {"drainDurationSeconds": 120}}
        world.cluster.apply("LoadBalancer", "web", {"hostname": HOST, "pools": ["my-pool"], **sessions})
        await world.start()
        await world.quiet()
        asked = world.remote.clock.monotonic()
        patch(world, "Tunnel", "web", replicas=1)
        await world.until(lambda: world.enabled("my-pool") == {"0"}, within_s=5)
        await world.until(lambda: "1" not in world.origins("my-pool"))
        assert 120 <= world.remote.clock.monotonic() - asked < 140
        await world.quiet()
        assert world.is_ready()


async def test_requests_are_answered_throughout_a_scale_down(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=3)
        await world.start()
        await world.quiet(for_s=30)
        patch(world, "Tunnel", "web", replicas=1)

        def all_answer() -> bool:
            origins = world.remote.answering(HOST)
            assert origins
            assert all(world.remote.is_up(origin) for origin in origins)
            return len(world.remote.all(Tunnel)) == 1

        await world.until(all_answer)


@pytest.mark.parametrize(
    "order", [*itertools.permutations(("Tunnel", "LBPool", "HealthCheck"))], ids="-".join
)
async def test_deleted_in_any_order_nothing_of_ours_is_left(order: tuple[str, ...], world: World) -> None:
    async with world:
        decoys = put_decoys(world)
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        assert world.is_ready()
        for kind in order:
            for raw in world.cluster.all(kind):
                world.cluster.delete(kind, raw["metadata"]["name"])
            await world.quiet(for_s=20)
        await world.quiet()
        assert not world.remains()
        assert not world.cluster.all(*KINDS)
        assert {id_: one.value for id_, one in world.remote.objects.items()} == decoys


async def test_deleted_all_at_once_right_after_the_apply(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.until(lambda: world.origins("my-pool"), within_s=30)
        delete_all(world)
        await world.quiet()
        assert not world.remains()
        assert not world.remote.objects


async def test_what_is_deleted_while_no_operator_runs_is_cleaned_up_by_the_next(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        await world.stop()
        delete_all(world)
        world.mass_deletion = True
        for raw in world.cluster.all(*KINDS):  # somebody is in a hurry
            world.cluster.write({**raw, "metadata": {**raw["metadata"], "finalizers": []}})
        await world.start()
        await world.quiet()
        assert not world.remains()


async def test_a_pool_of_tunnels_without_tunnels_waits_and_leaves_nothing(world: World) -> None:
    async with world:
        world.cluster.apply("LBPool", "my-pool", {})
        await world.start()
        await world.quiet()
        assert world.condition("LBPool", "my-pool") == "False/NoOrigins"
        assert "apply a Tunnel with `pool` 'my-pool'" in world.message("LBPool", "my-pool")
        world.cluster.delete("LBPool", "my-pool")
        await world.quiet()
        assert not world.remains()


async def test_of_two_tunnels_the_last_one_takes_pool_and_load_balancer_with_it(world: World) -> None:
    async with world:
        apply_tunnel(world, "one", replicas=1)
        apply_tunnel(world, "two", replicas=1)
        await world.start()
        await world.quiet(for_s=30)
        assert len(world.remote.answering(HOST)) == 2
        world.cluster.delete("Tunnel", "one")
        await world.quiet()
        assert len(world.remote.answering(HOST)) == 1
        assert world.is_ready()
        world.cluster.delete("Tunnel", "two")
        await world.quiet()
        assert not world.remains()
        assert not world.remote.objects


async def test_the_load_balancer_goes_before_its_pool(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        start = len(world.remote.log)
        delete_all(world)
        await world.quiet()
        deleted = [step.kind.value for step in world.remote.log[start:] if isinstance(step, Delete)]
        assert deleted.index("load balancer") < deleted.index("pool") < deleted.index("monitor")


async def test_a_health_check_in_use_says_by_whom_and_goes_after_it(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        world.cluster.delete("HealthCheck", "web")
        await world.quiet()
        assert world.condition("HealthCheck", "web") == "False/DeletionBlocked"
        assert "LBPool 'my-pool' still refers to it" in world.message("HealthCheck", "web")
        assert len(world.remote.all(Monitor)) == 1
        patch(world, "LBPool", "my-pool", healthCheckRef=None)
        await world.quiet()
        assert world.cluster.get("HealthCheck", "web") is None
        assert not world.remote.all(Monitor)


async def test_a_fallback_in_use_says_by_whom_and_goes_after_it(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        world.cluster.delete("LBPool", "static")
        await world.quiet()
        assert world.condition("LBPool", "static") == "False/DeletionBlocked"
        assert f"'{HOST}' still refers to it" in world.message("LBPool", "static")
        patch(world, "LBPool", "my-pool", fallbackRef=None)
        await world.quiet()
        assert world.cluster.get("LBPool", "static") is None
        assert len(world.remote.all(Pool)) == 1


async def test_a_pool_without_its_description_falls_back_to_the_derived_one(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        id_ = world.remote.named(Pool, "my-pool").id
        world.cluster.delete("LBPool", "my-pool")
        await world.quiet()
        assert world.cluster.get("LBPool", "my-pool") is None
        pool = world.remote.named(Pool, "my-pool")
        assert (pool.id, pool.value.minimum_origins, pool.value.monitor) == (id_, 1, "")
        assert world.remote.only(LoadBalancer).value.fallback_pool == id_
        assert len(world.remote.answering(HOST)) == 3


async def test_an_lb_object_takes_the_derived_load_balancer_over_and_gives_it_back(world: World) -> None:
    async with world:
        apply_tunnel(world)
        apply_static(world)
        await world.start()
        await world.quiet(for_s=30)
        derived = world.remote.only(LoadBalancer)
        spec = {"hostname": HOST, "pools": ["my-pool"], "fallbackRef": {"name": "static"}}
        world.cluster.apply("LoadBalancer", "web", spec)
        await world.quiet(for_s=30)
        taken = world.remote.only(LoadBalancer)
        assert taken.id == derived.id
        assert taken.value.fallback_pool == world.remote.named(Pool, "static").id
        assert world.is_ready()
        assert world.status("LoadBalancer", "web")["servingPool"] == "my-pool"
        world.cluster.delete("LoadBalancer", "web")
        await world.quiet()
        assert world.cluster.get("LoadBalancer", "web") is None
        assert world.remote.only(LoadBalancer).value == derived.value


async def test_a_deleted_load_balancer_without_tunnels_goes(world: World) -> None:
    async with world:
        apply_static(world)
        world.cluster.apply("LoadBalancer", "web", {"hostname": HOST, "pools": ["static"]})
        await world.start()
        await world.quiet()
        assert world.is_ready()
        assert len(world.remote.all(LoadBalancer)) == 1
        world.cluster.delete("LoadBalancer", "web")
        world.cluster.delete("LBPool", "static")
        await world.quiet()
        assert not world.remains()


async def test_a_tunnel_that_moves_to_another_pool_is_drained_from_the_first(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=2)
        await world.start()
        await world.quiet(for_s=30)
        first = world.remote.only(Pool).id
        start = len(world.remote.log)
        patch(world, "Tunnel", "web", pool="next-pool")
        await world.quiet()
        gone = [step.name for step in world.remote.log[start:] if isinstance(step, Delete)]
        assert gone == ["my-pool"], "the load balancer stays, and answers, while it changes its pool"
        assert world.remote.only(Pool).title == "next-pool"
        assert world.is_ready()
        assert len(world.remote.answering(HOST)) == 2
        assert first not in world.remote.objects


async def test_what_somebody_else_changed_is_put_right_in_one_write(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        start = len(world.remote.log)
        pool = world.remote.named(Pool, "my-pool")
        world.remote.objects[pool.id] = replace(pool, value=replace(pool.value, minimum_origins=1))
        await world.quiet()
        (step,) = world.remote.log[start:]
        assert isinstance(step, Update)
        assert world.remote.named(Pool, "my-pool").value == pool.value


async def test_what_somebody_else_deleted_is_made_again(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        balancer = world.remote.only(LoadBalancer)
        del world.remote.objects[balancer.id]
        await world.quiet(for_s=400)
        assert world.remote.only(LoadBalancer).value == balancer.value
        assert OWNER.cluster in balancer.value.description


async def test_a_load_balancer_made_by_hand_keeps_a_derived_pool_and_is_named(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=1)
        await world.start()
        await world.quiet()
        pool = world.remote.only(Pool).id
        hand = world.remote.put(LoadBalancer("hand.example.com", (pool,), pool), "zone-com")
        await world.quiet(for_s=400)
        world.cluster.delete("Tunnel", "web")
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/DeletionBlocked"
        assert "load balancer 'hand.example.com'" in world.message("Tunnel", "web")
        assert "which is not ours" in world.message("Tunnel", "web")
        del world.remote.objects[hand]
        await world.until(lambda: not world.remote.objects, within_s=700)
        await world.quiet()
        assert not world.remains()


async def test_remains_go_origin_by_origin_without_anything_else_happening(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=1)
        await world.start()
        await world.quiet()
        await world.stop()
        raw = world.cluster.get("Tunnel", "web")
        assert raw is not None
        world.cluster.write({**raw, "metadata": {**raw["metadata"], "finalizers": []}})
        world.cluster.delete("Tunnel", "web")
        await asyncio.sleep(120)  # its children go with it
        await world.start()
        await world.until(lambda: not world.remote.objects, within_s=100)
