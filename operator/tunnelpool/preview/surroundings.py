"""Workloads and Services among the manifests: Tunnels follow the ones, pools take addresses of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tunnelpool.domain.keeping import kept
from tunnelpool.domain.kinds import DEPLOYMENT, MANAGED_BY, MANAGER, SERVICE, STATEFUL_SET
from tunnelpool.engine.store import Raw, Store
from tunnelpool.preview.cluster import next_version

_FOLLOWED: Final = {(kind.api_version, kind.name) for kind in (DEPLOYMENT, STATEFUL_SET, SERVICE)}


def is_followed(raw: Raw) -> bool:
    """Tell whether an object may be followed: a workload or a Service, and no connector of ours."""
    labels = raw["metadata"].get("labels") or {}
    return (raw.get("apiVersion"), raw.get("kind")) in _FOLLOWED and labels.get(MANAGED_BY) != MANAGER


def lay_around(store: Store, raw: Raw) -> None:
    """Put a workload or a Service into the store as applying it would leave it.

    What a manifest does not say stays: the replicas that an autoscaler has set, a Service's address.
    """
    kind = str(raw["kind"])
    meta = raw["metadata"]
    wish = kept(kind, raw)
    there: Mapping[str, Any] = store.get(kind, meta["namespace"], meta["name"]) or {}
    spec = {**(there.get("spec") or {}), **wish["spec"]}
    status = there.get("status") or wish.get("status")
    whole = {
        "kind": kind,
        "metadata": {**wish["metadata"], **(there.get("metadata") or {})},
        "spec": spec,
        **({"status": status} if status else {}),
    }
    store.put(kind, next_version(whole))
