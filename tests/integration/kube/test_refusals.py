"""What a real API server refuses arrives as the error that the engine waits or tells by."""

from __future__ import annotations

import uuid

import pytest

from devcluster.testing import Namespace, RunningCluster, eventually
from tunnelpool.domain.errors import ClusterRefusedError, NamespaceEndingError
from tunnelpool.domain.json import FrozenObject, freeze
from tunnelpool.kube.cluster import KubeCluster
from tunnelpool.plan.steps import CreateObject

pytestmark = pytest.mark.integration


def _deployment(namespace: str) -> FrozenObject:
    labels = {"app": "d"}
    manifest = freeze(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"namespace": namespace, "name": "d"},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "c", "image": "x"}]},
                },
            },
        }
    )
    assert isinstance(manifest, FrozenObject)
    return manifest


async def test_a_quota_that_is_used_up_is_a_refusal_in_the_servers_words(
    ours: KubeCluster, namespace: Namespace
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
    namespace.apply({**quota, "spec": {"hard": {"count/deployments.apps": "0"}}})
    eventually(lambda: bool(namespace.get("resourcequota", "none").get("status", {}).get("hard")))
    with pytest.raises(ClusterRefusedError, match="exceeded quota: none") as refused:
        await ours.execute(CreateObject(_deployment(namespace.name)))
    assert refused.value.of_cluster


async def test_in_a_namespace_that_ends_nothing_new_is_made_and_that_is_no_refusal(
    cluster: RunningCluster, ours: KubeCluster
) -> None:
    name = f"ends-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    held = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "held", "finalizers": ["example.com/x"]},
    }
    namespace = Namespace(cluster, name)
    namespace.apply(held)
    cluster.kubectl("delete", "namespace", name, "--wait=false")
    try:
        eventually(lambda: "Terminating" in cluster.kubectl("get", "namespace", name))
        with pytest.raises(NamespaceEndingError, match="being terminated"):
            await ours.execute(CreateObject(_deployment(name)))
    finally:
        namespace.kubectl(
            "patch", "configmap", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
        )
