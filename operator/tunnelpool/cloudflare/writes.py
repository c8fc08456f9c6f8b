"""Every write to an account, each followed into the inventory."""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
from collections.abc import Container, Hashable, Mapping
from typing import Any, Final

from tunnelpool.cloudflare import routes
from tunnelpool.cloudflare.answers import Answer
from tunnelpool.cloudflare.inventory import Inventory, Shelf, identity_of
from tunnelpool.cloudflare.loading import Loader
from tunnelpool.cloudflare.pool_health import with_known_health
from tunnelpool.cloudflare.priorities import reserve_of
from tunnelpool.cloudflare.referrers import told_referrers
from tunnelpool.cloudflare.routes import Target
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.transport import Session
from tunnelpool.cloudflare.writing import changes_to_wire, to_wire
from tunnelpool.domain.errors import (
    AlreadyExistsError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    StillReferencedError,
    UnavailableError,
)
from tunnelpool.domain.json import thaw
from tunnelpool.domain.remote import KIND_OF, Monitor, ObservedPool, RemoteKind, RemoteValue
from tunnelpool.plan.steps import (
    CloseConnections,
    Create,
    Delete,
    PutConfiguration,
    RemoteStep,
    RotateSecret,
    Update,
)

_SECRET_BYTES: Final = 32
"""The least that Cloudflare takes."""
_LOG: Final = logging.getLogger(__name__)

_SHOWS_OUT_OF_DATE: Final = (
    AlreadyExistsError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    StillReferencedError,
    asyncio.CancelledError,
)
"""Ends of a write after which the listing is not believed any more."""

_REFERRERS: Final[Mapping[RemoteKind, RemoteKind]] = {
    RemoteKind.MONITOR: RemoteKind.POOL,
    RemoteKind.POOL: RemoteKind.LOAD_BALANCER,
    RemoteKind.TUNNEL: RemoteKind.POOL,
}
"""Whose listings must have lacked something if an object is found to be referenced."""


class Writer:
    """Carries out steps with one token."""

    def __init__(
        self,
        account_id: str,
        session: Session,
        inventory: Inventory,
        loader: Loader,
        settings: CloudflareSettings,
    ) -> None:
        self._account_id = account_id
        self._session = session
        self._inventory = inventory
        self._loader = loader
        self._settings = settings
        self._tokens: dict[str, str] = {}
        """By tunnel: what a creation has brought and nobody has asked for yet. In memory only."""

    async def execute(self, step: RemoteStep) -> None:
        """Carry out one step; see `tunnelpool.engine.ports.Cloud.execute`."""
        match step:
            case Create():
                await self._create(step)
            case Update():
                await self._update(step)
            case Delete():
                await self._delete(step)
            case PutConfiguration():
                await self._put_configuration(step)
            case RotateSecret():
                await self._rotate(step)
            case CloseConnections():
                await self._close_connections(step)

    def take_token(self, tunnel_id: str) -> str | None:
        """Hand out, once, the token that came with the answer to a tunnel's creation."""
        return self._tokens.pop(tunnel_id, None)

    def _keep_token(self, tunnel_id: str, token: object) -> None:
        if isinstance(token, str) and token:
            self._tokens[tunnel_id] = token

    async def _create(self, step: Create) -> None:
        kind = KIND_OF[type(step.value)]
        shelf = self._inventory.shelf(kind, step.zone_id)
        identity = identity_of(step.value)
        name = f"{kind} {_name(step.value)}"

        async def look() -> Container[Hashable]:
            found = await self._loader.read(shelf, fresh=True)
            return {identity_of(item.value) for item in found}

        await shelf.doubts.settle(identity, look, what=name)
        if shelf.holds(identity):
            raise AlreadyExistsError(f"{name} is there already")
        target = routes.COLLECTIONS[kind].at(account=self._account_id, zone=step.zone_id)
        try:
            answer = await self._call(shelf, "POST", target, to_wire(step.value))
        except (OutcomeUnknownError, asyncio.CancelledError):
            shelf.doubts.open(identity)
            raise
        try:
            created = self._loader.understand(kind, step.zone_id, answer.result)
        except UnavailableError as error:
            # It was created, but its id is not known: as good as no answer.
            shelf.doubts.open(identity)
            shelf.listing.invalidate()
            raise OutcomeUnknownError(error.message) from error
        shelf.listing.write(created, created=True)
        if kind is RemoteKind.TUNNEL and isinstance(answer.result, dict):
            self._keep_token(created.id, answer.result.get("token"))

    async def _update(self, step: Update) -> None:
        kind = KIND_OF[type(step.value)]
        origins = self._inventory.written_origins.get(step.id)
        body = changes_to_wire(step.value, step.changes, origins)
        if not body:
            return
        shelf = self._inventory.shelf(kind, step.zone_id)
        target = routes.ITEMS[kind].at(account=self._account_id, zone=step.zone_id, id=step.id)
        reserve = reserve_of(step, self._settings)
        answer = await self._call(shelf, "PATCH", target, body, reserve=reserve)
        try:
            written = self._loader.understand(kind, step.zone_id, answer.result)
        except UnavailableError:
            shelf.listing.invalidate()
            return
        if isinstance(written, ObservedPool):
            before = next((item for item in shelf.listing.items if item.id == step.id), None)
            written = with_known_health(written, before)
        shelf.listing.write(written)

    async def _delete(self, step: Delete) -> None:
        shelf = self._inventory.shelf(step.kind, step.zone_id)
        target = routes.ITEMS[step.kind].at(account=self._account_id, zone=step.zone_id, id=step.id)
        try:
            await self._call(shelf, "DELETE", target)
        except NotFoundError:
            _LOG.debug("%s %s was gone before it was deleted", step.kind, step.name)
        except StillReferencedError as error:
            self._inventory.invalidate(_REFERRERS[step.kind])
            told = await told_referrers(self._session, self._account_id, step.kind, step.id)
            raise StillReferencedError(told, code=error.code, status=error.status) from error
        shelf.listing.remove(step.id)
        self._tokens.pop(step.id, None)

    async def _put_configuration(self, step: PutConfiguration) -> None:
        shelf = self._inventory.shelf(RemoteKind.TUNNEL)
        target = routes.TUNNEL_CONFIGURATION.at(account=self._account_id, id=step.tunnel_id)
        config = thaw(step.config)
        await self._call(shelf, "PUT", target, {"config": config})
        self._inventory.configurations.written(step.tunnel_id, config)

    async def _rotate(self, step: RotateSecret) -> None:
        """Send a secret that is kept nowhere: connectors get it in the token that Cloudflare hands out."""
        shelf = self._inventory.shelf(RemoteKind.TUNNEL)
        target = routes.ITEMS[RemoteKind.TUNNEL].at(account=self._account_id, id=step.tunnel_id)
        fresh = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
        self._tokens.pop(step.tunnel_id, None)
        await self._call(shelf, "PATCH", target, {"tunnel_secret": fresh})

    async def _close_connections(self, step: CloseConnections) -> None:
        shelf = self._inventory.shelf(RemoteKind.TUNNEL)
        target = routes.TUNNEL_CONNECTIONS.at(account=self._account_id, id=step.tunnel_id)
        try:
            await self._call(shelf, "DELETE", target)
        except NotFoundError:
            _LOG.debug("tunnel %s is gone, and its connections with it", step.name)

    async def _call(
        self,
        shelf: Shelf,
        method: str,
        target: Target,
        body: Mapping[str, Any] | None = None,
        *,
        reserve: float | None = None,
    ) -> Answer:
        left = self._settings.user_reserve if reserve is None else reserve
        try:
            return await self._session.call(method, target, body=body, reserve=left)
        except _SHOWS_OUT_OF_DATE:
            shelf.listing.invalidate()
            raise


def _name(value: RemoteValue) -> str:
    return value.description if isinstance(value, Monitor) else value.name
