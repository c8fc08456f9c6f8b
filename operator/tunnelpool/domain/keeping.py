"""What is kept in memory of each object that the watches bring.

Our own objects are kept whole. Of others' only that is kept which somebody here reads, since a cluster may
hold thousands of them: how many replicas a workload has and which pods are its, and where a Service is
reached. Labels are not: no object of others' can be taken for a connector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tunnelpool.domain.kinds import MANAGED_BY, MANAGER

_IDENTITY: Final = ("name", "namespace", "uid", "resourceVersion", "deletionTimestamp")
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
    return {**raw, "metadata": {name: value for name, value in meta.items() if name != "managedFields"}}


def _identity(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {name: meta[name] for name in _IDENTITY if name in meta}
