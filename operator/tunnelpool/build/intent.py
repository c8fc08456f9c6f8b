"""What a builder answers with: the object as it should be, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from tunnelpool.domain.reasons import Problem
from tunnelpool.domain.remote import Observed, RemoteValue

V = TypeVar("V", bound=RemoteValue)


@dataclass(frozen=True, slots=True)
class Intent(Generic[V]):
    """One remote object. `desired` None and `hold` False: what is ours and observed goes.

    `hold` leaves the observed object as it is. `recheck_s` asks for another look after so many seconds
    without any event: a drain that ends, evidence that ripens.
    """

    desired: V | None = None
    hold: bool = False
    problem: Problem | None = None
    recheck_s: float | None = None
    adopt: bool = False
    """Whether the observed object may be changed although no mark is on it; a foreign one never."""
    extra: tuple[Observed[V], ...] = ()
    """Observed duplicates that go as well."""
