"""What a preview has found, as values that both forms of output are written from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tunnelpool.domain.json import thaw
from tunnelpool.domain.ownership import read_mark
from tunnelpool.domain.remote import Tunnel
from tunnelpool.plan.fields import ABSENT, FieldChange
from tunnelpool.plan.render import action_of, kind_of
from tunnelpool.plan.steps import (
    ApplyObject,
    CloseConnections,
    Create,
    CreateObject,
    Delete,
    DeleteObject,
    PutConfiguration,
    RotateSecret,
    SetFinalizer,
    Step,
    Update,
    WriteConnectorSecret,
)
from tunnelpool.preview.manifests import ResourceChange
from tunnelpool.preview.names import Names, title
from tunnelpool.preview.simulation import Finding, Outcome, Pause, PlannedStep

CLOUDFLARE: Final = "Cloudflare"
CLUSTER: Final = "cluster"


@dataclass(frozen=True, slots=True)
class Preview:
    """The whole answer of `tunnelpool plan`."""

    resources: tuple[ResourceChange, ...]
    outcome: Outcome
    names: Names
    notes: tuple[str, ...] = ()
    """What the reader must know to judge the answer: what could not be read, what was assumed."""

    @property
    def changes(self) -> bool:
        """Tell whether anything would be written."""
        return bool(self.resources or self.outcome.steps)

    @property
    def refused(self) -> bool:
        """Tell whether a resource would stay as it is until a person acts."""
        return any(finding.stalled for finding in self.outcome.findings)


def only_cloudflare(outcome: Outcome) -> Outcome:
    """Leave out what happens in the cluster, for a preview that has not seen it.

    The configuration of a tunnel that is there has no listing; a Secret in the cluster says what it is.
    """
    made = {
        one.step.value.name
        for one in outcome.steps
        if isinstance(one.step, Create) and isinstance(one.step.value, Tunnel)
    }
    kept = [
        one
        for one in outcome.items
        if isinstance(one, Pause)
        or isinstance(one.step, (Create, Update, Delete))
        or (isinstance(one.step, PutConfiguration) and one.step.name in made)
    ]
    return Outcome(tuple(kept), outcome.findings)


def action_in_plan(step: Step) -> str:
    """Name what a step does: `create`, `update`, `delete` or `finalizer`."""
    if isinstance(step, WriteConnectorSecret) and not step.exists:
        return "create"
    return action_of(step)


def side_of(step: Step) -> str:
    """Name the API that a step is for."""
    remote = isinstance(step, (Create, Update, Delete, PutConfiguration, RotateSecret, CloseConnections))
    return CLOUDFLARE if remote else CLUSTER


def name_of(step: Step) -> str:
    """Name the object that a step is about, as people know it."""
    match step:
        case Create(value=value) | Update(value=value):
            return title(value)
        case Delete(name=name):
            mark = read_mark(name)
            return mark.of.removeprefix("monitor/") if mark and mark.of else name
        case PutConfiguration(name=name) | RotateSecret(name=name) | CloseConnections(name=name):
            return name
        case CreateObject(manifest) | ApplyObject(manifest) | WriteConnectorSecret(manifest):
            meta = thaw(manifest)["metadata"]
            return f"{meta['namespace']}/{meta['name']}"
        case DeleteObject(ref) | SetFinalizer(ref):
            return f"{ref.namespace}/{ref.name}"


def kind_in_words(step: Step) -> str:
    """Name the kind of object that a step is about, as people call it."""
    return kind_of(step).replace("_", " ").replace("dns record", "DNS record")


def as_json(preview: Preview) -> dict[str, Any]:
    """Write the answer for programs. Ids that do not exist yet say when they will be known."""
    names = preview.names
    return {
        "changes": preview.changes,
        "resources": [
            {
                "action": one.action,
                "kind": one.kind,
                "namespace": one.namespace,
                "name": one.name,
                "fields": [_field(field, names) for field in one.fields],
            }
            for one in preview.resources
        ],
        "steps": [_item(one, names) for one in preview.outcome.items],
        "problems": [_finding(one) for one in preview.outcome.findings],
        "notes": list(preview.notes),
    }


def _item(item: PlannedStep | Pause, names: Names) -> Mapping[str, Any]:
    if isinstance(item, Pause):
        return {"action": "wait", "seconds": round(item.seconds, 3)}
    step = item.step
    return {
        "action": action_in_plan(step),
        "side": side_of(step).lower(),
        "kind": kind_of(step),
        "name": name_of(step),
        "aggregate": str(item.key),
        "fields": [_field(field, names) for field in item.fields],
    }


def _field(field: FieldChange, names: Names) -> dict[str, Any]:
    return dict(_sides(field, names))


def _sides(field: FieldChange, names: Names) -> Iterator[tuple[str, Any]]:
    yield "path", field.path
    if field.before is not ABSENT:
        yield "before", names.for_programs(field.before)
    if field.after is not ABSENT:
        yield "after", names.for_programs(field.after)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "namespace": finding.namespace,
        "name": finding.name,
        "reason": finding.reason,
        "message": finding.message,
        "stalled": finding.stalled,
    }
