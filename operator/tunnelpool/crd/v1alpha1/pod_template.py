"""What a user may say about the connector pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tunnelpool.crd.base import Model
from tunnelpool.crd.fields import LabelMap, ObjectName, Quantity
from tunnelpool.crd.rules import Rule

_Resources = Annotated[Mapping[str, Quantity], Field(max_length=16)]


class Resources(Model):
    """Compute resources of a connector."""

    requests: _Resources | None = None
    """What the scheduler reserves, such as `cpu: 10m`."""
    limits: _Resources | None = None
    """What the connector may use at most, such as `memory: 128Mi`."""


class Toleration(Model):
    """A taint that the pods tolerate, as in a Pod."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.key) || self.operator == 'Exists'", "must have a `key` unless `operator` is 'Exists'"),
        Rule(
            "!has(self.value) || self.operator == 'Equal'",
            "must not be set where `operator` is 'Exists'",
            ".value",
        ),
        Rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "must not be set unless `effect` is 'NoExecute'",
            ".tolerationSeconds",
        ),
    )

    key: Annotated[str, Field(max_length=316)] | None = None
    """Key of the taint. Absent: every key, with `operator: Exists`."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """How `value` is compared."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. Absent: every effect."""
    toleration_seconds: int | None = Field(default=None, ge=0)
    """How long the pod stays on a node with a NoExecute taint, in seconds. Absent: for ever."""


class PodTemplate(Model):
    """Image, resources and scheduling of the connector pods."""

    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Image of cloudflared. Default: the operator's."""
    resources: Resources | None = None
    """Compute resources of the connector's container. Default: the operator's."""
    node_selector: (
        Annotated[Mapping[str, Annotated[str, Field(max_length=63)]], Field(max_length=64)] | None
    ) = None
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] = Field(default=(), max_length=32)
    """Taints that the pods tolerate, beyond 30 s of a node that is not ready or not reachable."""
    labels: LabelMap | None = None
    """Further labels of the pods."""
    annotations: (
        Annotated[Mapping[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)] | None
    ) = None
    """Further annotations of the pods."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""
