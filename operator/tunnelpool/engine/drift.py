"""What a resource with `driftPolicy: Report` lets through, and what its status says of the rest.

A change is drift only once the spec of this generation was in force: the condition `Drifted` says so by
its `observedGeneration`. So a change of the spec is written, and one whose write has failed is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tunnelpool.crd.base import DriftingSpec, Resource
from tunnelpool.crd.conditions import Condition, drop_condition, find, set_condition
from tunnelpool.domain.ownership import Owner
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.domain.remote import Observed
from tunnelpool.plan.drift import hold_back
from tunnelpool.plan.steps import Step, Update

CONDITION = "Drifted"


@dataclass(frozen=True, slots=True)
class Drift:
    """What the steps of a key are reduced to, and what is to be said. `told` None: nothing new."""

    steps: tuple[Step, ...]
    told: tuple[str, ...] | None = None
    unsettled: bool = False
    """The spec is not in force yet, so what differs is not known to be anybody's doing."""


def reported(
    resource: Resource | None,
    steps: Sequence[Step],
    observed: Observed[Any] | None,
    problem: Problem | None,
    owner: Owner,
) -> Drift:
    """Take drift out of the steps of a resource that only wants to hear of it."""
    if resource is None or not reports(resource) or resource.suspended or resource.deleting:
        return Drift(tuple(steps))
    if problem is not None or observed is None:
        return Drift(tuple(steps), unsettled=True)
    if not _was_in_force(resource):
        changed = any(isinstance(step, Update) for step in steps)
        return Drift(tuple(steps), None if changed else ())
    left: list[Step] = []
    fields: tuple[str, ...] = ()
    for step in steps:
        if isinstance(step, Update) and step.id == observed.id:
            allowed, fields = hold_back(step, observed, owner)
            left += [allowed] if allowed else []
        else:
            left.append(step)
    return Drift(tuple(left), fields)


def reports(resource: Resource) -> bool:
    """Tell whether drift is only to be reported."""
    return isinstance(resource.spec, DriftingSpec) and resource.spec.drift_policy == "Report"


def _was_in_force(resource: Resource) -> bool:
    said = find(resource.status.conditions, CONDITION)
    generation = resource.metadata.generation
    return said is not None and said.status != "Unknown" and said.observed_generation == generation


def with_drift(status: Mapping[str, Any], resource: Resource, drift: Drift, now: datetime) -> dict[str, Any]:
    """Put the condition into a status; a resource that wants drift corrected has none."""
    conditions = tuple(Condition.model_validate(one) for one in status["conditions"])
    generation = resource.metadata.generation
    if not reports(resource):
        conditions = drop_condition(conditions, CONDITION)
    elif drift.unsettled:
        message = "the spec is not in force yet"
        conditions = set_condition(
            conditions, CONDITION, "Unknown", Reason.PENDING, message, generation=generation, now=now
        )
    elif drift.told:
        message = f"changed at Cloudflare and left so: {', '.join(drift.told)}"
        conditions = set_condition(
            conditions, CONDITION, "True", Reason.DRIFTED, message, generation=generation, now=now
        )
    elif drift.told is not None:
        conditions = set_condition(
            conditions, CONDITION, "False", Reason.IN_SYNC, "nothing differs", generation=generation, now=now
        )
    return {**status, "conditions": [one.model_dump(mode="json", by_alias=True) for one in conditions]}
