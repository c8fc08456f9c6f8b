"""Reading an account's listings from Cloudflare into its inventory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, ParamSpec, TypeVar

from tunnelpool.cloudflare import pages, reading, routes
from tunnelpool.cloudflare.inventory import Inventory, Shelf, SslMode
from tunnelpool.cloudflare.pool_health import with_known_health
from tunnelpool.cloudflare.transport import Session
from tunnelpool.domain.errors import MissingPermissionError, NotFoundError, UnavailableError
from tunnelpool.domain.remote import Observed, ObservedPool, ObservedTunnel, RemoteKind, Zone

_PER_PAGE: Final[Mapping[RemoteKind, int]] = {RemoteKind.TUNNEL: 1000, RemoteKind.DNS_RECORD: 5000}
"""The other kinds have no pages."""
_QUERY: Final[Mapping[RemoteKind, Mapping[str, str]]] = {RemoteKind.TUNNEL: {"is_deleted": "false"}}
_ZONES_PER_PAGE: Final = 50

P = ParamSpec("P")
R = TypeVar("R")


class Loader:
    """Reads listings with one token; whoever reads, the inventory is the account's."""

    def __init__(self, account_id: str, session: Session, inventory: Inventory) -> None:
        self._account_id = account_id
        self._session = session
        self._inventory = inventory

    async def read(
        self, shelf: Shelf, *, fresh: bool = False, within_s: float = 0, reserve: float = 0
    ) -> tuple[Any, ...]:
        """Answer with a listing, from memory if it is known."""
        return await shelf.listing.read(lambda: self._load(shelf, reserve), fresh=fresh, within_s=within_s)

    async def glance(self, kind: RemoteKind, zone_id: str, *, reserve: float) -> Sequence[Observed[Any]]:
        """List a zone's objects of a kind; from memory if that is kept, else without keeping it.

        What is not understood is left out: it is not ours.
        """
        if self._inventory.keeps(kind, zone_id):
            return await self.read(self._inventory.shelf(kind, zone_id), reserve=reserve)
        target = routes.COLLECTIONS[kind].at(account=self._account_id, zone=zone_id)
        found = []
        for raw in await pages.list_all(
            self._session, target, per_page=_PER_PAGE.get(kind, 0), reserve=reserve
        ):
            try:
                found.append(self.understand(kind, zone_id, raw))
            except UnavailableError:
                continue
        return found

    async def look_again(self, shelf: Shelf, id_: str) -> None:
        """Read one object, past its listing and into it."""
        target = routes.ITEMS[shelf.kind].at(account=self._account_id, zone=shelf.zone_id, id=id_)
        try:
            answer = await self._session.call("GET", target)
        except NotFoundError:
            shelf.listing.remove(id_)
            return
        found = self.understand(shelf.kind, shelf.zone_id, answer.result)
        if isinstance(found, ObservedPool):
            found = with_known_health(
                found, next((one for one in shelf.listing.items if one.id == id_), None)
            )
        shelf.listing.write(found)

    async def zones(self) -> tuple[Zone, ...]:
        """Answer with the zones; read again when they have reached their age."""
        listing = self._inventory.zones
        return await listing.read(self._load_zones, fresh=listing.is_due)

    async def ssl_mode(self, zone_id: str, *, fresh: bool = False, reserve: float = 0) -> SslMode:
        """Answer with a zone's SSL mode or with why it may not be read; both are remembered."""
        listing = self._inventory.ssl_mode(zone_id)
        (mode,) = await listing.read(
            lambda: self._load_ssl_mode(zone_id, reserve), fresh=fresh or listing.is_due
        )
        return mode

    def understand(self, kind: RemoteKind, zone_id: str, raw: Any) -> Observed[Any]:
        """Read one object of an answer, remembering a pool's origins as they are written.

        Raises:
            UnavailableError: it is not what it should be.

        """
        return understood(self._read_object, kind, zone_id, raw)

    def _read_object(self, kind: RemoteKind, zone_id: str, raw: Any) -> Observed[Any]:
        match kind:
            case RemoteKind.MONITOR:
                return reading.read_monitor(raw)
            case RemoteKind.POOL:
                pool = reading.read_pool(raw)
                self._inventory.written_origins[pool.id] = reading.origins_as_written(raw)
                return pool
            case RemoteKind.LOAD_BALANCER:
                return reading.read_load_balancer(raw, zone_id)
            case RemoteKind.TUNNEL:
                return reading.read_tunnel(raw)
            case RemoteKind.DNS_RECORD:
                return reading.read_dns_record(raw, zone_id)

    async def _load(self, shelf: Shelf, reserve: float) -> Sequence[Observed[Any]]:
        down_calls = self._inventory.down_calls
        asked_at = down_calls.asked_at()
        found = await pages.list_all(
            self._session,
            routes.COLLECTIONS[shelf.kind].at(account=self._account_id, zone=shelf.zone_id),
            per_page=_PER_PAGE.get(shelf.kind, 0),
            query=_QUERY.get(shelf.kind),
            reserve=reserve,
        )
        objects = [self.understand(shelf.kind, shelf.zone_id, raw) for raw in found]
        tunnels = [one for one in objects if isinstance(one, ObservedTunnel)]
        return down_calls.noted(asked_at, tunnels) if shelf.kind is RemoteKind.TUNNEL else objects

    async def _load_zones(self) -> list[Zone]:
        found = await pages.list_all(
            self._session,
            routes.ZONES.at(),
            per_page=_ZONES_PER_PAGE,
            query={"account.id": self._account_id},
        )
        return [understood(reading.read_zone, raw) for raw in found]

    async def _load_ssl_mode(self, zone_id: str, reserve: float) -> list[SslMode]:
        try:
            answer = await self._session.call("GET", routes.SSL_MODE.at(zone=zone_id), reserve=reserve)
        except MissingPermissionError as error:
            return [SslMode(zone_id, refusal=error)]
        mode = answer.result.get("value") if isinstance(answer.result, dict) else None
        if not isinstance(mode, str):
            raise UnavailableError("the answer to a question for a zone's SSL mode holds none")
        return [SslMode(zone_id, mode)]


def understood(read: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a reader of `tunnelpool.cloudflare.reading`; what it cannot read is an unusable answer.

    One object that is not understood spoils its listing: passed over, it might be created again.
    """
    try:
        return read(*args, **kwargs)
    except (ValueError, TypeError, AttributeError) as error:
        raise UnavailableError(f"an answer of Cloudflare's is not understood: {error}") from error
