"""`driftPolicy`: what somebody changes at Cloudflare is set right, or only reported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from resources import HOST, apply_quickstart, apply_tunnel, patch
from running_world import World

from tunnelpool.domain.errors import UnavailableError
from tunnelpool.domain.remote import LoadBalancer, Monitor, Observed, Origin, Pool

pytestmark = pytest.mark.looptime(noop_cycles=1)
REPORT = {"driftPolicy": "Report"}
CASES = [
    ("LBPool", "my-pool", "minimum_origins", 1, {"minimumOrigins": 3}, 3),
    ("HealthCheck", "web", "interval", 77, {"intervalSeconds": 90}, 90),
    ("LoadBalancer", "lb", "steering_policy", "random", {"steeringPolicy": "geo"}, "geo"),
]
EACH = pytest.mark.parametrize(("kind", "name", "field", "by_hand", "spec", "wanted"), CASES)
BY_HAND = Origin("by-hand", "192.0.2.1")


async def _ready(world: World, **fields: str) -> None:
    apply_quickstart(world)
    balancer = {"hostname": HOST, "pools": ["my-pool"], "fallbackRef": {"name": "static"}}
    world.cluster.apply("LoadBalancer", "lb", balancer)
    for kind, name, *_ in CASES:
        patch(world, kind, name, **fields)
    await world.start()
    await world.quiet()
    assert world.is_ready()


def _object(world: World, kind: str) -> Observed[Any]:
    if kind == "LBPool":
        return world.remote.named(Pool, "my-pool")
    return world.remote.only(Monitor) if kind == "HealthCheck" else world.remote.only(LoadBalancer)


def _edit(world: World, kind: str, **fields: object) -> None:
    """Change fields at Cloudflare, as its dashboard would."""
    one = _object(world, kind)
    world.remote.objects[one.id] = replace(one, value=replace(one.value, **fields))


def _told(world: World, kind: str, name: str) -> str:
    conditions = world.status(kind, name)["conditions"]
    return next(str(one["message"]) for one in conditions if one["type"] == "Drifted")


@pytest.mark.parametrize(("kind", "name", "field", "by_hand"), [case[:4] for case in CASES])
async def test_drift_is_set_right_by_default(
    world: World, kind: str, name: str, field: str, by_hand: object
) -> None:
    async with world:
        await _ready(world)
        before = getattr(_object(world, kind).value, field)
        _edit(world, kind, **{field: by_hand})
        await world.quiet(for_s=400)
        assert getattr(_object(world, kind).value, field) == before
        assert not world.condition(kind, name, "Drifted")


@EACH
async def test_drift_is_named_and_left_until_the_spec_changes(
    world: World, kind: str, name: str, field: str, by_hand: object, spec: dict[str, object], wanted: object
) -> None:
    async with world:
        await _ready(world, **REPORT)
        assert world.condition(kind, name, "Drifted") == "False/InSync"
        _edit(world, kind, **{field: by_hand})
        await world.quiet(for_s=400)
        assert getattr(_object(world, kind).value, field) == by_hand
        assert world.condition(kind, name, "Drifted") == "True/Drifted"
        assert _told(world, kind, name) == f"changed at Cloudflare and left so: {field}"
        await world.restart()
        await world.quiet()
        assert getattr(_object(world, kind).value, field) == by_hand, "a restart does not forget"
        patch(world, kind, name, **spec)
        await world.quiet()
        assert getattr(_object(world, kind).value, field) == wanted
        assert world.condition(kind, name, "Drifted") == "False/InSync"


async def test_a_change_of_the_spec_whose_write_fails_is_tried_again_not_taken_for_drift(
    world: World,
) -> None:
    async with world:
        await _ready(world, **REPORT)
        failing = True

        def fail(phase: str, call: str) -> None:
            if failing and phase == "before" and call == "Update":
                raise UnavailableError("503")

        world.trip(fail)
        patch(world, "LBPool", "my-pool", minimumOrigins=3)
        await world.until(lambda: world.condition("LBPool", "my-pool") == "False/CloudflareUnavailable")
        failing = False
        await world.quiet()
        assert world.remote.named(Pool, "my-pool").value.minimum_origins == 3


async def test_back_to_correct_sets_right_what_was_left(world: World) -> None:
    async with world:
        await _ready(world, **REPORT)
        _edit(world, "LBPool", minimum_origins=1)
        await world.quiet(for_s=400)
        patch(world, "LBPool", "my-pool", driftPolicy="Correct")
        await world.quiet()
        assert world.remote.named(Pool, "my-pool").value.minimum_origins == 2
        assert not world.condition("LBPool", "my-pool", "Drifted")


@pytest.mark.parametrize("policy", ["Correct", "Report"])
async def test_an_origin_made_by_hand_is_removed_or_kept_and_named(world: World, policy: str) -> None:
    async with world:
        await _ready(world, driftPolicy=policy)
        pool = world.remote.named(Pool, "my-pool").value
        _edit(world, "LBPool", origins=(BY_HAND, *pool.origins))
        await world.quiet(for_s=400)
        kept = BY_HAND in world.remote.named(Pool, "my-pool").value.origins
        assert kept == (policy == "Report")
        if kept:
            assert _told(world, "LBPool", "my-pool").endswith("origins")


async def test_origins_of_tunnels_come_go_and_fail_over_whatever_has_drifted(world: World) -> None:
    async with world:
        await _ready(world, **REPORT)
        pool = world.remote.named(Pool, "my-pool").value
        _edit(world, "LBPool", minimum_origins=1, origins=(BY_HAND, *pool.origins))
        await world.quiet(for_s=400)
        world.pods.kill("web-connector-1", hold=True)
        await world.until(lambda: "1" not in world.enabled("my-pool"), within_s=20)
        world.pods.release("web-connector-1")
        await world.until(lambda: "1" in world.enabled("my-pool"))
        await world.quiet()
        patch(world, "Tunnel", "web", replicas=2)
        apply_tunnel(world, "second", replicas=1)
        await world.quiet()
        value = world.remote.named(Pool, "my-pool").value
        assert len(value.origins) == 4
        assert BY_HAND in value.origins
        assert value.minimum_origins == 1


async def test_a_load_balancer_that_only_reports_still_follows_its_pools(world: World) -> None:
    async with world:
        await _ready(world, **REPORT)
        patch(world, "LoadBalancer", "lb", pools=["my-pool", "later"])
        await world.quiet()
        assert len(world.remote.only(LoadBalancer).value.default_pools) == 1
        apply_tunnel(world, "later", pool="later", replicas=1)
        await world.quiet()
        assert len(world.remote.only(LoadBalancer).value.default_pools) == 2
        world.cluster.delete("Tunnel", "later")
        await world.quiet()
        assert world.cluster.get("Tunnel", "later") is None
        assert len(world.remote.only(LoadBalancer).value.default_pools) == 1
