"""Accounts of Cloudflare as the engine sees them: `Cloud` and `Clouds` of `tunnelpool.engine.ports`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from tunnelpool.cloudflare import routes
from tunnelpool.cloudflare.address_ranges import read_ranges
from tunnelpool.cloudflare.answers import Answer
from tunnelpool.cloudflare.inventory import Inventory
from tunnelpool.cloudflare.loading import Loader
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.sweeping import sweep
from tunnelpool.cloudflare.transport import Session, Transport
from tunnelpool.cloudflare.writes import Writer
from tunnelpool.domain.address_ranges import AddressRanges
from tunnelpool.domain.errors import (
    CredentialsError,
    MissingPermissionError,
    RefusedError,
    UnavailableError,
)
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
from tunnelpool.engine.ports import Account, Changed
from tunnelpool.plan.steps import RemoteStep

_TOKENS_KEPT: Final = 256
"""So many accounts with their tokens are remembered; beyond, the one that was not used for longest goes."""


class CloudAccount:
    """One account with one token; the inventory belongs to the account and outlives the token."""

    def __init__(
        self, account_id: str, session: Session, inventory: Inventory, settings: CloudflareSettings
    ) -> None:
        self._id = account_id
        self._session = session
        self._inventory = inventory
        self._settings = settings
        self._loader = Loader(account_id, session, inventory)
        self._writer = Writer(account_id, session, inventory, self._loader, settings)
        self._is_accounts_own = False

    def __repr__(self) -> str:
        """Name the account and nothing else."""
        return f"CloudAccount({self._id!r})"

    async def verify(self) -> None:
        """Check that the token is valid and active.

        Tokens of users and of accounts are verified in different places and look alike. A user's is tried
        first; what the token turns out to be is remembered, so that later checks are one request.

        Raises:
            CredentialsError: it is not, and why.

        """
        answer = await self._verification()
        status = answer.result.get("status") if isinstance(answer.result, dict) else None
        if status != "active":
            raise CredentialsError(f"the API token is {status or 'of unknown status'}: replace it")

    async def zones(self) -> Sequence[Zone]:
        """List the zones of the account; they are read again when they have reached their age."""
        return await self._loader.zones()

    async def tunnels(self, *, fresh: bool = False, within_s: float = 0) -> Sequence[ObservedTunnel]:
        """List the tunnels that are not deleted."""
        shelf = self._inventory.shelf(RemoteKind.TUNNEL)
        return await self._loader.read(shelf, fresh=fresh, within_s=within_s)

    async def monitors(self, *, fresh: bool = False) -> Sequence[Observed[Monitor]]:
        """List the monitors."""
        return await self._loader.read(self._inventory.shelf(RemoteKind.MONITOR), fresh=fresh)

    async def pools(self, *, fresh: bool = False, within_s: float = 0) -> Sequence[ObservedPool]:
        """List the pools with their health."""
        shelf = self._inventory.shelf(RemoteKind.POOL)
        return await self._loader.read(shelf, fresh=fresh, within_s=within_s)

    async def load_balancers(
        self, zone_id: str, *, fresh: bool = False, within_s: float = 0
    ) -> Sequence[Observed[LoadBalancer]]:
        """List the load balancers of a zone."""
        shelf = self._inventory.shelf(RemoteKind.LOAD_BALANCER, zone_id)
        return await self._loader.read(shelf, fresh=fresh, within_s=within_s)

    async def dns_records(self, zone_id: str, *, fresh: bool = False) -> Sequence[Observed[DnsRecord]]:
        """List the DNS records of a zone."""
        return await self._loader.read(self._inventory.shelf(RemoteKind.DNS_RECORD, zone_id), fresh=fresh)

    async def look_again(self, kind: RemoteKind, id_: str, zone_id: str = "") -> None:
        """Read one object afresh, just before it is written: others may write it as well."""
        await self._loader.look_again(self._inventory.shelf(kind, zone_id), id_)

    async def ssl_mode(self, zone_id: str) -> str:
        """Read how Cloudflare reaches origins of a zone.

        Raises:
            MissingPermissionError: the token may not read it; that is remembered as long as a mode is.

        """
        known = await self._loader.ssl_mode(zone_id)
        if known.refusal is None:
            return known.mode
        # A new one each time: an exception that is raised again keeps the frames of the first time.
        raise MissingPermissionError(
            known.refusal.message,
            permission=known.refusal.permission,
            code=known.refusal.code,
            status=known.refusal.status,
        )

    async def token(self, tunnel_id: str) -> str:
        """Fetch the token that a connector of the tunnel runs with.

        Of a tunnel that was just created it is known already, and forgotten once it is handed out.
        """
        fresh = self._writer.take_token(tunnel_id)
        if fresh is not None:
            return fresh
        target = routes.TUNNEL_TOKEN.at(account=self._id, id=tunnel_id)
        answer = await self._session.call("GET", target, reserve=self._settings.user_reserve)
        if not isinstance(answer.result, str) or not answer.result:
            raise UnavailableError("the answer to a question for a tunnel's token holds none")
        return answer.result

    def configuration(self, tunnel_id: str) -> FrozenJson:
        """Answer with the canonical configuration that a tunnel was last seen with or given; else None."""
        return self._inventory.configurations.known(tunnel_id)

    async def look_at_configuration(self, tunnel_id: str) -> None:
        """Read the configuration of one tunnel, leaving most of the budget to others."""
        reserve = self._settings.idle_reserve
        await self._inventory.configurations.look(self._session, self._id, tunnel_id, reserve=reserve)

    async def at_hostnames(self, zone_id: str) -> Sequence[Observed[LoadBalancer | DnsRecord]]:
        """List the load balancers and the DNS records of a zone; what is not kept yet is not kept for it."""
        reserve = self._settings.sweep_reserve
        found: list[Observed[LoadBalancer | DnsRecord]] = []
        for kind in (RemoteKind.LOAD_BALANCER, RemoteKind.DNS_RECORD):
            found.extend(await self._loader.glance(kind, zone_id, reserve=reserve))
        return found

    async def execute(self, step: RemoteStep) -> None:
        """Carry out one step and write its answer through to the listings."""
        await self._writer.execute(step)

    async def sweep(self) -> Sequence[Changed]:
        """Read again each listing that has reached its age, and tell what is different."""
        return await sweep(self._inventory, self._loader, reserve=self._settings.sweep_reserve)

    async def _verification(self) -> Answer:
        of_account = routes.ACCOUNT_TOKEN.at(account=self._id)
        if self._is_accounts_own:
            return await self._session.call("GET", of_account)
        try:
            return await self._session.call("GET", routes.USER_TOKEN.at())
        except CredentialsError as not_a_users:
            try:
                answer = await self._session.call("GET", of_account)
            except RefusedError:
                raise not_a_users from None
            self._is_accounts_own = True
            return answer


class CloudAccounts:
    """All accounts behind one transport, which `aclose` closes in the end."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._settings = transport.settings
        self._clock = transport.clock
        self._inventories: dict[str, Inventory] = {}
        self._accounts: OrderedDict[tuple[str, str], CloudAccount] = OrderedDict()

    def account(self, account: Account) -> CloudAccount:
        """Hand out the account's view: the same for the same id and token.

        Another token for an account sees the same listings; the budget belongs to the token.

        Raises:
            CredentialsError: the token cannot be one.

        """
        id_, token = account.id.strip(), account.token.strip()
        known = self._accounts.get((id_, token))
        if known is None:
            session = self._transport.session(token)
            inventory = self._inventories.setdefault(id_, Inventory(self._settings, self._clock))
            known = CloudAccount(id_, session, inventory, self._settings)
            self._accounts[id_, token] = known
        self._accounts.move_to_end((id_, token))
        if len(self._accounts) > _TOKENS_KEPT:
            self._accounts.popitem(last=False)
        return known

    async def address_ranges(self) -> AddressRanges:
        """Read the addresses that Cloudflare's requests come from; no account is needed for that.

        Raises:
            UnavailableError: there is no answer, or one without ranges.

        """
        return await read_ranges(self._transport)

    async def aclose(self) -> None:
        """Give up readings that are under way and close the connections."""
        for inventory in self._inventories.values():
            inventory.close()
        await self._transport.aclose()
