"""What the models of all kinds share: configuration, metadata, the look of a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from tunnelpool.crd.conditions import Condition
from tunnelpool.crd.rules import VALIDATIONS, Rule

GROUP: Final = "tunnelpool.dev"
CATEGORY: Final = "tunnelpool"


class Model(BaseModel):
    """A part of a resource: immutable, camelCase on the wire, unknown fields ignored when read."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )

    RULES: ClassVar[tuple[Rule, ...]] = ()
    """CEL rules over several fields of this object."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        """Write the rules into the schema of the model."""
        found = handler.resolve_ref_schema(handler(schema))
        if cls.RULES:
            found[VALIDATIONS] = [rule.manifest() for rule in cls.RULES]
        return found

    def wire(self) -> dict[str, Any]:
        """Write the object as the Kubernetes API has it: camelCase, JSON values, absent instead of null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class ObjectMeta(Model):
    """The part of `metadata` that the operator reads."""

    name: str
    namespace: str = "default"
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    finalizers: tuple[str, ...] = ()
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)


Adoption: TypeAlias = Literal["Never", "IfUnowned"]
DeletionPolicy: TypeAlias = Literal["Delete", "Retain"]
DriftPolicy: TypeAlias = Literal["Correct", "Report"]
Sharing: TypeAlias = Literal["Exclusive", "Shared"]


class Spec(Model):
    """What every spec has: how far the operator may go. It stands behind the kind's own fields."""

    adoption: Adoption = "Never"
    """Whether an object that is at Cloudflare already may be taken over. `Never`: it is left alone, and this
    one waits. `IfUnowned`: it becomes this one's if no operator's mark is on it: its fields are set and the
    mark written in one change. A pool is known by its name, a load balancer or a CNAME by the hostname, a
    monitor by its `description`; a tunnel is never taken over."""
    deletion_policy: DeletionPolicy = "Delete"
    """What becomes of the objects at Cloudflare when this one is deleted. `Delete`: they go first. `Retain`:
    they stay and answer as before; the operator takes its mark off them and never touches them again. What
    others still ask for stays theirs. Connectors go with the Tunnel, unless `kubectl delete
    --cascade=orphan` leaves them."""
    suspend: bool = False
    """Whether the object rests: nothing is written for it, to either API, until this is false again. What
    there is keeps answering. Deletion goes on all the same."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        """Put the fields that all kinds share last: a reader wants those of the kind."""
        found = super().__get_pydantic_json_schema__(schema, handler)
        properties = found["properties"]
        for name in (name for name in SharedSpec.model_fields if name in cls.model_fields):
            properties[to_camel(name)] = properties.pop(to_camel(name))
        return found


class DriftingSpec(Spec):
    """What a spec has that describes one object at Cloudflare."""

    drift_policy: DriftPolicy = "Correct"
    """What becomes of changes that somebody makes at Cloudflare. `Correct`: they are set right. `Report`: the
    condition `Drifted` names the fields and nothing is written, until the spec changes. Origins of Tunnels
    come and go all the same; origins made by hand stay with `Report`."""


class SharedSpec(DriftingSpec):
    """What a spec has whose object at Cloudflare several clusters may write."""

    sharing: Sharing = "Exclusive"
    """Whether other clusters may have entries in the same object at Cloudflare. `Exclusive`: it is this
    cluster's alone. `Shared`: each cluster adds and removes its own origins of a pool, its own pools of a
    load balancer; the one that has made the object writes the settings, and where another asks for others
    both say so in the condition `SettingsDiffer`. It must be `Shared` in all of them."""


class Status(Model):
    """What every status has."""

    observed_generation: int | None = Field(default=None, ge=0)
    """The `metadata.generation` that this status describes."""
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    """`Ready`, `Reconciling` and `Stalled` as kstatus reads them, and those of this kind."""


class SharedStatus(Status):
    """What a status has whose object at Cloudflare several clusters may write."""

    clusters: tuple[Annotated[str, Field(max_length=36)], ...] = Field(
        default=(), max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """The clusters that share the object, first the one that writes the settings. Absent where none may."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; priority 1 shows it with `-o wide` only."""

    name: str
    json_path: str
    type: str = "string"
    description: str = ""
    priority: int = 0


def condition_column(name: str, condition: str, field: str, description: str, *, priority: int = 0) -> Column:
    """Show one field of one condition."""
    path = f'.status.conditions[?(@.type=="{condition}")].{field}'
    return Column(name, path, description=description, priority=priority)


READY_COLUMNS: Final = (
    condition_column("Ready", "Ready", "status", "Whether everything that was asked for is in force."),
    condition_column("Reason", "Ready", "reason", "Why it is ready or not, in one word."),
    condition_column("Message", "Ready", "message", "What to do, where something is to be done.", priority=1),
)
CLUSTERS_COLUMN: Final = Column(
    "Clusters",
    ".status.clusters",
    description="Clusters that share it, the one that writes first.",
    priority=1,
)
AGE_COLUMN: Final = Column("Age", ".metadata.creationTimestamp", "date")


@dataclass(frozen=True, slots=True)
class Names:
    """How a kind is called, and how `kubectl get` shows it between its name and `Ready`."""

    kind: str
    plural: str
    singular: str
    short: str
    columns: tuple[Column, ...]


class Resource(Model):
    """A custom resource: what it is called, whose it is, what is wanted and what is."""

    NAMES: ClassVar[Names]
    VERSION: ClassVar[str]

    metadata: ObjectMeta
    spec: Spec
    status: Status = Status()

    @property
    def kind(self) -> str:
        """Name of the kind."""
        return self.NAMES.kind

    @property
    def api_version(self) -> str:
        """Group and version, as in a manifest."""
        return f"{GROUP}/{self.VERSION}"

    @property
    def deleting(self) -> bool:
        """Whether somebody has asked for the object's deletion."""
        return self.metadata.deletion_timestamp is not None

    @property
    def adopts(self) -> bool:
        """Whether an object at Cloudflare that carries no mark may be taken over."""
        return self.spec.adoption == "IfUnowned" and not (self.deleting or self.suspended)

    @property
    def retains(self) -> bool:
        """Whether the object is being deleted and leaves what is at Cloudflare there."""
        return self.deleting and self.spec.deletion_policy == "Retain"

    @property
    def suspended(self) -> bool:
        """Whether nothing may be written for the object; its deletion is no longer its user's rest."""
        return self.spec.suspend and not self.deleting

    def __str__(self) -> str:
        """Write `Tunnel default/web`, as messages name an object."""
        return f"{self.kind} {self.metadata.namespace}/{self.metadata.name}"
