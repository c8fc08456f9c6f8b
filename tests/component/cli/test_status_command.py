"""`tunnelpool status` reads resources and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from command_lines import CommandLine
from resources import apply_quickstart
from running_world import World

from tunnelpool.commands.reach import readable
from tunnelpool.commands.status import watch
from tunnelpool.overview.text import as_text
from tunnelpool.overview.tree import Overview, overview

looptime = pytest.mark.looptime(noop_cycles=1)


def view(world: World) -> Overview:
    return overview(readable(world.cluster.all("Tunnel", "LBPool", "HealthCheck", "LoadBalancer")))


@looptime
async def test_the_tree_follows_the_quickstart_through_failover(world: World) -> None:
    async with world:
        apply_quickstart(world)
        before = view(world)
        await world.start()
        await world.quiet()
        healthy = view(world)
        world.pods.kill("web-connector-0", hold=True)
        world.pods.kill("web-connector-1", hold=True)
        await world.quiet()
        failed_over = view(world)
    (host,) = before.hosts
    assert (host.answered_by, [pool.health for pool in host.pools]) == ("nothing", ["missing", "missing"])
    assert {trouble.reason for trouble in before.troubles} == {"Pending"}
    (host,) = healthy.hosts
    assert host.answered_by == "load balancer"
    assert [(pool.name, pool.role, pool.serving, pool.may_fail) for pool in host.pools] == [
        ("my-pool", "pool", True, 1),
        ("static", "fallback", False, 0),
    ]
    assert not healthy.troubles
    (host,) = failed_over.hosts
    assert host.on_fallback
    assert [(pool.serving, pool.may_fail) for pool in host.pools] == [(False, 0), (True, 0)]
    assert {origin.state for origin in host.pools[0].origins} == {"Registered", "OutByOperator"}
    assert as_text(failed_over).splitlines() == [
        "my.example.com  in default: the fallback answers",
        "├─ 1. my-pool  critical  1 of 3 up, 2 must be    is passed over",
        "│       default/web 0  out: its connector has ended",
        "│       default/web 1  out: its connector has ended",
        "│       default/web 2  up",
        "└─ fb static   healthy   1 of 1 up, not checked  none may fail  <- serves",
        "        static         no verdict",
        "",
        "Not ready",
        "  Tunnel default/web: WaitingForConnectors",
        "      1 of 3 origins have a ready connector",
    ]


def status(**fields: Any) -> dict[str, Any]:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "everything is as asked",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {"conditions": [ready], **fields}


def put(command_line: CommandLine, kind: str, name: str, spec: dict[str, Any], said: dict[str, Any]) -> None:
    command_line.cluster.apply(kind, name, spec)
    raw = command_line.cluster.get(kind, name)
    assert raw is not None
    command_line.cluster.write({**raw, "status": said})


def test_a_host_name_without_a_pool_is_answered_by_its_tunnel(command_line: CommandLine) -> None:
    spec = {"hostname": "docs.example.com", "service": "http://docs:80"}
    put(command_line, "Tunnel", "docs", spec, status(readyReplicas=2, replicas=2))
    result = command_line("status")
    assert result.exit_code == 0, result.output
    told = "docs.example.com  in default: a CNAME to the tunnel answers, 2 of 2 connectors are ready"
    assert result.stdout.splitlines()[0] == told
    assert command_line.api.writes == []
    assert {path.rpartition("/")[2] for _, path in command_line.api.asked} == {
        "tunnels",
        "lbpools",
        "healthchecks",
        "loadbalancers",
    }


def test_json_says_the_same(command_line: CommandLine) -> None:
    spec = {"hostname": "shop.example.com", "service": "http://shop:80", "pool": "shop"}
    pool = {"id": "p1", "name": "shop", "health": "healthy", "healthyOrigins": 2, "origins": 2}
    balancer = {"id": "l1", "servingPools": ["shop"], "onFallback": False}
    put(command_line, "Tunnel", "shop", spec, status(pool=pool, loadBalancer=balancer))
    told = json.loads(command_line("status", "-o", "json").stdout)
    (host,) = told["hostnames"]
    assert (host["hostname"], host["answeredBy"], host["onFallback"]) == (
        "shop.example.com",
        "load balancer",
        False,
    )
    (row,) = host["pools"]
    assert (row["name"], row["serving"], row["mayFail"], row["checked"]) == ("shop", True, 1, False)
    assert told["notReady"] == []


def test_a_namespace_with_nothing_says_so(command_line: CommandLine) -> None:
    result = command_line("status", "-A")
    assert result.stdout.splitlines()[0] == "No Tunnel and no LoadBalancer: nothing answers."


def test_a_cluster_without_the_definitions_is_told_how_to_get_them(command_line: CommandLine) -> None:
    command_line.api.unknown = {"tunnels"}
    result = command_line("status")
    assert result.exit_code == 1
    assert "tunnelpool crds | kubectl apply" in result.stderr


async def test_watching_shows_what_has_changed_and_nothing_twice(command_line: CommandLine) -> None:
    from tunnelpool.commands.reach import reach  # noqa: PLC0415 - needs the environment of the test

    looks = 0

    async def sleep(seconds: float) -> None:
        nonlocal looks
        assert seconds == 2.0
        looks += 1
        if looks == 3:
            put(
                command_line,
                "Tunnel",
                "new",
                {"hostname": "n.example.com", "service": "http://n:1"},
                status(),
            )

    async with reach(str(command_line.api.kubeconfig)) as there:
        views = watch(there, "default", 2.0, sleep)
        first = await anext(views)
        second = await anext(views)
        await views.aclose()
    assert (first.hosts, [host.hostname for host in second.hosts], looks) == ((), ["n.example.com"], 3)
