"""One cluster for all integration tests; each keeps to a namespace of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.testing import RunningCluster, running_cluster

CRDS = Path(__file__).parents[2] / "crds"
NODE_GRACE_S = 5
"""Lost nodes are a test of their own, and waiting for them is most of its time."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with running_cluster(folder, crds=[CRDS], node_grace_s=NODE_GRACE_S) as running:
        yield running
