"""The accounts of an edge, and the tokens that open them."""

from __future__ import annotations

from collections.abc import Iterator

from localedge.api.account import Account
from localedge.state.records import Tunnel
from localedge.state.tokens import Token, Tokens


class Accounts:
    """All accounts by id, in the order in which they were made."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self.tokens = Tokens()

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    @property
    def first(self) -> Account:
        """The account that every edge starts with."""
        return next(iter(self._accounts.values()))

    def add(self, account: Account) -> None:
        """Add an account."""
        self._accounts[account.id] = account

    def find(self, account_id: str) -> Account | None:
        """Look an account up."""
        return self._accounts.get(account_id)

    def of_zone(self, zone_id: str) -> Account | None:
        """Tell whose zone it is."""
        return next((a for a in self if zone_id in a.store.state.zones), None)

    def of_tunnel(self, tunnel_id: str) -> tuple[Account, Tunnel] | None:
        """Tell whose tunnel it is."""
        for account in self:
            tunnel = account.store.state.tunnels.get(tunnel_id)
            if tunnel is not None:
                return account, tunnel
        return None

    def seen_by(self, token: Token) -> tuple[Account, ...]:
        """List the accounts that a token opens."""
        return tuple(account for account in self if account.id in token.accounts)

    def zone_names(self) -> list[str]:
        """List the zones of all accounts."""
        return [zone["name"] for account in self for zone in account.store.state.zones.values()]
