"""What differs between a desired and an observed object, field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from tunnelpool.build.sharing import is_shared
from tunnelpool.domain.remote import LoadBalancer, Observed, RemoteValue
from tunnelpool.plan.steps import Change, Update

_SERVER_DECIDES: Final = {(LoadBalancer, "ttl"), (LoadBalancer, "session_affinity_ttl")}
"""Fields whose zero means: whatever Cloudflare has chosen."""

_ENTRIES: Final = ("origins", "default_pools", "description")

_QUANTITIES: Final = frozenset({"limits", "requests"})
"""Maps whose values the API server rewrites (`1000m` becomes `1`)."""


def changes(desired: RemoteValue, observed: RemoteValue) -> tuple[Change, ...]:
    """List the fields in which two canonical values differ; empty means that nothing is to be written."""
    found = []
    for field in fields(desired):
        before, after = getattr(observed, field.name), getattr(desired, field.name)
        if before == after or (not after and (type(desired), field.name) in _SERVER_DECIDES):
            continue
        found.append(Change(field.name, before, after))
    return tuple(found)


def update(desired: RemoteValue, observed: Observed[Any]) -> Update | None:
    """Build the one PATCH that makes the observed object the desired one; None if it is already."""
    different = changes(desired, observed.value)
    if not different:
        return None
    shared = is_shared(desired) or is_shared(observed.value)
    if shared:
        different = _with_entries(different, desired, observed.value)
    return Update(observed.id, desired, different, observed.zone_id, shared)


def _with_entries(
    different: tuple[Change, ...], desired: RemoteValue, there: RemoteValue
) -> tuple[Change, ...]:
    """Write the entries of a shared object and the marks that say whose they are together or not at all.

    Two clusters that write at the same moment then leave one of the two wholes, never entries without mark.
    """
    names = [name for name in _ENTRIES if hasattr(desired, name)]
    written = {change.field for change in different}
    if not written & set(names):
        return different
    missing = [name for name in names if name not in written]
    return (*different, *(Change(name, getattr(there, name), getattr(desired, name)) for name in missing))


def covers(observed: Any, desired: Any) -> bool:
    """Tell whether all that a manifest says stands in the object, whatever the server has added."""
    if isinstance(desired, Mapping):
        if not isinstance(observed, Mapping):
            return False
        return all(
            name in _QUANTITIES or covers(observed.get(name), value) for name, value in desired.items()
        )
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        if not isinstance(observed, Sequence) or isinstance(observed, str) or len(observed) != len(desired):
            return False
        return all(covers(o, d) for o, d in zip(observed, desired, strict=True))
    return bool(observed == desired)
