"""install.yaml as the API server sees it: well-formed, and its pod within Pod Security `restricted`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.integration

INSTALL = Path(__file__).parents[3] / "install.yaml"


def test_everything_is_accepted_and_the_pod_is_restricted(kubectl: Callable[..., Any]) -> None:
    objects = [one for one in yaml.safe_load_all(INSTALL.read_text()) if one and one["kind"] != "Namespace"]
    for one in objects:
        one["metadata"].pop("namespace", None)  # into the test's own, which warns as the chart's enforces
    answer = kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename=-",
        stdin=yaml.safe_dump_all(objects),
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("serverside-applied (server dry run)") == len(objects)
    assert "PodSecurity" not in answer.stderr


def test_a_pod_that_may_gain_privileges_would_be_warned_of(kubectl: Callable[..., Any]) -> None:
    (deployment,) = [
        one for one in yaml.safe_load_all(INSTALL.read_text()) if one and one["kind"] == "Deployment"
    ]
    deployment["metadata"].pop("namespace")
    del deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilities"]
    answer = kubectl("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(deployment))
    assert 'would violate PodSecurity "restricted:latest": unrestricted capabilities' in answer.stderr
