"""Whether the clusters that share an object agree on its settings: told in each, written by one (law 1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from tunnelpool.build.sharing import asked, is_shared, others
from tunnelpool.crd.base import Resource, SharedSpec
from tunnelpool.crd.conditions import Condition, drop_condition, set_condition
from tunnelpool.domain.ownership import Owner
from tunnelpool.domain.reasons import Reason
from tunnelpool.domain.remote import Observed

CONDITION: Final = "SettingsDiffer"


def with_agreement(
    status: Mapping[str, Any], resource: Resource, observed: Observed[Any] | None, owner: Owner, now: datetime
) -> dict[str, Any]:
    """Put the condition into a status; what is this cluster's alone has none."""
    conditions = tuple(Condition.model_validate(one) for one in status["conditions"])
    generation = resource.metadata.generation
    if observed is None or not is_shared(observed.value):
        conditions = drop_condition(conditions, CONDITION)
    elif told := "; ".join(filter(None, (_clings(resource, observed, owner), asked(observed, owner)))):
        conditions = set_condition(
            conditions, CONDITION, "True", Reason.SETTINGS_DIFFER, told, generation=generation, now=now
        )
    else:
        conditions = set_condition(
            conditions, CONDITION, "False", Reason.IN_SYNC, "nothing differs", generation=generation, now=now
        )
    return {**status, "conditions": [one.model_dump(mode="json", by_alias=True) for one in conditions]}


def _clings(resource: Resource, observed: Observed[Any], owner: Owner) -> str:
    """Say that the object becomes exclusive only once others have left it."""
    company = ", ".join(f"'{mark.owner.cluster}'" for mark in others(observed.value, owner))
    if not company or not isinstance(resource.spec, SharedSpec) or resource.spec.sharing == "Shared":
        return ""
    return f"`sharing: Exclusive` is in force once cluster {company} has left"
