"""What is known of one account: a kept listing of each kind, for each zone where that is its place."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunnelpool.cloudflare.configurations import Configurations
from tunnelpool.cloudflare.doubts import Doubts
from tunnelpool.cloudflare.down_calls import DownCalls
from tunnelpool.cloudflare.listing import Listing
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.writing import WrittenOrigins
from tunnelpool.domain.errors import MissingPermissionError
from tunnelpool.domain.remote import (
    KIND_OF,
    DnsRecord,
    LoadBalancer,
    Monitor,
    Observed,
    RemoteKind,
    RemoteValue,
    Zone,
)
from tunnelpool.engine.ports import Clock


@dataclass(frozen=True, slots=True)
class SslMode:
    """How Cloudflare reaches the origins of a zone, or why that is not known."""

    id: str
    """Of the zone."""
    mode: str = ""
    refusal: MissingPermissionError | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The listing of one kind in its place, and the creations there whose answers were lost."""

    kind: RemoteKind
    zone_id: str
    listing: Listing[Any]
    doubts: Doubts

    def holds(self, identity: Hashable) -> bool:
        """Tell whether the listing, as far as it is believed, shows an object of that identity."""
        return self.listing.is_valid and any(
            identity_of(item.value) == identity for item in self.listing.items
        )


class Inventory:
    """All listings of an account. They belong to the account, not to a token."""

    def __init__(self, settings: CloudflareSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._shelves: dict[tuple[RemoteKind, str], Shelf] = {}
        self._ssl_modes: dict[str, Listing[SslMode]] = {}
        self.configurations = Configurations()
        self.zones: Listing[Zone] = self._listing(settings.slow_max_age_s)
        self.down_calls = DownCalls(clock)
        self.written_origins: dict[str, WrittenOrigins] = {}
        """By pool id: its origins as they stand at Cloudflare."""

    def shelf(self, kind: RemoteKind, zone_id: str = "") -> Shelf:
        """Find the listing of a kind; `zone_id` for load balancers and DNS records."""
        shelf = self._shelves.get((kind, zone_id))
        if shelf is None:
            doubts = Doubts(self._clock, self._settings.doubt_interval_s)
            fast = kind in {RemoteKind.POOL, RemoteKind.TUNNEL}
            age = self._settings.fast_max_age_s if fast else self._settings.slow_max_age_s

            def observe(begun_at: float, items: Sequence[Observed[Any]]) -> None:
                doubts.observe(begun_at, {identity_of(item.value) for item in items})

            listing: Listing[Observed[Any]] = Listing(
                self._clock, max_age_s=age, settle_s=self._settings.settle_s, on_read=observe
            )
            shelf = self._shelves[kind, zone_id] = Shelf(kind, zone_id, listing, doubts)
        return shelf

    def keeps(self, kind: RemoteKind, zone_id: str) -> bool:
        """Tell whether there is a listing of a kind in a zone."""
        return (kind, zone_id) in self._shelves

    def ssl_mode(self, zone_id: str) -> Listing[SslMode]:
        """Find the SSL mode of a zone: a listing of one."""
        listing = self._ssl_modes.get(zone_id)
        if listing is None:
            listing = self._ssl_modes[zone_id] = self._listing(self._settings.slow_max_age_s)
        return listing

    def shelves(self) -> Iterator[Shelf]:
        """Go through the shelves that exist, those that tell health first."""
        order = list(_SWEEP_ORDER)
        yield from sorted(self._shelves.values(), key=lambda shelf: (order.index(shelf.kind), shelf.zone_id))

    def invalidate(self, kind: RemoteKind) -> None:
        """Have all listings of a kind read again before they are next believed."""
        for shelf in self._shelves.values():
            if shelf.kind is kind:
                shelf.listing.invalidate()

    def ssl_modes(self) -> Iterator[tuple[str, Listing[SslMode]]]:
        """Go through the SSL modes that have been asked for, by zone id."""
        yield from sorted(self._ssl_modes.items())

    def close(self) -> None:
        """Give up the readings that are under way."""
        for listing in (
            self.zones,
            *(shelf.listing for shelf in self._shelves.values()),
            *self._ssl_modes.values(),
        ):
            listing.close()

    def _listing(self, max_age_s: float) -> Listing[Any]:
        return Listing(self._clock, max_age_s=max_age_s, settle_s=self._settings.settle_s)


_SWEEP_ORDER = (
    RemoteKind.POOL,
    RemoteKind.TUNNEL,
    RemoteKind.LOAD_BALANCER,
    RemoteKind.MONITOR,
    RemoteKind.DNS_RECORD,
)


def identity_of(value: RemoteValue) -> Hashable:
    """Tell what an object is known by in its listing before its id is known."""
    kind = KIND_OF[type(value)]
    match value:
        case Monitor(description=description):
            return kind, description
        case DnsRecord(name=name, type=type_, content=content):
            return kind, type_, name, content
        case LoadBalancer(name=name):
            return kind, name
        case _:
            return kind, value.name
