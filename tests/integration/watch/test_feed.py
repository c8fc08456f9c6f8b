import asyncio
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devcluster.testing import Namespace, RunningCluster, new_namespace
from tunnelpool.domain.kinds import WATCHED
from tunnelpool.engine.clock import SystemClock
from tunnelpool.engine.store import Store
from tunnelpool.kube.access import open_access
from tunnelpool.kube.client import KubeClient
from tunnelpool.kube.cluster import KubeCluster
from tunnelpool.kube.events import EventRecorder
from tunnelpool.watch.feed import Feed

pytestmark = pytest.mark.integration


@pytest.fixture
def namespace(cluster: RunningCluster) -> Iterator[Namespace]:
    with new_namespace(cluster, "watch") as made:
        yield made


@pytest.fixture
def reader(namespace: Namespace, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Make an account that may list and watch the kinds and nothing else: user name, kubeconfig."""
    cluster, name = namespace.cluster, namespace.name
    namespace.kubectl("create", "serviceaccount", "reader")
    rules = [
        {"apiGroups": [kind.group], "resources": [kind.plural], "verbs": ["list", "watch"]}
        for kind in WATCHED
    ]
    cluster.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": rules,
        }
    )
    account = f"{name}:reader"
    cluster.kubectl(
        "create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={account}"
    )
    config = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"] = {"token": namespace.kubectl("create", "token", "reader").strip()}
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    yield f"system:serviceaccount:{account}", str(file)
    cluster.kubectl("delete", "clusterrole,clusterrolebinding", name)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the state of a cluster, seen through a thread
            await asyncio.sleep(0.01)


async def test_list_and_watch_are_all_the_rights_that_it_needs(
    namespace: Namespace, reader: tuple[str, str]
) -> None:
    user, kubeconfig = reader
    client = await KubeClient.connect(kubeconfig)
    cluster = KubeCluster(client, EventRecorder(client, SystemClock()))
    store = Store()
    feed = Feed(store, cluster.list_pages, functools.partial(open_access, kubeconfig))
    running = asyncio.create_task(feed.run())
    try:
        await _until(feed.watching)
        await asyncio.to_thread(namespace.kubectl, "create", "secret", "generic", "theirs")
        await asyncio.to_thread(namespace.kubectl, "create", "secret", "generic", "ours")
        label = "app.kubernetes.io/managed-by=tunnelpool"
        await asyncio.to_thread(namespace.kubectl, "label", "secret", "ours", label)
        await _until(lambda: store.get("Secret", namespace.name, "ours") is not None)
        await asyncio.to_thread(namespace.kubectl, "delete", "secret", "ours")
        await _until(lambda: store.get("Secret", namespace.name, "ours") is None)
        assert store.get("Secret", namespace.name, "theirs") is None
        workload = ("create", "deployment", "theirs", "--image=x", "--replicas=3")
        await asyncio.to_thread(namespace.kubectl, *workload)
        await asyncio.to_thread(namespace.kubectl, "create", "service", "loadbalancer", "theirs", "--tcp=443")
        await _until(lambda: store.get("Service", namespace.name, "theirs") is not None)
        await _until(lambda: store.get("Deployment", namespace.name, "theirs") is not None)
        there = store.get("Deployment", namespace.name, "theirs")
        assert there is not None
        assert there["spec"] == {"replicas": 3, "selector": {"matchLabels": {"app": "theirs"}}}
        assert "labels" not in there["metadata"]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.close()
    events = [event for event in namespace.cluster.audit() if event["user"]["username"] == user]
    assert {event["verb"] for event in events} <= {"list", "watch", "get"}
    refused = [event for event in events if event.get("responseStatus", {}).get("code", 200) >= 400]
    assert not refused
    read_one = [event for event in events if event["verb"] == "get" and "objectRef" in event]
    assert not read_one  # `get` is discovery only, which every account may
