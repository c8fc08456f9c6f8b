"""Reading again what has reached its age, and telling what is different."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from tunnelpool.cloudflare.inventory import Inventory
from tunnelpool.cloudflare.listing import Listing
from tunnelpool.cloudflare.loading import Loader
from tunnelpool.domain.errors import ApiError, RetryableError
from tunnelpool.domain.remote import RemoteKind
from tunnelpool.engine.ports import Changed

_LOG: Final = logging.getLogger(__name__)
_RETRY_S: Final = 30.0
"""How long after a failure a listing is left alone, unless the error says."""


async def sweep(inventory: Inventory, loader: Loader, *, reserve: float) -> Sequence[Changed]:
    """Read again each listing that is due; tell what this and all other readings since have shown.

    Only listings that someone has read before. `reserve` is the part of the budget that is left alone.

    Raises:
        ApiError: none of those that are due could be read, and there is nothing to tell.

    """
    failures: list[ApiError] = []
    successes = 0
    for shelf in list(inventory.shelves()):
        if not shelf.listing.is_due:
            continue
        try:
            await loader.read(shelf, fresh=True, reserve=reserve)
            successes += 1
        except ApiError as error:
            failures.append(error)
            _put_off(shelf.listing, error, f"the listing of {shelf.kind}s")
    for zone_id, listing in list(inventory.ssl_modes()):
        if not listing.is_due:
            continue
        try:
            await loader.ssl_mode(zone_id, fresh=True, reserve=reserve)
            successes += 1
        except ApiError as error:
            failures.append(error)
            _put_off(listing, error, f"the SSL mode of zone {zone_id}")
    changed = _changes(inventory)
    if failures and not successes and not changed:
        raise failures[0]
    return changed


def _changes(inventory: Inventory) -> list[Changed]:
    changed = [
        Changed(shelf.kind, different)
        for shelf in inventory.shelves()
        if (different := shelf.listing.take_different())
    ]
    modes = [mode for _, listing in inventory.ssl_modes() for mode in listing.take_different()]
    if modes:
        # Whether origins are reached over TLS is said of pools, and a pool may serve any zone.
        pools = inventory.shelf(RemoteKind.POOL).listing.items
        changed.extend([Changed(RemoteKind.POOL, pools)] if pools else [])
    return changed


def _put_off(listing: Listing[Any], error: ApiError, what: str) -> None:
    _LOG.warning("%s could not be read: %s", what, error)
    said = error.retry_after_s if isinstance(error, RetryableError) else None
    listing.postpone(said or _RETRY_S)
