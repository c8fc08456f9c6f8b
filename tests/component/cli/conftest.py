"""The engine's own test world, and the command line in front of a small cluster and a local edge."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from cluster_api import ClusterApi, serving
from command_lines import CommandLine, RunningEdge
from running_world import World
from small_cluster import SmallCluster

from tunnelpool.engine.clock import SystemClock


@pytest.fixture
def world() -> World:
    """Hand out a world in which nothing has happened yet."""
    return World()


@pytest.fixture(scope="session")
def running_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """Run an edge for the tests of this folder."""
    program = Path(sys.executable).with_name("localedge")
    command = [str(program), "serve", "--json", "--dir", str(tmp_path_factory.mktemp("edge"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        try:
            assert process.stdout is not None
            yield RunningEdge(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


@pytest.fixture
def command_line(running_edge: RunningEdge, tmp_path: Path) -> Iterator[CommandLine]:
    """Serve a cluster without resources, whose operator has the read-only token."""
    cluster = SmallCluster(SystemClock())
    token, account = running_edge.ready["read_only_token"], running_edge.ready["account_id"]
    cluster.secrets["tunnelpool-system", "cloudflare-credentials"] = {
        "apiToken": token.encode(),
        "accountId": account.encode(),
    }
    api = ClusterApi(cluster, tmp_path / "kubeconfig")
    environment = {
        "KUBECONFIG": str(api.kubeconfig),
        "TUNNELPOOL_API_URL": running_edge.ready["api_url"],
        "CLOUDFLARE_API_TOKEN": None,
        "CLOUDFLARE_ACCOUNT_ID": None,
    }
    with serving(api):
        yield CommandLine(api, running_edge, environment)
