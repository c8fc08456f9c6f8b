"""Faults on demand: the next calls of a route answer wrongly, late or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from localedge.documents.fields import Field, choice, integer, number, read_object, table, text


@dataclass(slots=True)
class Fault:
    """What goes wrong, on which route, how often. All parts of it that are set happen."""

    route: str
    """`METHOD /path/template`, with `*` as a wildcard: `POST */pools`, `* *`."""
    times: int | None = None
    """How many calls it hits; None: until it is removed."""
    status: int | None = None
    """Answer this instead of calling the handler."""
    code: int = 0
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Real seconds to wait first."""
    drop: str | None = None
    """`before`: break the connection before the call takes effect; `after`: after it has."""


_FIELDS = {
    "route": Field(text(300), required=True),
    "times": Field(integer(1, 1_000_000)),
    "status": Field(integer(400, 599)),
    "code": Field(integer(0, 1_000_000), 0),
    "message": Field(text(1000), ""),
    "headers": Field(table(text(1000)), dict),
    "delay_s": Field(number(0, 600), 0.0),
    "drop": Field(choice("before", "after")),
}


def read_fault(body: Any) -> Fault:
    """Read a fault from the control API.

    Raises:
        InvalidError: a value out of range.
        NotEmulatedError: an unknown kind of fault.

    """
    return Fault(**read_object("", body, _FIELDS))


class Faults:
    """The faults that are set, in order; the first that matches hits."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Set a fault."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def hit(self, method: str, template: str) -> Fault | None:
        """Take the fault that hits this call, if any."""
        for fault in self._faults:
            if not fnmatchcase(f"{method} {template}", fault.route):
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
            return fault
        return None
