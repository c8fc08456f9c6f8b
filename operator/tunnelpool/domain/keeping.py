"""What is kept in memory of each object that the watches bring.

Our own objects are kept whole, but for what Kubernetes says of a Deployment's pods: the pods say it, if
they may be at all. Of pods and of others' objects only that is kept which somebody here reads, since there
may be thousands of them: how many replicas a workload has and which pods are its, and where a Service is
reached. Others' labels are not kept: no object of theirs can be taken for a connector.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

from tunnelpool.domain.kinds import MANAGED_BY, MANAGER

_IDENTITY: Final = ("name", "namespace", "uid", "resourceVersion", "deletionTimestamp")
_SHORT: Final = 64
"""Longer strings are hardly ever the same."""
_WORKLOADS: Final = frozenset({"Deployment", "StatefulSet"})


def kept(kind: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Copy of an object what is worth keeping; `managedFields`, the largest part, never is."""
    meta = raw["metadata"]
    if kind in _WORKLOADS and (meta.get("labels") or {}).get(MANAGED_BY) != MANAGER:
        spec = raw.get("spec") or {}
        return {
            "metadata": _identity(meta),
            "spec": {name: spec[name] for name in ("replicas", "selector") if name in spec},
        }
    if kind == "Service":
        balancer = (raw.get("status") or {}).get("loadBalancer") or {}
        return {
            "metadata": _identity(meta),
            "spec": {"type": (raw.get("spec") or {}).get("type", "ClusterIP")},
            "status": {"loadBalancer": {"ingress": list(balancer.get("ingress") or ())}},
        }
    if kind == "Pod":
        pod = {"metadata": _identity(meta) | _labels(meta), "status": _pod_status(raw.get("status") or {})}
        return _shared(pod)
    found = dict(raw)
    if kind in _WORKLOADS and "status" in raw:
        found["status"] = _refusals(raw.get("status") or {})
    found["metadata"] = {name: value for name, value in meta.items() if name != "managedFields"}
    return _shared(found)


def _refusals(status: Mapping[str, Any]) -> dict[str, Any]:
    """Copy what a Deployment says that its pods cannot say, since they may not be."""
    conditions = status.get("conditions") or ()
    return {"conditions": [one for one in conditions if one.get("type") == "ReplicaFailure"]}


def _pod_status(status: Mapping[str, Any]) -> dict[str, Any]:
    """Copy what tells whether a connector runs, has ended or serves."""
    conditions = (one for one in status.get("conditions") or () if one.get("type") == "Ready")
    told = ("type", "status", "lastTransitionTime")
    containers: list[dict[str, Any]] = [
        {name: {state: {} for state in one[name] or ()} for name in ("state", "lastState") if name in one}
        for one in status.get("containerStatuses") or ()
    ]
    return {
        **({"phase": status["phase"]} if "phase" in status else {}),
        "conditions": [{name: one[name] for name in told if name in one} for one in conditions],
        "containerStatuses": containers,
    }


def _labels(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {"labels": dict(meta["labels"])} if meta.get("labels") else {}


def _shared(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Copy with one string for all that are the same: each answer brings its own of every field's name."""
    return {sys.intern(name): _interned(value) for name, value in raw.items()}


def _interned(value: Any) -> Any:
    if type(value) is str:
        return sys.intern(value) if len(value) <= _SHORT else value
    if isinstance(value, Mapping):
        return _shared(value)
    return [_interned(one) for one in value] if isinstance(value, list) else value


def _identity(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {name: meta[name] for name in _IDENTITY if name in meta}
