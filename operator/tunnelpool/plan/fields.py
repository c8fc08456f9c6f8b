"""What a step changes, field by field, for people and for pipelines. Pure; nothing secret comes out.

Paths are written as in `origins[web_0].enabled`: what has a name is called by it, not by its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Final

from tunnelpool.build.manifests import HASH_ANNOTATION
from tunnelpool.domain.json import FrozenArray, FrozenObject, thaw
from tunnelpool.domain.remote import RemoteValue
from tunnelpool.plan.diff import covers
from tunnelpool.plan.steps import ApplyObject, Create, Step, Update, WriteConnectorSecret

HIDDEN: Final = "(hidden)"
_SECRET_PARTS: Final = ("data.", "data[", "stringData.", "stringData[")
_HEADERS: Final = ("header", "spec.headers")
"""Where a monitor and a HealthCheck have their headers."""
_HASH: Final = f"metadata.annotations[{HASH_ANNOTATION}]"


class Absent:
    """The value of a field that is not there."""

    def __repr__(self) -> str:
        """Write it as people read it."""
        return "(none)"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field: its path and its plain JSON values, `ABSENT` where there is none."""

    path: str
    before: Any
    after: Any


def changed_fields(step: Step, there: Mapping[str, Any] | None = None) -> tuple[FieldChange, ...]:
    """List what a step sets. `there` is the Kubernetes object as it stands, for a step that applies one.

    Of a creation at Cloudflare the fields that are not left to their defaults; of a creation in the
    cluster, a deletion and bookkeeping nothing: the object's name says it all.
    """
    match step:
        case Create(value=value):
            return tuple(masked(one) for one in _set_fields(value))
        case Update(changes=changes):
            found = [
                one for change in changes for one in differences(change.field, change.before, change.after)
            ]
            return tuple(masked(one) for one in found)
        case ApplyObject(manifest=manifest) | WriteConnectorSecret(manifest=manifest) if there is not None:
            return _applied(there, thaw(manifest))
        case _:
            return ()


def differences(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    """Go down two values and name each leaf that differs."""
    old, new = plain(before), plain(after)
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*new, *(one for one in old if one not in new)]:
            yield from differences(
                _below(path, name, new or old), old.get(name, ABSENT), new.get(name, ABSENT)
            )
        return
    yield FieldChange(path, old, new)


def plain(value: Any) -> Any:
    """Turn a value of the domain into JSON; a list of things with names becomes an object by name."""
    if isinstance(value, (FrozenObject, FrozenArray)):
        return plain(thaw(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, _Named):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [plain(one) for one in value]
        names = [one["name"] for one in items if isinstance(one, Mapping) and "name" in one]
        if items and len(names) == len(items) and len(set(names)) == len(names):
            named = ({key: item for key, item in one.items() if key != "name"} for one in items)
            return _Named(zip(names, named, strict=True))
        return items
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Named(dict[str, Any]):
    """An object that was a list of things with names."""


def _set_fields(value: RemoteValue) -> Iterator[FieldChange]:
    for field in fields(value):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        given = getattr(value, field.name)
        if field.name == "name" or given == default:
            continue
        found = plain(given)
        if isinstance(found, _Named):
            for name, one in found.items():
                yield FieldChange(f"{field.name}[{name}]", ABSENT, one)
        else:
            yield FieldChange(field.name, ABSENT, found)


def _applied(there: Mapping[str, Any], manifest: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """List where a manifest is not in force; the hash of the manifest only if nothing else tells."""
    secret = manifest.get("kind") == "Secret"
    found = [
        FieldChange(one.path, HIDDEN, HIDDEN) if secret and one.path.startswith(_SECRET_PARTS) else one
        for one in _uncovered("", there, manifest)
    ]
    return tuple(one for one in found if one.path != _HASH) or tuple(found)


def _uncovered(path: str, there: Any, manifest: Any) -> Iterator[FieldChange]:
    if covers(there, manifest):
        return
    if isinstance(there, Mapping) and isinstance(manifest, Mapping):
        for name, wanted in manifest.items():
            yield from _uncovered(_below(path, name, manifest), there.get(name, ABSENT), wanted)
        return
    old, new = plain(there), plain(manifest)
    if isinstance(old, _Named) and isinstance(new, _Named) and old != new:
        before, after = ({one["name"]: one for one in items} for items in (there, manifest))
        for name in after:
            yield from _uncovered(_below(path, name, new), before.get(name, ABSENT), after[name])
        yield from (
            FieldChange(_below(path, name, new), old[name], ABSENT) for name in old if name not in new
        )
        return
    yield FieldChange(path, old, new)


def _below(path: str, name: str, parent: Mapping[str, Any]) -> str:
    if not path:
        return name
    plainly = name.isidentifier() and not isinstance(parent, _Named)
    return f"{path}.{name}" if plainly else f"{path}[{name}]"


def masked(change: FieldChange) -> FieldChange:
    """Hide the headers of a health check: they may hold what opens the application."""
    for root in _HEADERS:
        if change.path == root:
            return FieldChange(change.path, _hidden(change.before), _hidden(change.after))
        if change.path.startswith((f"{root}.", f"{root}[")) and change.path != f"{root}.Host":
            before = change.before if change.before is ABSENT else HIDDEN
            return FieldChange(change.path, before, change.after if change.after is ABSENT else HIDDEN)
    return change


def _hidden(headers: Any) -> Any:
    if not isinstance(headers, Mapping):
        return headers
    return {name: value if name == "Host" else HIDDEN for name, value in headers.items()}
