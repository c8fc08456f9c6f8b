"""Steps: everything that tunnelpool ever does to either API, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tunnelpool.domain.json import FrozenJson, FrozenObject
from tunnelpool.domain.remote import RemoteKind, RemoteValue


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs: its name on the wire and both canonical values."""

    field: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Create:
    """Create a remote object. `zone_id` for load balancers and DNS records."""

    value: RemoteValue
    zone_id: str = ""
    shared: bool = False
    """Other clusters may write the object as well, or create it at the same time."""


@dataclass(frozen=True, slots=True)
class Update:
    """Change the named fields of a remote object to those of `value`, in one PATCH."""

    id: str
    value: RemoteValue
    changes: tuple[Change, ...]
    zone_id: str = ""
    shared: bool = False
    """Other clusters may write the object as well: it is read again just before, and after."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a remote object; `name` is for people."""

    kind: RemoteKind
    id: str
    name: str
    zone_id: str = ""
    shared: bool = False
    """Other clusters may write the object as well: it is read again just before."""


@dataclass(frozen=True, slots=True)
class PutConfiguration:
    """Replace the configuration of a remotely managed tunnel."""

    tunnel_id: str
    name: str
    config: FrozenJson


@dataclass(frozen=True, slots=True)
class RotateSecret:
    """Give a tunnel a new secret, which no step holds: connectors that run keep their connections."""

    tunnel_id: str
    name: str


@dataclass(frozen=True, slots=True)
class CloseConnections:
    """Clean up the connections of a tunnel whose connectors have ended."""

    tunnel_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """A Kubernetes object: `kind` as in manifests (`Deployment`, `Tunnel`)."""

    kind: str
    namespace: str
    name: str
    uid: str = ""
    """Empty, or the precondition of a deletion."""


@dataclass(frozen=True, slots=True)
class CreateObject:
    """Create a Kubernetes object; one of that name that is not ours is a conflict, never overwritten."""

    manifest: FrozenObject


@dataclass(frozen=True, slots=True)
class ApplyObject:
    """Apply a Kubernetes object that is ours (server-side apply of the complete intent)."""

    manifest: FrozenObject


@dataclass(frozen=True, slots=True)
class WriteConnectorSecret:
    """Create or apply the Secret of a connector: the manifest without its `token`, which is fetched."""

    manifest: FrozenObject
    tunnel_id: str
    exists: bool


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """Delete a Kubernetes object that is ours, in the background."""

    ref: ObjectRef


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Add or remove our finalizer, if the object is still at `resource_version`."""

    ref: ObjectRef
    resource_version: str
    finalizers: tuple[str, ...]
    """The complete list as it shall be."""


RemoteStep: TypeAlias = Create | Update | Delete | PutConfiguration | RotateSecret | CloseConnections
ClusterStep: TypeAlias = CreateObject | ApplyObject | WriteConnectorSecret | DeleteObject | SetFinalizer
Step: TypeAlias = RemoteStep | ClusterStep
