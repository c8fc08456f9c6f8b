"""`tunnelpool release` lifts our finalizers and nothing else, after it has said what stays."""

from __future__ import annotations

import pytest
from command_lines import CommandLine

from tunnelpool.build.snapshot import FINALIZER
from tunnelpool.commands.reach import reach
from tunnelpool.commands.release import held, lift

SPEC = {"hostname": "my.example.com", "service": "http://web:8080", "pool": "my-pool"}
STATUS = {
    "origins": [{"name": "tunnelpool_here_0123abcd_default_web_0", "tunnelID": "t-0"}],
    "pool": {"id": "p-1", "name": "my-pool"},
    "loadBalancer": {"id": "l-1"},
}


def hold(
    command_line: CommandLine, name: str = "web", namespace: str = "default", *, deleting: bool = True
) -> None:
    """Let a Tunnel stand there with our finalizer and somebody else's."""
    cluster = command_line.cluster
    cluster.apply("Tunnel", name, SPEC, namespace)
    raw = cluster.get("Tunnel", name, namespace)
    assert raw is not None
    cluster.write({**raw, "metadata": {**raw["metadata"], "finalizers": [FINALIZER]}, "status": STATUS})
    if deleting:
        cluster.delete("Tunnel", name, namespace)


def test_a_deletion_that_hangs_goes_through_and_what_stays_is_named(command_line: CommandLine) -> None:
    hold(command_line)
    result = command_line("release", "--namespace", "default", "--yes")
    assert result.exit_code == 0, result.output
    assert command_line.cluster.get("Tunnel", "web") is None
    assert result.stdout.splitlines() == [
        "The finalizer is lifted from:",
        "  Tunnel default/web  (then it is gone: it is being deleted)",
        "At Cloudflare there stay, and nobody deletes them any more:",
        "  load balancer 'my.example.com' (l-1)",
        "  pool 'my-pool' (p-1)",
        "  tunnel 'tunnelpool_here_0123abcd_default_web_0' (t-0)",
        "Released: 1.",
    ]


def test_it_asks_and_no_is_no(command_line: CommandLine) -> None:
    hold(command_line)
    result = command_line("release", "-n", "default", stdin="n\n")
    assert result.exit_code == 1
    assert command_line.cluster.get("Tunnel", "web") is not None
    assert command_line.api.writes == []
    assert command_line("release", "-n", "default", stdin="y\n").exit_code == 0
    assert command_line.cluster.get("Tunnel", "web") is None


def test_only_the_namespace_that_was_named_is_released(command_line: CommandLine) -> None:
    hold(command_line)
    hold(command_line, namespace="other")
    command_line("release", "-n", "other", "--yes")
    assert command_line.cluster.get("Tunnel", "web") is not None
    assert command_line.cluster.get("Tunnel", "web", "other") is None
    command_line("release", "--all", "--yes")
    assert command_line.cluster.get("Tunnel", "web") is None


def test_what_is_not_being_deleted_stays_without_our_finalizer(command_line: CommandLine) -> None:
    hold(command_line, deleting=False)
    raw = command_line.cluster.get("Tunnel", "web")
    assert raw is not None
    raw["metadata"]["finalizers"].append("example.com/other")
    command_line.cluster.write(raw)
    command_line("release", "--all", "--yes")
    left = command_line.cluster.get("Tunnel", "web")
    assert left is not None
    assert left["metadata"]["finalizers"] == ["example.com/other"]


def test_a_running_operator_is_warned_of(command_line: CommandLine) -> None:
    hold(command_line)
    container = {"name": "operator", "env": [{"name": "TUNNELPOOL_NAMESPACE"}]}
    operator = {
        "kind": "Deployment",
        "metadata": {"name": "tunnelpool", "namespace": "tunnelpool-system"},
        "spec": {"template": {"spec": {"containers": [container]}}},
        "status": {"readyReplicas": 1},
    }
    command_line.cluster.write(operator)
    assert "stop it first" in command_line("release", "--all", "--yes").stdout


def test_nothing_to_release_is_success(command_line: CommandLine) -> None:
    result = command_line("release", "--all")
    assert (result.exit_code, command_line.api.writes) == (0, [])
    assert "there is nothing to release" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("--all", "-n", "default")])
def test_where_must_be_said_once(command_line: CommandLine, arguments: tuple[str, ...]) -> None:
    result = command_line("release", *arguments)
    assert result.exit_code == 2
    assert "either --namespace or --all" in result.stderr


async def test_a_resource_that_changes_meanwhile_is_looked_at_again(command_line: CommandLine) -> None:
    hold(command_line, deleting=False)
    async with reach(str(command_line.api.kubeconfig)) as there:
        (one,) = await held(there, "")
        raw = command_line.cluster.get("Tunnel", "web")
        assert raw is not None
        command_line.cluster.write({**raw, "status": {}})
        assert await lift(there, one)
        assert not await held(there, "")
        assert not await lift(there, one)
