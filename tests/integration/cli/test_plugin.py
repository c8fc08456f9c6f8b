"""`kubectl tunnelpool`: kubectl finds the plugin on the PATH and hands over where the cluster is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from devcluster.testing import Namespace, RunningCluster, new_namespace

pytestmark = pytest.mark.integration
PROGRAMS = Path(sys.executable).parent


def kubectl(cluster: RunningCluster, *arguments: str) -> str:
    """Run kubectl with our programs on the PATH, and nothing else of ours."""
    environment = {
        "PATH": f"{PROGRAMS}:{os.defpath}",
        "KUBECONFIG": str(cluster.kubeconfig),
        "HOME": str(cluster.folder / "kubectl"),
    }
    done = subprocess.run(  # noqa: S603 - our own kubectl
        [f"{cluster.bin}/kubectl", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kubectl_lists_it_and_runs_it_against_its_cluster(cluster: RunningCluster) -> None:
    assert str(PROGRAMS / "kubectl-tunnelpool") in kubectl(cluster, "plugin", "list")
    assert kubectl(cluster, "tunnelpool", "--help").startswith("Usage: kubectl tunnelpool ")
    with new_namespace(cluster, "cli") as namespace:
        _apply_tunnel(namespace)
        told = json.loads(kubectl(cluster, "tunnelpool", "status", "-n", namespace.name, "-o", "json"))
        assert [host["hostname"] for host in told["hostnames"]] == ["plugin.example.com"]


def _apply_tunnel(namespace: Namespace) -> None:
    head = {"apiVersion": "tunnelpool.dev/v1alpha1", "kind": "Tunnel", "metadata": {"name": "web"}}
    namespace.apply({**head, "spec": {"hostname": "plugin.example.com", "service": "http://web:80"}})


def test_what_it_prints_kubectl_applies(cluster: RunningCluster) -> None:
    with new_namespace(cluster, "cli") as namespace:
        printed = subprocess.run(  # noqa: S603 - our own program
            [
                PROGRAMS / "tunnelpool",
                *("generate", "tunnel", "--hostname", "shop.example.com", "--url", "http://shop:8080"),
                *("--lb-pool", "shops", "--namespace", namespace.name),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        cluster.apply(printed)
        assert namespace.get("tunnel", "shop")["spec"]["pool"] == "shops"
    definitions = subprocess.run(  # noqa: S603 - likewise
        [PROGRAMS / "tunnelpool", "crds"], capture_output=True, text=True, check=True
    ).stdout
    cluster.apply(definitions, "--server-side", "--dry-run=server")
