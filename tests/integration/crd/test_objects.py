"""What the API server does with our kinds beyond their rules: defaults, columns, status, explanations."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunnelpool.crd.base import Column
from tunnelpool.crd.conditions import set_condition
from tunnelpool.crd.parsing import parse
from tunnelpool.crd.v1alpha1 import KINDS, Tunnel, TunnelStatus
from tunnelpool.crd.v1alpha1.tunnel import TunnelOrigin, TunnelPoolStatus

pytestmark = pytest.mark.integration

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
TUNNEL_COLUMNS = [Column("Name", ""), *(one for one in Tunnel.NAMES.columns if one.priority == 0)]
SMALLEST: dict[str, dict[str, Any]] = {
    "Tunnel": {"hostname": "app.example.com", "service": "http://web"},
    "LBPool": {},
    "HealthCheck": {},
    "LoadBalancer": {"hostname": "app.example.com", "pools": ["web"]},
}


def _manifest(kind: str, name: str, spec: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(
        {
            "apiVersion": "tunnelpool.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            **({"spec": spec} if spec else {}),
        }
    )
    return text


@pytest.mark.parametrize("kind", KINDS)
def test_the_api_server_fills_in_the_defaults_that_python_fills_in(
    kind: str, kubectl: Callable[..., Any]
) -> None:
    answer = kubectl(
        "create",
        "--dry-run=server",
        "--output=json",
        "--filename=-",
        stdin=_manifest(kind, "smallest", SMALLEST[kind]),
    )
    assert answer.returncode == 0, answer.stderr
    stored = json.loads(answer.stdout)
    here = parse(kind, {"metadata": {"name": "smallest"}, "spec": SMALLEST[kind]})
    assert parse(kind, stored).spec == here.spec
    # Empty text and empty lists are what Python writes for "nothing": the server leaves those out.
    assert stored["spec"] == {
        name: value for name, value in here.spec.wire().items() if value not in ("", [])
    }


@pytest.mark.parametrize("kind", ["LBPool", "LoadBalancer"])
def test_sharing_is_one_of_two_words(kind: str, kubectl: Callable[..., Any]) -> None:
    def create(sharing: str) -> Any:
        manifest = _manifest(kind, "shared", {**SMALLEST[kind], "sharing": sharing})
        return kubectl("create", "--dry-run=server", "--filename=-", stdin=manifest)

    for word in ("Exclusive", "Shared"):
        assert create(word).returncode == 0
    assert (
        'spec.sharing: Unsupported value: "Maybe": supported values: "Exclusive", "Shared"'
        in create("Maybe").stderr
    )


def test_an_unknown_field_is_refused_by_name(kubectl: Callable[..., Any]) -> None:
    answer = kubectl(
        "create", "--dry-run=server", "--filename=-", stdin=_manifest("LBPool", "typo", {"minimumOrigin": 2})
    )
    assert 'unknown field "spec.minimumOrigin"' in answer.stderr


def test_an_unquoted_off_is_refused_as_the_boolean_that_yaml_makes_of_it(kubectl: Callable[..., Any]) -> None:
    manifest = _manifest("LoadBalancer", "unquoted", {**SMALLEST["LoadBalancer"], "steeringPolicy": "off"})
    unquoted = manifest.replace("'off'", "off")
    assert unquoted != manifest
    assert "steeringPolicy" in kubectl("create", "--dry-run=server", "--filename=-", stdin=unquoted).stderr
    assert kubectl("create", "--dry-run=server", "--filename=-", stdin=manifest).returncode == 0


def test_a_status_is_stored_as_written_and_its_columns_tell_the_story(kubectl: Callable[..., Any]) -> None:
    created = kubectl(
        "create",
        "--output=json",
        "--filename=-",
        stdin=_manifest("Tunnel", "story", {**SMALLEST["Tunnel"], "pool": "web", "replicas": 3}),
    )
    assert created.returncode == 0, created.stderr
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    status = TunnelStatus(
        observed_generation=1,
        conditions=set_condition(
            (), "Ready", "False", "BelowThreshold", "1 of 3 origins is up", generation=1, now=now
        ),
        replicas=3,
        ready_replicas=1,
        billable_origins=3,
        origins=(
            TunnelOrigin(
                name="a", tunnel_id="0c5c1c4e-1d3c-4b64-8b4e-0f5b6a5b0c5c", deployment="a", state="Registered"
            ),
        ),
        pool=TunnelPoolStatus(name="web", health="critical", healthy_origins=1, origins=3, minimum_origins=2),
    )
    patched = kubectl(
        "patch",
        "tun",
        "story",
        "--subresource=status",
        "--type=merge",
        f"--patch={json.dumps({'status': status.wire()})}",
    )
    assert patched.returncode == 0, patched.stderr
    stored = json.loads(kubectl("get", "tun", "story", "--output=json").stdout)
    assert parse("Tunnel", stored).status == status
    assert stored["status"] == status.wire()
    header, row = kubectl("get", "tun", "story").stdout.splitlines()
    assert header.split() == [column.name.upper() for column in TUNNEL_COLUMNS]
    assert row.split()[:-1] == [
        "story",
        "app.example.com",
        "web",
        "1",
        "3",
        "critical",
        "False",
        "BelowThreshold",
    ]


def test_a_spec_can_be_taken_for_another_by_no_status_write(kubectl: Callable[..., Any]) -> None:
    kubectl("create", "--filename=-", stdin=_manifest("HealthCheck", "apart", {}))
    kubectl(
        "patch",
        "hc",
        "apart",
        "--subresource=status",
        "--type=merge",
        '--patch={"spec":{"intervalSeconds":90},"status":{"id":"m1"}}',
    )
    stored = json.loads(kubectl("get", "hc", "apart", "--output=json").stdout)
    assert stored["spec"]["intervalSeconds"] == 60
    assert stored["status"] == {"id": "m1"}
    assert stored["metadata"]["generation"] == 1


def test_one_category_lists_all_kinds(kubectl: Callable[..., Any]) -> None:
    names = kubectl("api-resources", "--categories=tunnelpool", "--output=name").stdout.split()
    assert names == [f"{model.NAMES.plural}.tunnelpool.dev" for _, model in sorted(KINDS.items(), key=str)]


def test_kubectl_explain_tells_units_and_defaults(kubectl: Callable[..., Any]) -> None:
    text = " ".join(kubectl("explain", "tunnel.spec.drainSeconds").stdout.split())
    assert "in seconds" in text
    text = " ".join(kubectl("explain", "healthcheck.spec").stdout.split())
    assert "Default: `200`" in text


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_the_examples_are_accepted(path: Path, kubectl: Callable[..., Any]) -> None:
    answer = kubectl("create", "--dry-run=server", "--filename", str(path))
    assert answer.returncode == 0, answer.stderr
