"""Whether a Kubernetes object is as it should be, by the rules of kstatus."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What kstatus makes of an object."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"


def verdict(raw: Mapping[str, Any]) -> Verdict:
    """Judge a custom resource by its conditions."""
    meta, status = raw["metadata"], raw.get("status") or {}
    if meta.get("deletionTimestamp"):
        return Verdict.TERMINATING
    if status.get("observedGeneration", meta.get("generation")) != meta.get("generation"):
        return Verdict.IN_PROGRESS
    if condition(raw, "Reconciling").get("status") == "True":
        return Verdict.IN_PROGRESS
    if condition(raw, "Stalled").get("status") == "True":
        return Verdict.FAILED
    return Verdict.CURRENT if condition(raw, "Ready").get("status", "True") == "True" else Verdict.IN_PROGRESS


def seen(raw: Mapping[str, Any]) -> bool:
    """Tell whether the operator has said anything of an object."""
    return bool(condition(raw, "Ready"))


def condition(raw: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Find a condition by its type; empty if it is not there."""
    conditions = (raw.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind), {})


def explain(raw: Mapping[str, Any]) -> str:
    """Say in a line how an object stands."""
    meta, ready = raw["metadata"], condition(raw, "Ready")
    said = f"{ready.get('reason', 'no condition')}: {ready.get('message', '')}"
    return f"{raw['kind']} {meta.get('namespace', '')}/{meta['name']} is {verdict(raw)} ({said})"
