"""What is asked, and when. Pure.

Open loop: the n-th request is due n / rate seconds after the start, whatever has become of those before it.
A generator that waits for answers sends fewest requests just while the service is worst.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Order:
    """One request that is due."""

    number: int
    """Counts from 1; stands in the query as `visit`, so that the server's log can be laid beside."""
    due_s: float
    """Seconds after the start."""
    path: str
    visitor: int | None
    """Who asks: their cookies come with it. None: somebody who was never here before."""


@dataclass(frozen=True, slots=True)
class Load:
    """A steady stream of requests to one host name, and on demand one WebSocket beside it."""

    hostname: str
    per_second: float
    path: str = "/"
    slow_every: int = 0
    """Every n-th request asks for `slow_path` instead; 0: none does."""
    slow_path: str = "/slow?s=5"
    visitors: int = 0
    """So many visitors take turns, each with a cookie jar; 0: each request is a newcomer's."""
    timeout_s: float = 20.0
    websocket: str = ""
    """Path of a WebSocket that sends back what it gets, held open all the time; empty: none is."""

    def __post_init__(self) -> None:
        """Refuse what cannot be sent.

        Raises:
            ValueError: a field is out of range.

        """
        if self.per_second <= 0 or self.timeout_s <= 0:
            raise ValueError("per_second and timeout_s must be above 0")
        if self.slow_every < 0 or self.visitors < 0:
            raise ValueError("slow_every and visitors must not be below 0")
        if any(path and not path.startswith("/") for path in (self.path, self.slow_path, self.websocket)):
            raise ValueError("a path begins with /")

    def order(self, number: int) -> Order:
        """Say what the n-th request is, from 1 on."""
        slow = self.slow_every > 0 and number % self.slow_every == 0
        path = numbered(self.slow_path if slow else self.path, str(number))
        visitor = number % self.visitors if self.visitors else None
        return Order(number, (number - 1) / self.per_second, path, visitor)

    def document(self) -> dict[str, Any]:
        """Write it as JSON."""
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` has written.

        Raises:
            TypeError: an unknown field, or one is missing.
            ValueError: a field is out of range.

        """
        return cls(**document)


def numbered(path: str, number: str) -> str:
    """Put the number of a visit into a path's query."""
    return f"{path}{'&' if '?' in path else '?'}visit={number}"
