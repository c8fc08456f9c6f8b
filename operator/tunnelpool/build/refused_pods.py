"""Pods that the cluster does not let a Deployment have: quota, Pod Security, admission.

The Deployment itself is accepted, so no answer to the operator tells of it; its status does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tunnelpool.build.snapshot import Raw, Slot
from tunnelpool.domain.reasons import Problem, Reason

_NAMED: Final = re.compile(r'pods "[^"]*" is forbidden: ')
"""Each attempt names another pod: the message of a condition must not move by itself."""


def refused_pods(slots: Iterable[Slot]) -> Problem | None:
    """Say why the first Deployment that may not have its pod may not, in the cluster's own words."""
    for slot in slots:
        message = _replica_failure(slot.deployment) if not slot.ready_pods else ""
        if slot.deployment is not None and message:
            name = slot.deployment["metadata"]["name"]
            return Problem(Reason.CLUSTER_REFUSED, f"Deployment '{name}' may not have its pod: {message}")
    return None


def _replica_failure(deployment: Raw | None) -> str:
    status: Mapping[str, Any] = (deployment or {}).get("status") or {}
    for one in status.get("conditions") or ():
        if one.get("type") == "ReplicaFailure" and one.get("status") == "True":
            return _NAMED.sub("", str(one.get("message") or one.get("reason") or "refused"))
    return ""
