"""The operator's cluster client against a real API server, in a namespace of each test's own."""

from collections.abc import AsyncIterator, Iterator

import pytest

from devcluster.testing import Namespace, RunningCluster, new_namespace
from tunnelpool.engine.clock import SystemClock
from tunnelpool.kube.client import KubeClient
from tunnelpool.kube.cluster import KubeCluster
from tunnelpool.kube.events import EventRecorder


@pytest.fixture
def namespace(cluster: RunningCluster) -> Iterator[Namespace]:
    with new_namespace(cluster, "kube") as made:
        yield made


@pytest.fixture
async def ours(cluster: RunningCluster) -> AsyncIterator[KubeCluster]:
    client = await KubeClient.connect(str(cluster.kubeconfig))
    yield KubeCluster(client, EventRecorder(client, SystemClock()))
    await client.close()
