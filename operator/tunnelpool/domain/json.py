"""JSON as immutable, comparable values, so that nested settings can stand in frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, Union

FrozenJson: TypeAlias = Union[bool, int, float, str, "FrozenObject", "FrozenArray", None]


class FrozenObject(tuple[tuple[str, FrozenJson], ...]):
    """A JSON object: pairs sorted by name."""

    __slots__ = ()


class FrozenArray(tuple[FrozenJson, ...]):
    """A JSON array, in its order."""

    __slots__ = ()


EMPTY: Final = FrozenObject()
NONE: Final = FrozenArray()


def freeze(value: Any) -> FrozenJson:
    """Turn decoded JSON into an immutable value; 1 and 1.0 become the same.

    Raises:
        TypeError: the value is not JSON.

    """
    if value is None or isinstance(value, (bool, str, int, FrozenObject, FrozenArray)):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return FrozenObject(sorted((str(name), freeze(item)) for name, item in value.items()))
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return FrozenArray(freeze(item) for item in value)
    raise TypeError(f"not JSON: {type(value).__name__}")


def thaw(value: FrozenJson) -> Any:
    """Turn a frozen value back into plain dicts and lists."""
    if isinstance(value, FrozenObject):
        return {name: thaw(item) for name, item in value}
    if isinstance(value, FrozenArray):
        return [thaw(item) for item in value]
    return value


def with_defaults(value: Any, defaults: Mapping[str, Any]) -> FrozenJson:
    """Freeze an object after filling in what the server would fill in: one level deep."""
    given = thaw(value) if isinstance(value, FrozenObject) else (value or {})
    return freeze({**defaults, **{name: item for name, item in given.items() if item is not None}})
