"""What the engine asks of the world. `cloudflare` and `kube` implement it; tests have fakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tunnelpool.domain.json import FrozenJson
from tunnelpool.domain.remote import (
    DnsRecord,
    LoadBalancer,
    Monitor,
    Observed,
    ObservedPool,
    ObservedTunnel,
    RemoteKind,
    Zone,
)
from tunnelpool.plan.steps import ClusterStep, RemoteStep


@dataclass(frozen=True, slots=True)
class Account:
    """An account of Cloudflare and the token that opens it; the token is in no representation."""

    id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Changed:
    """What a refreshed listing showed to be different: the names of objects, old and new."""

    kind: RemoteKind
    objects: tuple[Observed[Any], ...]


class Cloud(Protocol):
    """One account, through listings that are kept: read once, written through, refreshed by a sweep.

    All methods raise `tunnelpool.domain.errors.ApiError` and nothing else. A listing method answers
    from memory if it has been read; `fresh=True` reads it again first, unless that was begun no more than
    `within_s` ago. Concurrent readers share one request.
    """

    async def verify(self) -> None:
        """Check that the token is valid and active.

        Raises:
            CredentialsError: it is not, and why.

        """

    async def zones(self) -> Sequence[Zone]:
        """List the zones of the account."""

    async def tunnels(self, *, fresh: bool = False, within_s: float = 0) -> Sequence[ObservedTunnel]:
        """List the tunnels that are not deleted."""

    async def monitors(self, *, fresh: bool = False) -> Sequence[Observed[Monitor]]:
        """List the monitors."""

    async def pools(self, *, fresh: bool = False, within_s: float = 0) -> Sequence[ObservedPool]:
        """List the pools with their health."""

    async def load_balancers(
        self, zone_id: str, *, fresh: bool = False, within_s: float = 0
    ) -> Sequence[Observed[LoadBalancer]]:
        """List the load balancers of a zone."""

    async def dns_records(self, zone_id: str, *, fresh: bool = False) -> Sequence[Observed[DnsRecord]]:
        """List the DNS records of a zone."""

    async def look_again(self, kind: RemoteKind, id_: str, zone_id: str = "") -> None:
        """Read one object afresh into its listing, just before it is written: others may write it as well.

        If it is gone the listing lacks it afterwards.
        """

    async def ssl_mode(self, zone_id: str) -> str:
        """Read how Cloudflare reaches origins of a zone: `off`, `flexible`, `full`, `strict`, `origin_pull`.

        Kept for as long as a listing of load balancers.

        Raises:
            MissingPermissionError: the token may not read the zone's settings.

        """

    async def token(self, tunnel_id: str) -> str:
        """Fetch the token that a connector of the tunnel runs with."""

    def configuration(self, tunnel_id: str) -> FrozenJson:
        """Answer with the canonical configuration that a tunnel was last seen with or given; else None."""

    async def look_at_configuration(self, tunnel_id: str) -> None:
        """Read the configuration of one tunnel for `configuration`, leaving most of the budget to others."""

    async def at_hostnames(self, zone_id: str) -> Sequence[Observed[LoadBalancer | DnsRecord]]:
        """List the load balancers and the DNS records of a zone; what is not kept yet is not kept for it."""

    async def execute(self, step: RemoteStep) -> None:
        """Carry out one step and write its answer through to the listings.

        A deletion of what is gone is success. After a lost answer to a creation, the same creation is
        refused with `OutcomeUnknownError` until two fresh listings, some seconds apart, lack the object.
        """

    async def sweep(self) -> Sequence[Changed]:
        """Read again each listing that has reached its age, and tell what is different."""


class Clouds(Protocol):
    """All accounts; two callers with the same token share budget and listings."""

    def account(self, account: Account) -> Cloud:
        """Hand out the account's view; a changed token replaces the old one and keeps the listings."""


class Cluster(Protocol):
    """Writes to the Kubernetes API, and the two reads that the watches do not bring."""

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Read a Secret's data, decoded.

        Raises:
            NotFoundError: there is none.

        """

    async def execute(self, step: ClusterStep, *, token: str | None = None) -> Mapping[str, Any] | None:
        """Carry out one step; answer with the object as it stands now, None if it is gone.

        `token` belongs to `WriteConnectorSecret` and becomes its key `token`. A deletion of what is
        gone is success. `CreateObject` raises `AlreadyExistsError`, `SetFinalizer` `StaleError`.
        """

    async def write_status(
        self, kind: str, namespace: str, name: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Replace the status of one of our resources; answer with the object, None if it is gone."""

    async def event(self, regarding: Mapping[str, Any], *, reason: str, message: str, warning: bool) -> None:
        """Post an Event about an object; failing to is logged and harmless."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What stands in the Lease by which one process of several is the writer."""

    holder: str
    """Identity of the process; empty once it was given back."""
    duration_s: int
    """How long after the last renewal that was seen nobody else may take it."""
    acquired_at: float
    """Seconds since the epoch, for people; nobody reckons with another machine's clock."""
    renewed_at: float
    """Likewise; a new value tells that the holder lives."""
    transitions: int
    """How often the holder has changed."""
    version: str = ""
    """The API's version of what was read; empty for what is to be created."""


class LeaseBook(Protocol):
    """Where the Lease stands. Both methods raise `ApiError` and nothing else, and end within seconds."""

    async def read(self) -> LeaseRecord | None:
        """Read the record; None if there is none."""

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        """Create or replace the record; answer with it as it stands.

        Raises:
            AlreadyExistsError: it was to be created, and is there.
            StaleError: it is not of the version that was read any more.
            NotFoundError: it was to be replaced, and is gone.

        """


class Fence(Protocol):
    """What every write to either API must pass, just before it is sent (law 11)."""

    def limit(self, timeout_s: float) -> float:
        """Answer with the time that the write may take: `timeout_s`, or less.

        Raises:
            NotLeaderError: this process may not write (any more).

        """


class Clock(Protocol):
    """Time, so that tests can step it."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""

    def now(self) -> float:
        """Seconds since the epoch."""
