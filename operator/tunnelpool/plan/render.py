"""Steps in words, for logs and for people. No secret stands in a step, so none can show up here."""

from __future__ import annotations

from tunnelpool.domain.json import FrozenObject, thaw
from tunnelpool.domain.remote import KIND_OF, Monitor, RemoteValue
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


def describe(step: Step) -> str:
    """Say in one line what a step does."""
    match step:
        case Create(value=value):
            return f"create {KIND_OF[type(value)]} '{_title(value)}'"
        case Update(value=value, changes=changes):
            fields = ", ".join(change.field for change in changes if change.before != change.after)
            return f"change {KIND_OF[type(value)]} '{_title(value)}': {fields}"
        case Delete(kind=kind, name=name):
            return f"delete {kind} '{name}'"
        case PutConfiguration(name=name):
            return f"put the configuration of tunnel '{name}'"
        case RotateSecret(name=name):
            return f"give tunnel '{name}' a new secret"
        case CloseConnections(name=name):
            return f"close the connections of tunnel '{name}'"
        case CreateObject(manifest=manifest):
            return f"create {_object(manifest)}"
        case ApplyObject(manifest=manifest):
            return f"apply {_object(manifest)}"
        case WriteConnectorSecret(manifest=manifest):
            return f"write {_object(manifest)}"
        case DeleteObject(ref=ref):
            return f"delete {ref.kind} '{ref.namespace}/{ref.name}'"
        case SetFinalizer(ref=ref, finalizers=finalizers):
            kept = ", ".join(finalizers) or "none"
            return f"set the finalizers of {ref.kind} '{ref.namespace}/{ref.name}': {kept}"


def kind_of(step: Step) -> str:
    """Name the kind of object that a step is about, in one word for a metric's label."""
    match step:
        case Create(value=value) | Update(value=value):
            return KIND_OF[type(value)].name.lower()
        case Delete(kind=kind):
            return kind.name.lower()
        case PutConfiguration():
            return "configuration"
        case RotateSecret():
            return "secret"
        case CloseConnections():
            return "connections"
        case CreateObject(manifest=manifest) | ApplyObject(manifest=manifest):
            return str(thaw(manifest)["kind"])
        case WriteConnectorSecret():
            return "Secret"
        case DeleteObject(ref=ref) | SetFinalizer(ref=ref):
            return ref.kind


def action_of(step: Step) -> str:
    """Name what a step does, in one word for a metric's label."""
    match step:
        case Create() | CreateObject():
            return "create"
        case Update() | PutConfiguration() | RotateSecret() | ApplyObject() | WriteConnectorSecret():
            return "update"
        case Delete() | CloseConnections() | DeleteObject():
            return "delete"
        case SetFinalizer():
            return "finalizer"


def _title(value: RemoteValue) -> str:
    return value.description if isinstance(value, Monitor) else value.name


def _object(manifest: FrozenObject) -> str:
    raw = thaw(manifest)
    return f"{raw['kind']} '{raw['metadata']['namespace']}/{raw['metadata']['name']}'"
