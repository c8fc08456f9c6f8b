"""What a builder answers with: what there shall be, or why there is nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from tunnelpool.domain.reasons import Problem
from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Observed, RemoteValue

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


@dataclass(frozen=True, slots=True)
class HostIntent:
    """What shall answer for a host name: a load balancer, a CNAME, or nothing of ours."""

    load_balancer: LoadBalancer | None = None
    record: DnsRecord | None = None
    adopt: bool = False
    """Whether what carries no mark may be changed; what carries a foreign one never."""
    hold: bool = False
    """Leave everything as it is."""
    problem: Problem | None = None
