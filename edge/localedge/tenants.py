"""How accounts come to be: state, tokens and zones of each; what all of them share is handed in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from localedge.api.account import Account
from localedge.api.accounts import Accounts
from localedge.api.zones import new_zone
from localedge.clock import Clock
from localedge.documents.hostnames import hostname
from localedge.documents.refusal import InvalidError
from localedge.plan import PLANS, PlanName
from localedge.probe.book import HealthBook
from localedge.state.connections import ConnectionLedger
from localedge.state.history import StateHistory
from localedge.state.identifiers import Identifiers
from localedge.state.records import State
from localedge.state.store import Lags, Store, VisibleState
from localedge.state.tokens import PERMISSION_GROUPS, Token, read_only
from localedge.tunnel.interface import Tunnels


@dataclass(frozen=True, slots=True)
class Tenant:
    """An account and the tokens that it starts with."""

    account: Account
    full_token: Token
    read_only_token: Token

    def ready(self) -> dict[str, Any]:
        """Tell what a client needs to know of it."""
        zones = self.account.store.state.zones
        return {
            "id": self.account.id,
            "api_token": self.full_token.value,
            "read_only_token": self.read_only_token.value,
            "zones": {zone["name"]: key for key, zone in zones.items()},
        }


@dataclass(frozen=True, slots=True)
class Shared:
    """What the accounts of an edge have in common."""

    clock: Clock
    lags: Lags
    identifiers: Identifiers
    ledger: ConnectionLedger
    book: HealthBook
    tunnels: Tunnels
    healthy_connections: int
    background: Callable[[Coroutine[Any, Any, None]], None]
    follow: Callable[[VisibleState], None]
    """Hears what the data plane is to see of a new account."""


class Tenants:
    """Opens accounts."""

    def __init__(self, accounts: Accounts, shared: Shared) -> None:
        self._accounts = accounts
        self._shared = shared
        self.opened: list[Tenant] = []

    def open(self, name: str, zones: Sequence[str], plan: PlanName, *, load_balancing: bool = True) -> Tenant:
        """Open an account with its zones and a full and a read-only token of a user.

        Raises:
            InvalidError: a name or a zone that another account has.

        """
        shared = self._shared
        if any(account.name == name for account in self._accounts):
            raise InvalidError(f"there is an account {name} already")
        state = State()
        taken = self._accounts.zone_names()
        for zone_name in zones:
            zone = new_zone(shared.identifiers.hex32(), hostname("zone", zone_name), shared.clock.timestamp())
            if zone["name"] in taken:
                raise InvalidError(f"there is a zone {zone['name']} already")
            taken.append(zone["name"])
            state = state.with_document("zones", zone["id"], zone)
        store = Store(shared.clock, state)
        limits = PLANS[plan]
        account = Account(
            id=shared.identifiers.hex32(),
            name=name,
            plan=limits if load_balancing else limits.without_load_balancing(),
            store=store,
            history=StateHistory(store, shared.clock),
            ledger=shared.ledger,
            tunnels=shared.tunnels,
            book=shared.book,
            clock=shared.clock,
            identifiers=shared.identifiers,
            healthy_connections=shared.healthy_connections,
            background=shared.background,
        )
        self._accounts.add(account)
        tenant = Tenant(account, self._token(account, PERMISSION_GROUPS), self._token(account, read_only()))
        self.opened.append(tenant)
        shared.follow(VisibleState(store, shared.clock, shared.lags))
        return tenant

    def _token(self, account: Account, permissions: frozenset[str]) -> Token:
        identifiers = self._shared.identifiers
        token = Token(identifiers.hex32(), identifiers.token(), permissions, frozenset({account.id}))
        self._accounts.tokens.add(token)
        return token
