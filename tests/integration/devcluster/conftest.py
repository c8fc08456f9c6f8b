"""One cluster for these tests, a namespace for each of them."""

import asyncio
from collections.abc import Iterator

import pytest

from devcluster.testing import Namespace, RunningCluster, new_namespace, running_cluster

NODE_GRACE_S = 5

# pytest-asyncio asks for the current loop before an async test. Without this line, if a plain test ran first,
# asyncio makes one on the spot that nobody ever closes, and warnings are errors here.
asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with running_cluster(tmp_path_factory.mktemp("devcluster"), node_grace_s=NODE_GRACE_S) as running:
        yield running


@pytest.fixture
def space(cluster: RunningCluster) -> Iterator[Namespace]:
    with new_namespace(cluster) as namespace:
        yield namespace
