"""A plan knows the workloads that Tunnels follow and the Services that pools take addresses of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from command_lines import CommandLine
from previews import manifest, preview, tally
from resources import HOST, apply_tunnel
from running_world import World

LABELS = {"app": "shop"}
FOLLOWER = {
    "hostname": HOST,
    "service": "http://shop:8080",
    "pool": "my-pool",
    "workloadRef": {"name": "shop"},
}
looptime = pytest.mark.looptime(noop_cycles=1)


def deployment(replicas: int | None = None, **meta: Any) -> dict[str, Any]:
    """Write the manifest of a workload."""
    spec = {"selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}}}
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", **meta}}
    return {**head, "spec": spec if replicas is None else {**spec, "replicas": replicas}}


def service(*ingress: dict[str, str], **meta: Any) -> dict[str, Any]:
    """Write a Service of type LoadBalancer, as its user applies it or with what the cloud has added."""
    head = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop", **meta}}
    status = {"status": {"loadBalancer": {"ingress": list(ingress)}}} if ingress else {}
    return {**head, "spec": {"type": "LoadBalancer", "ports": [{"port": 443}]}, **status}


@looptime
async def test_a_tunnel_and_its_workload_are_planned_together(world: World) -> None:
    async with world:
        tunnel, workload = manifest("Tunnel", "web", FOLLOWER), json.dumps(deployment(4))
        planned = await preview(world, tunnel, workload)
        alone = await preview(world, tunnel)
    assert tally(one.step for one in planned.outcome.steps)["create tunnel"] == 4
    assert not planned.outcome.findings
    assert [one.reason for one in alone.outcome.findings] == ["WorkloadNotFound"]


@looptime
@pytest.mark.parametrize("replicas", [1, 5])
async def test_a_workload_that_is_scaled_changes_what_the_operator_then_changes(
    world: World, replicas: int
) -> None:
    async with world:
        world.cluster.write(deployment(3, namespace="default"))
        apply_tunnel(world, workloadRef={"name": "shop"})
        operator = await world.start()
        await world.quiet()
        await world.stop()
        planned = await preview(world, json.dumps(deployment(replicas)))
        there = world.cluster.get("Deployment", "shop")
        assert there is not None
        world.cluster.write({**there, "spec": {**there["spec"], "replicas": replicas}})
        operator = await world.start()
        await world.quiet()
    assert tally(one.step for one in planned.outcome.steps) == tally(operator.meter.steps)


@looptime
async def test_replicas_that_an_autoscaler_has_set_stay_where_the_manifest_names_none(world: World) -> None:
    async with world:
        world.cluster.write(deployment(3, namespace="default"))
        apply_tunnel(world, workloadRef={"name": "shop"})
        await world.start()
        await world.quiet()
        planned = await preview(world, json.dumps(deployment()))
    assert not planned.changes


@looptime
async def test_a_service_gives_the_address_that_it_has_already(world: World) -> None:
    async with world:
        pool = manifest("LBPool", "static", {"origins": [{"name": "shop", "serviceRef": {"name": "shop"}}]})
        waiting = await preview(world, pool, json.dumps(service()))
        world.cluster.write(service({"ip": "203.0.113.7"}, namespace="default"))
        planned = await preview(world, pool, json.dumps(service()))
    assert [one.reason for one in waiting.outcome.findings] == ["WaitingForAddress"]
    assert tally(one.step for one in planned.outcome.steps) == {"create pool": 1}
    assert not planned.outcome.findings


def test_who_follows_nothing_needs_no_right_to_list_what_could_be_followed(command_line: CommandLine) -> None:
    command_line.api.unknown = {"statefulsets", "services"}
    plain = {name: value for name, value in FOLLOWER.items() if name != "workloadRef"}
    result = command_line("plan", "-f", "-", stdin=manifest("Tunnel", "web", plain))
    assert result.exit_code == 2, result.output
    asked = {path.rpartition("/")[2] for _, path in command_line.api.asked}
    assert not asked & {"statefulsets", "services"}


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("Tunnel", {**FOLLOWER, "replicas": 3}, "one of `replicas` and `workloadRef`"),
        ("LBPool", {"origins": [{"name": "a"}]}, "exactly one of `address` and `serviceRef`"),
    ],
)
def test_what_the_api_server_would_refuse_is_refused(
    command_line: CommandLine, kind: str, spec: dict[str, Any], says: str
) -> None:
    result = command_line("plan", "-f", "-", stdin=manifest(kind, "web", spec))
    assert result.exit_code == 1
    assert says in result.stderr
