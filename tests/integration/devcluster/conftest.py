"""A namespace of the shared cluster for each of these tests."""

from collections.abc import Iterator

import pytest

from devcluster.testing import Namespace, RunningCluster, new_namespace


@pytest.fixture
def space(cluster: RunningCluster) -> Iterator[Namespace]:
    with new_namespace(cluster) as namespace:
        yield namespace
