"""Faults on demand: the next calls of a route answer wrongly, late or not at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from localedge.api.barrier import Barrier
from localedge.clock import Clock
from localedge.documents.fields import Field, choice, integer, number, read_object, table, text


@dataclass(slots=True)
class Fault:
    """What goes wrong, on which route, how often. All parts of it that are set happen."""

    route: str
    """`METHOD /path`, the template or the very path, with `*` as a wildcard: `POST */pools`, `* *`."""
    times: int | None = None
    """How many calls it hits; None: until it is removed."""
    for_s: float | None = None
    """How many real seconds it lasts; None: until it is removed."""
    status: int | None = None
    """Answer this instead of calling the handler."""
    code: int = 0
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Real seconds to wait first."""
    drop: str | None = None
    """`before`: break the connection before the call takes effect; `after`: after it has."""
    stale_s: float | None = None
    """A GET is answered by what was stored so many real seconds ago."""
    barrier: Barrier | None = None
    """Hold calls before they take effect until enough of them wait."""


_FIELDS = {
    "route": Field(text(300), required=True),
    "times": Field(integer(1, 1_000_000)),
    "for_s": Field(number(0.001, 86_400)),
    "status": Field(integer(400, 599)),
    "code": Field(integer(0, 1_000_000), 0),
    "message": Field(text(1000), ""),
    "headers": Field(table(text(1000)), dict),
    "delay_s": Field(number(0, 600), 0.0),
    "drop": Field(choice("before", "after")),
    "stale_s": Field(number(0, 86_400)),
    "hold": Field(integer(2, 1000)),
    "hold_timeout_s": Field(number(0, 600), 30.0),
}


def read_fault(body: Any) -> Fault:
    """Read a fault from the control API.

    Raises:
        InvalidError: a value out of range.
        NotEmulatedError: an unknown kind of fault.

    """
    fields = read_object("", body, _FIELDS)
    hold, timeout_s = fields.pop("hold", None), fields.pop("hold_timeout_s")
    return Fault(**fields, barrier=Barrier(hold, timeout_s) if hold is not None else None)


class Faults:
    """The faults that are set, in order; the first that matches hits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._set: list[tuple[float, Fault]] = []

    def add(self, fault: Fault) -> None:
        """Set a fault."""
        ends = math.inf if fault.for_s is None else self._clock.real() + fault.for_s
        self._set.append((ends, fault))

    def clear(self) -> None:
        """Remove all faults; calls that are held go on."""
        for _, fault in self._set:
            if fault.barrier is not None:
                fault.barrier.open()
        self._set.clear()

    def routes(self) -> list[str]:
        """List the routes of the faults that are set."""
        return [fault.route for _, fault in self._set]

    def waiting(self) -> int:
        """Count the calls that are held."""
        return sum(fault.barrier.waiting for _, fault in self._set if fault.barrier is not None)

    def hit(self, method: str, template: str, path: str) -> Fault | None:
        """Take the fault that hits this call, if any."""
        if not self._set:
            return None
        now = self._clock.real()
        self._set = [(ends, fault) for ends, fault in self._set if now < ends]
        for entry in self._set:
            fault = entry[1]
            if not any(fnmatchcase(f"{method} {way}", fault.route) for way in (template, path)):
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._set.remove(entry)
            return fault
        return None
