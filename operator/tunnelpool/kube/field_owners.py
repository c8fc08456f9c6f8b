"""Who owns which fields of an object that was made by POST and is applied later.

What a POST sets belongs to (manager, Update), defaults included; what server-side apply sets belongs to
(manager, Apply). A field that a later apply leaves out stays as long as the former owns it. So the
first apply after a POST moves the fields over and applies once more; kubectl does the same
(client-go's `csaupgrade`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

MANAGER: Final = "tunnelpool"


def moved(managed_fields: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """Give `managedFields` with everything of ours under Apply; None if nothing is to be moved."""
    created = [entry for entry in managed_fields if _is_ours(entry, "Update")]
    applied = [entry for entry in managed_fields if _is_ours(entry, "Apply")]
    if not created or not applied:
        return None
    fields: dict[str, Any] = {}
    for entry in (*applied, *created):
        fields = _union(fields, entry.get("fieldsV1", {}))
    others = [dict(entry) for entry in managed_fields if entry not in created and entry not in applied]
    return [{**applied[0], "fieldsV1": fields}, *others]


def _is_ours(entry: Mapping[str, Any], operation: str) -> bool:
    # An entry with a subresource is a write of /status, which apply never touches.
    return (
        entry.get("manager") == MANAGER
        and entry.get("operation") == operation
        and not entry.get("subresource")
    )


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _union(one.get(name, {}), other.get(name, {})) for name in dict.fromkeys((*one, *other))}
