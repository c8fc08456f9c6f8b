"""A plan is what the operator then does: the same steps, and no write on the way to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from previews import manifest, preview, tally
from remote_account import ZONES
from resources import HOST, apply_quickstart, apply_static, apply_tunnel, delete_all, patch, tunnel
from running_world import World

from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Pool
from tunnelpool.plan.fields import ABSENT
from tunnelpool.plan.render import kind_of
from tunnelpool.plan.steps import Delete, SetFinalizer
from tunnelpool.preview.report import CLOUDFLARE, side_of
from tunnelpool.preview.simulation import Pause

pytestmark = pytest.mark.looptime(noop_cycles=1)


def _grow(world: World) -> None:
    patch(world, "Tunnel", "web", replicas=5)


def _shrink(world: World) -> None:
    patch(world, "Tunnel", "web", replicas=1)


def _to_nothing(world: World) -> None:
    patch(world, "Tunnel", "web", replicas=0)


def _no_pool(world: World) -> None:
    patch(world, "Tunnel", "web", pool=None)


def _several_fields(world: World) -> None:
    patch(world, "Tunnel", "web", weight=0.5, originRequest={"noTLSVerify": True})
    patch(world, "HealthCheck", "web", path="/elsewhere", consecutiveDown=3)
    patch(world, "LBPool", "my-pool", minimumOrigins=1, fallbackRef=None)


def _second_tunnel(world: World) -> None:
    apply_tunnel(world, "second", pool="another", replicas=1)


def _explicit_balancer(world: World) -> None:
    world.cluster.apply("LoadBalancer", "lb", {"hostname": HOST, "pools": ["my-pool", "static"]})


def _suspended(world: World) -> None:
    patch(world, "Tunnel", "web", weight=0.5, suspend=True)
    patch(world, "LBPool", "static", description="new")


CHANGES = (
    _grow,
    _shrink,
    _to_nothing,
    _no_pool,
    _several_fields,
    _second_tunnel,
    _explicit_balancer,
    _suspended,
    delete_all,
)


async def test_the_plan_of_the_quickstart_is_what_the_operator_does(world: World) -> None:
    async with world:
        apply_quickstart(world)
        planned = await preview(world)
        operator = await world.start()
        await world.quiet()
    assert tally(one.step for one in planned.outcome.steps) == tally(operator.meter.steps)
    assert planned.changes
    assert not planned.outcome.findings


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
async def test_the_plan_of_a_change_is_what_the_operator_does(
    world: World, change: Callable[[World], None]
) -> None:
    async with world:
        apply_quickstart(world)
        operator = await world.start()
        await world.quiet()
        await world.stop()
        change(world)
        planned = await preview(world)
        assert planned.changes
        operator = await world.start()
        await world.quiet()
    assert tally(one.step for one in planned.outcome.steps) == tally(operator.meter.steps)


async def test_what_is_retained_is_not_planned_away(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        await world.stop()
        for raw in world.cluster.all("Tunnel", "LBPool", "HealthCheck"):
            patch(world, raw["kind"], raw["metadata"]["name"], deletionPolicy="Retain")
        delete_all(world)
        planned = await preview(world)
        await world.start()
        await world.quiet()
        assert len(world.remote.all(Pool)) == 2
    counts = tally(one.step for one in planned.outcome.steps if side_of(one.step) == CLOUDFLARE)
    assert {action.split()[0] for action in counts} == {"update"}  # the marks are taken off
    assert not planned.outcome.findings


async def test_a_tunnel_that_changes_its_pool_keeps_its_load_balancer(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        planned = await preview(world, manifest("Tunnel", "web", tunnel(pool="another", replicas=3)))
    counts = tally(one.step for one in planned.outcome.steps)
    assert (counts["create pool"], counts["update load_balancer"], counts["delete pool"]) == (1, 1, 1)
    assert not counts["delete load_balancer"]


async def test_at_rest_there_is_nothing_to_do_and_looking_writes_nothing(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        calls: list[tuple[str, str]] = []
        world.trip(lambda phase, call: calls.append((phase, call)))
        planned = await preview(world)
    assert not planned.changes
    assert not planned.outcome.findings
    assert calls
    assert {phase for phase, _ in calls} == {"read"}
    assert not any("token" in call for _, call in calls)


async def test_an_outage_of_the_moment_is_no_plan(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        await world.stop()
        world.pods.kill("web-connector-0", hold=True)
        await world.until(lambda: world.pods.ready() == 2)
        planned = await preview(world)
    assert not planned.changes


async def test_each_changed_field_is_named_with_both_values(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        spec = {"hostname": HOST, "service": "http://web.default.svc:8080", "pool": "my-pool", "replicas": 3}
        planned = await preview(world, manifest("Tunnel", "web", {**spec, "weight": 0.25}))
    (changed,) = planned.resources
    assert [(one.path, one.before, one.after) for one in changed.fields] == [("spec.weight", 1, 0.25)]
    (step,) = planned.outcome.steps
    names = [f"origins[tunnelpool_here_0123abcd_default_web_{slot}].weight" for slot in range(3)]
    assert [(one.path, one.before, one.after) for one in step.fields] == [(n, 1, 0.25) for n in names]


async def test_a_manifest_that_says_what_is_there_changes_nothing(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        pool = {"minimumOrigins": 2, "healthCheckRef": {"name": "web"}, "fallbackRef": {"name": "static"}}
        same = manifest("LBPool", "my-pool", {**pool, "enabled": True, "checkRegions": ["WNAM"]})
        planned = await preview(world, same)
    assert not planned.changes


async def test_a_drain_is_a_pause_between_the_steps(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        await world.stop()
        patch(world, "Tunnel", "web", replicas=2, drainSeconds=40)
        planned = await preview(world)
    items = planned.outcome.items
    (place,) = [index for index, item in enumerate(items) if isinstance(item, Pause)]
    assert items[place] == Pause(40)
    assert 0 < place < len(items) - 1


async def test_with_prune_what_no_manifest_names_is_deleted(world: World) -> None:
    async with world:
        apply_quickstart(world)
        apply_static(world, "elsewhere")
        await world.start()
        await world.quiet()
        check = manifest("HealthCheck", "web", {"path": "/healthz"})
        kept = await preview(world, check)
        planned = await preview(world, check, prune=True)
    assert not kept.changes
    deleted = {f"{one.kind} {one.name}" for one in planned.resources}
    assert deleted == {"Tunnel web", "LBPool my-pool", "LBPool static", "LBPool elsewhere"}
    counts = tally(one.step for one in planned.outcome.steps)
    assert (counts["delete tunnel"], counts["delete pool"], counts["delete load_balancer"]) == (3, 3, 1)
    assert not counts["delete monitor"]
    assert not planned.outcome.findings
    lifted = [one.step for one in planned.outcome.steps if isinstance(one.step, SetFinalizer)]
    assert {step.ref.name for step in lifted} == {"web", "my-pool", "static", "elsewhere"}


async def test_what_nobody_claims_any_more_is_planned_away(world: World) -> None:
    async with world:
        apply_quickstart(world)
        world.cluster.apply("HealthCheck", "unused", {})
        await world.start()
        await world.quiet()
        await world.stop()
        raw = world.cluster.get("HealthCheck", "unused")
        assert raw is not None
        world.cluster.write({**raw, "metadata": {**raw["metadata"], "finalizers": []}})
        world.cluster.delete("HealthCheck", "unused")
        planned = await preview(world)
        operator = await world.start()
        await world.quiet()
    assert tally(one.step for one in planned.outcome.steps) == {"delete monitor": 1}
    assert tally(operator.meter.steps) == {"delete monitor": 1}


async def test_when_all_goes_what_is_referred_to_goes_last(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        await world.stop()
        delete_all(world)
        planned = await preview(world)
    gone = [kind_of(one.step) for one in planned.outcome.steps if isinstance(one.step, Delete)]
    order = [gone.index(kind) for kind in ("load_balancer", "pool", "monitor")]
    assert order == sorted(order)


async def test_what_cannot_end_is_a_finding_and_not_a_wait(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        await world.stop()
        pool = world.remote.named(Pool, "my-pool").id
        world.remote.put(LoadBalancer("by-hand.example.com", (pool,), pool), ZONES[0].id)
        delete_all(world)
        planned = await preview(world)
    assert "Tunnel" in {finding.kind for finding in planned.outcome.findings}
    assert planned.outcome.items
    assert not isinstance(planned.outcome.items[-1], Pause)


async def test_a_hostname_that_something_else_holds_is_a_finding_and_no_step(world: World) -> None:
    async with world:
        world.remote.put(DnsRecord(HOST, "A", "192.0.2.1"), ZONES[0].id)
        planned = await preview(world, manifest("Tunnel", "web", tunnel(pool="my-pool")))
    (finding,) = planned.outcome.findings
    assert (finding.reason, finding.stalled) == ("HostnameInUse", True)
    assert "192.0.2.1" in finding.message
    assert planned.refused
    assert "create load_balancer" not in tally(one.step for one in planned.outcome.steps)


async def test_a_missing_secret_is_a_finding_and_no_error(world: World) -> None:
    async with world:
        spec = tunnel(credentialsRef={"name": "nowhere"})
        planned = await preview(world, manifest("Tunnel", "web", spec))
    (finding,) = planned.outcome.findings
    assert finding.reason == "CredentialsMissing"
    assert planned.outcome.steps == ()


async def test_what_does_not_exist_yet_refers_to_what_does_not_either(world: World) -> None:
    async with world:
        apply_quickstart(world)
        planned = await preview(world)
    fields = {one.path: one for step in planned.outcome.steps for one in step.fields}
    monitor = fields["monitor"]
    assert monitor.before is ABSENT
    assert planned.names.for_people(monitor.after) == "default/web"
    assert planned.names.for_programs(monitor.after) == "(known after apply)"
