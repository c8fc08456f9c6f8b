"""What is kept of objects that are not ours is little, and nothing by which they could be taken for ours."""

import json
from typing import Any

import pytest

from tunnelpool.domain.keeping import kept

META = {
    "name": "web",
    "namespace": "default",
    "uid": "u",
    "resourceVersion": "7",
    "labels": {"app": "web", "tunnelpool.dev/tunnel": "web"},
    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x" * 1000},
    "managedFields": [{"manager": "kubectl"}],
}
IDENTITY = {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7"}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_of_a_workload_its_replicas_and_its_pods_are_kept(kind: str) -> None:
    selector = {"matchLabels": {"app": "web"}}
    raw = {
        "kind": kind,
        "metadata": META,
        "spec": {"replicas": 3, "selector": selector, "template": {"spec": {"containers": []}}},
        "status": {"readyReplicas": 3},
    }
    assert kept(kind, raw) == {"metadata": IDENTITY, "spec": {"replicas": 3, "selector": selector}}


def test_of_a_service_its_type_and_where_it_is_reached_are_kept() -> None:
    ingress = [{"ip": "203.0.113.7"}]
    raw = {
        "kind": "Service",
        "metadata": META | {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 443}], "selector": {"app": "web"}},
        "status": {"loadBalancer": {"ingress": ingress}, "conditions": []},
    }
    assert kept("Service", raw) == {
        "metadata": IDENTITY | {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": ingress}},
    }
    assert kept("Service", {"metadata": META, "spec": {}})["status"] == {"loadBalancer": {"ingress": []}}


@pytest.mark.parametrize("kind", ["Deployment", "Secret", "Tunnel"])
def test_what_is_ours_is_kept_whole_but_for_managed_fields(kind: str) -> None:
    labels = {"app.kubernetes.io/managed-by": "tunnelpool", "tunnelpool.dev/tunnel": "web"}
    raw: dict[str, Any] = {"kind": kind, "metadata": {**META, "labels": labels}, "spec": {"a": 1}}
    without = {name: value for name, value in raw["metadata"].items() if name != "managedFields"}
    assert kept(kind, raw) == {**raw, "metadata": without}


def test_of_a_pod_is_kept_whether_it_runs_and_serves() -> None:
    raw = {
        "kind": "Pod",
        "metadata": META,
        "spec": {"containers": [{"name": "cloudflared"}]},
        "status": {
            "phase": "Running",
            "podIP": "192.0.2.1",
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "t", "lastProbeTime": None},
                {"type": "PodScheduled", "status": "True"},
            ],
            "containerStatuses": [
                {
                    "name": "cloudflared",
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 1}},
                    "image": "i",
                }
            ],
        },
    }
    assert kept("Pod", raw) == {
        "metadata": IDENTITY | {"labels": META["labels"]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "t"}],
            "containerStatuses": [{"state": {"waiting": {}}, "lastState": {"terminated": {}}}],
        },
    }


def test_of_our_own_deployment_all_is_kept_but_what_its_pods_say_themselves() -> None:
    meta = {**IDENTITY, "labels": {"app.kubernetes.io/managed-by": "tunnelpool"}}
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    status = {"replicas": 1, "conditions": [{"type": "Available", "status": "True"}, refused]}
    found = kept("Deployment", {"metadata": meta, "spec": {"paused": False}, "status": status})
    assert found == {"metadata": meta, "spec": {"paused": False}, "status": {"conditions": [refused]}}


def test_what_is_the_same_in_two_objects_is_one_string_in_memory() -> None:
    text = json.dumps({"metadata": IDENTITY, "spec": {"someField": "some value"}})
    one, other = (kept("Tunnel", json.loads(text))["spec"] for _ in range(2))
    assert next(iter(one)) is next(iter(other))
    assert one["someField"] is other["someField"]
