"""A visitor's request, and what it came to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from localedge.balance.steering import Choice
from localedge.balance.visitor import Visitor
from localedge.dataplane.address_leg import Scheme
from localedge.dataplane.answer import Answer
from localedge.dataplane.header_fields import HeaderList
from localedge.dataplane.pages import Page
from localedge.dataplane.upgrade import VisitorBytes


@dataclass(frozen=True, slots=True)
class Visit:
    """A visitor's request, header fields already made for the origin."""

    scheme: Scheme
    host: str
    method: str
    path: str
    """With query."""
    headers: HeaderList
    body: AsyncIterator[bytes] | None
    visitor: Visitor
    websocket: VisitorBytes | None = None
    sent_to: list[Choice] = field(default_factory=list)
    """The origins that were asked so far: who leaves before one has answered was sent somewhere too."""


@dataclass(frozen=True, slots=True)
class Routed:
    """What a request came to, and by which way."""

    result: Answer | Page
    choice: Choice | None = None
    tunnel_id: str | None = None
    tries: int = 1
    cookie: str | None = None
    """A `set-cookie` of the edge's own."""
    session: str | None = None
    """`new`, `held` or `away`; None without affinity."""
    rules: tuple[str, ...] = field(default=())
    """Names of the rules that matched."""

    @property
    def status(self) -> int:
        """The status that the visitor sees."""
        return self.result.status
