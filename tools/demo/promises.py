"""What the demo promises, and whether it was kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Promise:
    """A sentence, and whether it held."""

    text: str
    kept: bool


class Promises:
    """The promises in the order in which they were put to the test."""

    def __init__(self) -> None:
        self._made: list[Promise] = []

    def check(self, text: str, *, kept: bool) -> None:
        """Put a promise to the test."""
        self._made.append(Promise(text, kept))

    def __iter__(self) -> Iterator[Promise]:
        """List them."""
        return iter(self._made)

    @property
    def all_kept(self) -> bool:
        """Tell whether every promise was kept, and there was one."""
        return bool(self._made) and all(one.kept for one in self._made)
