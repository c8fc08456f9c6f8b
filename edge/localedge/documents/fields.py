"""Readers of JSON values: each takes where the value stands and the value, and returns it normalised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from localedge.documents.refusal import InvalidError, NotEmulatedError

Reader = Callable[[str, Any], Any]


class _Absent:
    """The default of a field that is left out of the answer when it is not set."""


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Field:
    """How a field is read. `default` is what the server sets; a callable makes a new one each time."""

    read: Reader
    default: Any = ABSENT
    required: bool = False


Fields = Mapping[str, Field]


def read_object(
    where: str, value: Any, fields: Fields, *, ignored: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Read an object by its table of fields; `ignored` are the read-only ones.

    Raises:
        InvalidError: a value that Cloudflare would refuse.
        NotEmulatedError: a field that the table does not have.

    """
    if not isinstance(value, Mapping):
        raise InvalidError(f"{where or 'body'} must be an object")
    for name in value:
        if name not in fields and name not in ignored:
            raise NotEmulatedError(f"field {_join(where, name)!r}")
    result: dict[str, Any] = {}
    for name, field in fields.items():
        if name in value and value[name] is not None:
            result[name] = field.read(_join(where, name), value[name])
        elif field.required:
            raise InvalidError(f"{_join(where, name)} is required")
        else:
            default = field.default() if callable(field.default) else field.default
            if default is not ABSENT:
                result[name] = default
    return result


def merge(base: Any, patch: Any) -> Any:
    """Merge a PATCH: objects field by field, anything else (arrays too) whole; null clears a field."""
    if not isinstance(base, Mapping) or not isinstance(patch, Mapping):
        return patch
    merged = dict(base)
    for name, value in patch.items():
        merged[name] = merge(merged[name], value) if name in merged else value
    return merged


def boolean(where: str, value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise InvalidError(f"{where} must be a boolean")
    return value


def text(longest: int) -> Reader:
    """Read a string of limited length (characters)."""

    def read(where: str, value: Any) -> str:
        if not isinstance(value, str):
            raise InvalidError(f"{where} must be a string")
        if len(value) > longest:
            raise InvalidError(f"{where} must not be longer than {longest} characters")
        return value

    return read


def choice(*allowed: str, absent: tuple[str, ...] = ()) -> Reader:
    """Read one of some words; `absent` are words of Cloudflare that the edge does not emulate."""

    def read(where: str, value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        if isinstance(value, str) and value in absent:
            raise NotEmulatedError(f"{where} {value!r}")
        raise InvalidError(f"{where} must be one of {', '.join(repr(a) for a in (*allowed, *absent))}")

    return read


def integer(lowest: int, highest: int) -> Reader:
    """Read an integer in a range, in the API's own words when it is not."""

    def read(where: str, value: Any) -> int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole:
            raise InvalidError(f"{where} must be an integer")
        if not lowest <= value <= highest:
            raise InvalidError(f"{where} is not in range [{lowest}, {highest}]")
        return int(value)

    return read


def number(lowest: float, highest: float) -> Reader:
    """Read a number in a range."""

    def read(where: str, value: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidError(f"{where} must be a number")
        if not lowest <= value <= highest:
            raise InvalidError(f"{where} is not in range [{lowest:g}, {highest:g}]")
        return value

    return read


def array(of: Reader, *, shortest: int = 0, longest: int | None = None) -> Reader:
    """Read an array of limited length."""

    def read(where: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise InvalidError(f"{where} must be an array")
        if len(value) < shortest:
            raise InvalidError(f"{where} must not be empty")
        if longest is not None and len(value) > longest:
            raise InvalidError(f"{where} must not hold more than {longest} entries")
        return [of(f"{where}[{index}]", item) for index, item in enumerate(value)]

    return read


def table(of: Reader) -> Reader:
    """Read an object with free keys; a key whose value is null is dropped."""

    def read(where: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise InvalidError(f"{where} must be an object")
        return {str(k): of(_join(where, str(k)), v) for k, v in value.items() if v is not None}

    return read


def nested(fields: Fields) -> Reader:
    """Read an object with known fields."""

    def read(where: str, value: Any) -> dict[str, Any]:
        return read_object(where, value, fields)

    return read


def only(*emulated: Any) -> Reader:
    """Accept the values that change nothing here, refuse all others as not emulated."""

    def read(where: str, value: Any) -> Any:
        if not any(type(value) is type(candidate) and value == candidate for candidate in emulated):
            raise NotEmulatedError(f"{where} {value!r}")
        return value

    return read


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
