"""`tunnelpool plan` as a person or a pipeline runs it, with a token that may only read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_lines import CommandLine
from previews import manifest

from tunnelpool.domain.kinds import WATCHED

HOST = "plan.example.com"
TUNNEL = manifest(
    "Tunnel", "web", {"hostname": HOST, "service": "http://web:8080", "pool": "plan-pool", "replicas": 2}
)
CHECK = manifest("HealthCheck", "web", {"headers": {"Authorization": ["Bearer hush"]}})


@pytest.fixture(autouse=True)
def nothing_is_written(command_line: CommandLine) -> Iterator[None]:
    """Whatever a test does: only GET goes to either API."""
    yield
    assert command_line.api.writes == []
    assert set(command_line.edge.calls()) <= {"GET"}


def test_a_new_tunnel_is_planned_from_standard_input(command_line: CommandLine) -> None:
    result = command_line("plan", "-f", "-", stdin=TUNNEL)
    assert result.exit_code == 2, result.output
    lines = result.stdout.splitlines()
    assert "  + Tunnel  default/web" in lines
    assert any(line.split()[:4] == ["+", "Cloudflare", "pool", "plan-pool"] for line in lines)
    assert any(line.split()[:5] == ["+", "Cloudflare", "load", "balancer", HOST] for line in lines)
    assert "\x1b" not in result.stdout
    owner = "0123abcd_0123abcd"
    assert f"  + Cloudflare  tunnel               tunnelpool_{owner}_default_web_1" in lines


def test_the_same_plan_is_the_same_text(command_line: CommandLine) -> None:
    first, second = (command_line("plan", "-f", "-", stdin=f"{TUNNEL}\n---\n{CHECK}") for _ in range(2))
    assert first.stdout == second.stdout


def test_json_holds_every_step_and_what_is_not_known_yet(command_line: CommandLine) -> None:
    result = command_line("plan", "-f", "-", "-o", "json", stdin=TUNNEL)
    told = json.loads(result.stdout)
    assert told["changes"] is True
    assert told["problems"] == []
    (pool,) = (step for step in told["steps"] if step["kind"] == "pool")
    assert (pool["action"], pool["side"], pool["name"]) == ("create", "cloudflare", "plan-pool")
    (balancer,) = (step for step in told["steps"] if step["kind"] == "load_balancer")
    fields = {one["path"]: one for one in balancer["fields"]}
    assert fields["default_pools"]["after"] == ["(known after apply)"]
    assert "before" not in fields["default_pools"]


def test_a_folder_is_read_with_what_is_below_it(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "deploy" / "deeper").mkdir(parents=True)
    (tmp_path / "deploy" / "deeper" / "tunnel.yml").write_text(TUNNEL)
    (tmp_path / "deploy" / "service.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: web}")
    (tmp_path / "deploy" / "README.md").write_text("kind: nonsense")
    result = command_line("plan", "-f", str(tmp_path / "deploy"))
    assert result.exit_code == 2
    assert "Resources that the manifests change: 1." in result.stdout


def test_a_namespace_without_resources_needs_nothing(command_line: CommandLine) -> None:
    result = command_line("plan", "--namespace", "default")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "Nothing to do: everything is as asked.")
    assert "taken to connect" not in result.stdout


@pytest.mark.parametrize("text", ["", "---\n# nothing yet\n", "kind: List\nitems: []\n"])
def test_manifests_that_hold_nothing_are_not_taken_for_a_success(
    command_line: CommandLine, text: str
) -> None:
    result = command_line("plan", "-f", "-", stdin=text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the manifests hold no object" in result.stderr


def test_the_resources_of_a_namespace_are_planned_as_they_are(command_line: CommandLine) -> None:
    command_line.cluster.apply("Tunnel", "web", json.loads(TUNNEL)["spec"])
    command_line.cluster.apply(
        "Tunnel", "other", {"hostname": "o.example.com", "service": "http://o:1"}, "other"
    )
    result = command_line("plan")
    assert result.exit_code == 2
    assert "Resources" not in result.stdout.splitlines()
    assert "default/web" in result.stdout
    assert "other" not in result.stdout
    everywhere = command_line("plan", "-A")
    assert "_other_other_0" in everywhere.stdout


def test_what_another_namespace_has_wrong_is_not_our_failure(command_line: CommandLine) -> None:
    spec = json.loads(TUNNEL)["spec"]
    for namespace, hour in (("default", 1), ("other", 2)):
        meta = {"name": "web", "namespace": namespace, "creationTimestamp": f"2026-01-01T0{hour}:00:00Z"}
        command_line.cluster.write({"kind": "Tunnel", "metadata": meta, "spec": spec})
    assert command_line("plan", "-n", "default").exit_code == 2
    result = command_line("plan", "-n", "other")
    assert result.exit_code == 1
    assert "Tunnel default/web is older" in result.stdout


def test_a_resource_that_would_be_refused_ends_with_1_and_says_why(command_line: CommandLine) -> None:
    spec = {"hostname": "web.nowhere.example.net", "service": "http://web:8080"}
    result = command_line("plan", "-f", "-", stdin=manifest("Tunnel", "web", spec))
    assert result.exit_code == 1
    assert "  ! Tunnel default/web: ZoneNotFound" in result.stdout
    assert "web.nowhere.example.net" in result.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "standard input: "),
        ("- 1", "no Kubernetes object"),
        (manifest("Tunel", "web", {}), "kind must be one of"),
        (manifest("Tunnel", "web", {"hostname": HOST}), "exactly one of `service` and `serviceRef`"),
        (manifest("Tunnel", "web", {"hostname": "Nope", "service": "http://w:1"}), "spec.hostname"),
        (
            manifest("Tunnel", "web", {"hostname": HOST, "service": "http://w:1", "replcas": 3}),
            "unknown field `spec.replcas`",
        ),
        (
            manifest("LBPool", "p", {"origins": [{"name": "a", "address": "a.example.net", "wieght": 1}]}),
            "unknown field `spec.origins.wieght`",
        ),
        (f"{TUNNEL}\n---\n{TUNNEL}", "is given twice"),
    ],
)
def test_a_manifest_that_would_be_refused_is_named_with_its_fault(
    command_line: CommandLine, text: str, said: str
) -> None:
    result = command_line("plan", "-f", "-", stdin=text)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""


def test_a_hostname_cannot_be_changed(command_line: CommandLine) -> None:
    command_line.cluster.apply("Tunnel", "web", {"hostname": "old.example.com", "service": "http://web:8080"})
    result = command_line("plan", "-f", "-", stdin=TUNNEL)
    assert result.exit_code == 1
    assert "`spec.hostname` must not change from 'old.example.com' to 'plan.example.com'" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--bogus",),
        ("--prune",),
        ("--no-cluster",),
        ("-f", "-", "-A"),
        ("-f", "-", "--no-cluster", "--prune"),
        ("-f", "nowhere.yaml"),
        ("-f", "-", "--owner", "nonsense"),
        ("-o", "xml"),
    ],
    ids=" ".join,
)
def test_wrong_options_end_with_1_since_2_means_changes(
    command_line: CommandLine, arguments: tuple[str, ...]
) -> None:
    result = command_line("plan", *arguments, stdin=TUNNEL)
    assert result.exit_code == 1
    assert "Error: " in result.stderr


def test_without_a_cluster_only_cloudflare_is_planned(command_line: CommandLine) -> None:
    ready = command_line.edge.ready
    command_line.environment |= {
        "KUBECONFIG": "/nowhere",
        "CLOUDFLARE_API_TOKEN": ready["read_only_token"],
        "CLOUDFLARE_ACCOUNT_ID": ready["account_id"],
    }
    result = command_line("plan", "-f", "-", "--no-cluster", "--owner", "paris/89abcdef", stdin=TUNNEL)
    assert result.exit_code == 2, result.output
    assert "tunnelpool_paris_89abcdef_default_web_0" in result.stdout
    assert "Deployment" not in result.stdout
    assert "Note: the cluster was not looked at" in result.stdout
    assert command_line.api.asked == []


def test_half_a_credential_is_refused(command_line: CommandLine) -> None:
    command_line.environment["CLOUDFLARE_API_TOKEN"] = "x"
    result = command_line("plan", "-f", "-", stdin=TUNNEL)
    assert result.exit_code == 1
    assert "CLOUDFLARE_ACCOUNT_ID must be set too" in result.stderr


def test_no_cluster_at_all_says_so_in_one_line(
    command_line: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    command_line.environment["KUBECONFIG"] = "/nowhere"
    result = command_line("plan", "-f", "-", stdin=TUNNEL)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: no way to the Kubernetes API is configured: there is no '/nowhere'; --kubeconfig or "
        "KUBECONFIG names another\n"
    )
    assert not caplog.messages  # the client's own would come on top


def test_who_may_list_one_namespace_only_is_told_what_is_not_seen(command_line: CommandLine) -> None:
    command_line.api.refused = {kind.plural for kind in WATCHED}
    result = command_line("plan", "-f", "-", stdin=TUNNEL)
    assert result.exit_code == 2, result.output
    assert "claims from outside of default are not seen" in result.stdout


def test_before_the_definitions_are_installed_there_is_a_plan_too(command_line: CommandLine) -> None:
    command_line.api.unknown = {"tunnels", "lbpools", "healthchecks", "loadbalancers"}
    result = command_line("plan", "-f", "-", stdin=TUNNEL)
    assert result.exit_code == 2, result.output
    assert "the cluster does not know tunnels yet" in result.stdout


def test_the_settings_are_those_of_the_operator_in_the_cluster(command_line: CommandLine) -> None:
    del command_line.environment["TUNNELPOOL_API_URL"]
    variables = {
        "TUNNELPOOL_NAMESPACE": "",
        "TUNNELPOOL_CLUSTER_NAME": "london",
        "TUNNELPOOL_API_URL": command_line.edge.ready["api_url"],
        "TUNNELPOOL_OF_A_LATER_VERSION": "whatever",
    }
    container = {"name": "operator", "env": [{"name": n, "value": v} for n, v in variables.items()]}
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": "tunnelpool", "namespace": "operators"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    command_line.cluster.write(deployment)
    secrets = command_line.cluster.secrets
    secrets["operators", "cloudflare-credentials"] = secrets.pop(
        ("tunnelpool-system", "cloudflare-credentials")
    )
    result = command_line("plan", "-f", "-", "--operator-namespace", "operators", stdin=TUNNEL)
    assert "tunnelpool_london_0123abcd_default_web_0" in result.stdout, result.output
    assert "no operator" not in result.stdout


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_in_any_output(command_line: CommandLine, form: str) -> None:
    result = command_line("plan", "-f", "-", "-o", form, stdin=f"{TUNNEL}\n---\n{CHECK}")
    assert result.exit_code == 2
    assert "hush" not in result.output
    assert "(hidden)" in result.output
    command_line.cluster.apply("HealthCheck", "web", {"headers": {"Authorization": ["Bearer hushed before"]}})
    result = command_line("plan", "-f", "-", "-o", form, stdin=CHECK)
    assert "spec.headers.Authorization" in result.output
    assert "hush" not in result.output
    assert "(hidden)" in result.output
    assert command_line.edge.ready["read_only_token"] not in result.output


def test_a_hostname_that_the_policy_does_not_allow_is_told_before_it_is_applied(
    command_line: CommandLine,
) -> None:
    policy = [{"namespaces": ["elsewhere"], "hostnames": ["*"]}]
    command_line.environment["TUNNELPOOL_HOSTNAME_POLICY"] = json.dumps(policy)
    result = command_line("plan", "-f", "-", stdin=TUNNEL)
    assert "HostnameNotAllowed" in result.stdout, result.output
    assert f"namespace 'default' must not claim hostname '{HOST}'" in " ".join(result.stdout.split())
    assert "Cloudflare" not in result.stdout.partition("HostnameNotAllowed")[0]
