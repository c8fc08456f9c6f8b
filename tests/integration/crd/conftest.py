"""A namespace of the development cluster with our kinds, and kubectl to speak to it."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Kubectl: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def kubectl(cluster: Any) -> Iterator[Kubectl]:
    """`kubectl(*args, stdin="")` in a namespace of its own; never raises, so that refusals can be read."""
    namespace = f"crd-rules-{secrets.token_hex(3)}"  # a cluster that is kept may still end the last one
    program = Path(cluster.bin) / "kubectl"

    def run(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the devcluster's own kubectl
            [program, "--namespace", namespace, *args],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
        )

    made = run("create", "namespace", namespace)
    assert made.returncode == 0, made.stderr
    run("label", "namespace", namespace, "pod-security.kubernetes.io/warn=restricted")
    applied = run("apply", "--server-side", "--force-conflicts", "--filename", str(ROOT / "crds"))
    assert applied.returncode == 0, applied.stderr
    established = run(
        "wait", "--for=condition=Established", "--timeout=30s", "--filename", str(ROOT / "crds")
    )
    assert established.returncode == 0, established.stderr
    yield run
    run("delete", "namespace", namespace, "--wait=false")
