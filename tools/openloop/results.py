"""What has become of each request and of the WebSocket: records, one line of JSON each.

Times are seconds on the monotonic clock, which on Linux is one for all processes of the machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

OK = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and its end."""

    number: int
    path: str
    due_at: float
    sent_at: float
    ended_at: float
    status: int
    """0: there was no answer."""
    error: str
    """Why there was none; empty if there was."""
    by: str
    """Who answered, by the answer's own word (`served_by`, else `pod`); empty if it does not say."""

    @property
    def failed(self) -> bool:
        """Tell whether the visitor got anything but the page."""
        return self.status != OK or bool(self.error)

    @property
    def took_s(self) -> float:
        """From sending to the last byte."""
        return self.ended_at - self.sent_at

    @property
    def late_s(self) -> float:
        """How much later than due it was sent: the generator's own fault."""
        return self.sent_at - self.due_at


SocketKind: TypeAlias = Literal["opened", "refused", "silent", "ended"]
"""`refused`: it could not be opened; `silent`: what was sent did not come back in time; `ended`: the other
side has closed or cut it."""


@dataclass(frozen=True, slots=True)
class SocketEvent:
    """Something that happened to the WebSocket."""

    at: float
    kind: SocketKind
    number: int
    """Of the connection, from 1; stands in the query as `visit=socket-N`."""
    detail: str = ""


Record: TypeAlias = Answer | SocketEvent
Tell: TypeAlias = Callable[[Record], None]

_KINDS: dict[str, type[Answer | SocketEvent]] = {"answer": Answer, "socket": SocketEvent}


def written(record: Record) -> str:
    """Write a record as a line of JSON, without its end."""
    name = "answer" if isinstance(record, Answer) else "socket"
    return json.dumps({name: asdict(record)}, separators=(",", ":"))


def read(line: str) -> Record | None:
    """Read a line that `written` has made; None if it is something else."""
    if not line.startswith("{"):
        return None
    document: dict[str, Any] = json.loads(line)
    for name, kind in _KINDS.items():
        if name in document:
            return kind(**document[name])
    return None
