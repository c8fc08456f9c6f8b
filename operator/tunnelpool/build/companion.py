"""The workload whose companion a Tunnel is: how many connectors run, and near which pods.

Nothing of the workload is ever written. While it is not there nobody knows how many replicas are meant, so
the Tunnel's origins stay as they are: a workload that is deleted and made again costs no origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tunnelpool.crd.conditions import Condition, drop_condition, set_condition
from tunnelpool.crd.v1alpha1 import Tunnel
from tunnelpool.crd.v1alpha1.tunnel import DEFAULT_REPLICAS, MAX_REPLICAS, WorkloadRef
from tunnelpool.domain.json import FrozenJson, freeze, thaw
from tunnelpool.domain.reasons import Problem, Reason

_HOST: Final = "kubernetes.io/hostname"


@dataclass(frozen=True, slots=True)
class Companion:
    """What the cluster shows of a Tunnel's workload."""

    ref: WorkloadRef
    replicas: int | None = None
    """What the workload asks for; None if there is no such workload."""
    selector: FrozenJson = None
    """The label selector of its pods."""
    present: int = 0
    """How many connectors the Tunnel has."""

    @property
    def connectors(self) -> int:
        """How many connectors shall run."""
        return self.present if self.replicas is None else min(self.replicas, MAX_REPLICAS)

    def __str__(self) -> str:
        """Write `Deployment 'web'`, as messages name it."""
        return f"{self.ref.kind} '{self.ref.name}'"


def companion(ref: WorkloadRef, workload: Mapping[str, Any] | None, present: int) -> Companion:
    """Read a workload as far as a Tunnel follows it; without `spec.replicas` Kubernetes takes 1."""
    if workload is None:
        return Companion(ref, present=present)
    spec: Mapping[str, Any] = workload.get("spec") or {}
    replicas = spec.get("replicas")
    return Companion(ref, 1 if replicas is None else int(replicas), freeze(spec.get("selector")), present)


def connectors(tunnel: Tunnel, followed: Companion | None) -> int:
    """Tell how many connectors of a Tunnel shall run."""
    if followed is not None:
        return followed.connectors
    return DEFAULT_REPLICAS if tunnel.spec.replicas is None else tunnel.spec.replicas


def affinity(followed: Companion | None, deployment: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Let connectors prefer the nodes of the workload's pods; without the workload what there is stays."""
    if followed is None:
        return None
    if followed.replicas is None:
        pod = ((deployment or {}).get("spec") or {}).get("template", {}).get("spec", {})
        present: dict[str, Any] | None = pod.get("affinity")
        return present
    term = {"labelSelector": thaw(followed.selector), "topologyKey": _HOST}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def unfollowed(followed: Companion) -> Problem | None:
    """Say why the connectors are not as many as the replicas."""
    if followed.replicas is None:
        return Problem(
            Reason.WORKLOAD_NOT_FOUND,
            f"{followed} must exist in the same namespace: apply it or correct `workloadRef`; until then the "
            f"Tunnel keeps its {followed.present} connectors",
        )
    if followed.replicas > MAX_REPLICAS:
        return Problem(
            Reason.TOO_MANY_REPLICAS,
            f"{followed} has {followed.replicas} replicas, and a Tunnel at most {MAX_REPLICAS} connectors: "
            "apply another Tunnel, or use `service` without `workloadRef`",
        )
    return None


def with_following(
    conditions: tuple[Condition, ...], followed: Companion | None, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Say in a condition whether there are as many connectors as replicas; a Tunnel of its own has none."""
    if followed is None:
        return drop_condition(conditions, "Following")
    lost = unfollowed(followed)
    return set_condition(
        conditions,
        "Following",
        "False" if lost else "True",
        lost.reason if lost else Reason.FOLLOWING,
        lost.message if lost else f"{followed} asks for {followed.replicas} replicas",
        generation=generation,
        now=now,
    )
