"""Our finalizer: added before the first remote object is made, removed after the last is gone (law 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunnelpool.plan.steps import ObjectRef, SetFinalizer


def add_finalizer(kind: str, raw: Mapping[str, Any], finalizer: str) -> SetFinalizer | None:
    """Plan to add the finalizer; None if it is there."""
    there = tuple(raw["metadata"].get("finalizers") or ())
    return None if finalizer in there else _set(kind, raw, (*there, finalizer))


def remove_finalizer(kind: str, raw: Mapping[str, Any], finalizer: str) -> SetFinalizer | None:
    """Plan to remove the finalizer; None if it is not there."""
    there = tuple(raw["metadata"].get("finalizers") or ())
    if finalizer not in there:
        return None
    return _set(kind, raw, tuple(one for one in there if one != finalizer))


def _set(kind: str, raw: Mapping[str, Any], finalizers: tuple[str, ...]) -> SetFinalizer:
    meta = raw["metadata"]
    ref = ObjectRef(kind, meta["namespace"], meta["name"], meta.get("uid", ""))
    return SetFinalizer(ref, meta["resourceVersion"], finalizers)
