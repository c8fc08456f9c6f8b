"""Conditions: the only way in which a resource says how it stands.

The shape is that of `metav1.Condition`. kstatus (Flux, Helm, Argo CD) reads three of them: `Reconciling`
True means "it may still succeed", `Stalled` True "a person must act", else `Ready` decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_serializer
from pydantic.alias_generators import to_camel

ConditionStatus: TypeAlias = Literal["True", "False", "Unknown"]


class Condition(BaseModel):
    """One observation of the latest state of the object."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )

    type: str = Field(max_length=316, pattern=r"^[A-Z][A-Za-z0-9]*$")
    """What is observed, such as `Ready`."""
    status: ConditionStatus
    """Whether it holds."""
    observed_generation: int = Field(default=0, ge=0)
    """The `metadata.generation` that was looked at."""
    last_transition_time: datetime
    """When `status` last changed; it does not move otherwise."""
    reason: str = Field(min_length=1, max_length=1024, pattern=r"^[A-Z][A-Za-z0-9]*$")
    """Why, in one CamelCase word that programs may rely on."""
    message: str = Field(max_length=32768)
    """Why, for people, and what to do."""

    @field_serializer("last_transition_time", when_used="json")
    def _seconds(self, moment: datetime) -> str:
        """Write whole seconds in UTC, the only form of `metav1.Time` on the wire."""
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def find(conditions: Iterable[Condition], condition_type: str) -> Condition | None:
    """Look one condition up by its type."""
    return next((one for one in conditions if one.type == condition_type), None)


def set_condition(
    existing: Iterable[Condition],
    condition_type: str,
    status: ConditionStatus,
    reason: str,
    message: str = "",
    *,
    generation: int,
    now: datetime,
) -> tuple[Condition, ...]:
    """Put one condition among the others, each in its place.

    `last_transition_time` becomes `now` (cut to seconds, as the wire has it) only where `status` flips or
    the condition is new, so that setting what already holds gives an equal tuple.
    """
    conditions = tuple(existing)
    old = find(conditions, condition_type)
    moved = old is None or old.status != status
    new = Condition(
        type=condition_type,
        status=status,
        observed_generation=generation,
        last_transition_time=now.replace(microsecond=0) if old is None or moved else old.last_transition_time,
        reason=reason,
        message=message,
    )
    if old is None:
        return (*conditions, new)
    return tuple(new if one.type == condition_type else one for one in conditions)


def drop_condition(existing: Iterable[Condition], condition_type: str) -> tuple[Condition, ...]:
    """Take a condition away: abnormal-true ones (`Reconciling`, `Stalled`) are absent when all is well."""
    return tuple(one for one in existing if one.type != condition_type)
