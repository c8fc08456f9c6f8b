"""API tokens and what each may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

PERMISSION_GROUPS: Final = frozenset(
    {
        "Account Settings Read",
        "Cloudflare Tunnel Read",
        "Cloudflare Tunnel Write",
        "DNS Read",
        "DNS Write",
        "Load Balancers Read",
        "Load Balancers Write",
        "Load Balancing: Monitors and Pools Read",
        "Load Balancing: Monitors and Pools Write",
        "Zone Read",
        "Zone Settings Read",
        "Zone Settings Write",
    }
)
"""The permission groups of the calls that the edge emulates, by Cloudflare's names."""


@dataclass(frozen=True, slots=True)
class Token:
    """An API token: user-owned or account-owned, with its permission groups."""

    id: str
    value: str
    permissions: frozenset[str]
    accounts: frozenset[str]
    """Ids of the accounts that it opens: one, if it is account-owned."""
    owner: Literal["user", "account"] = "user"
    status: Literal["active", "disabled", "expired"] = "active"

    def may(self, permission: str) -> bool:
        """Tell whether the token carries a permission; Write includes Read."""
        if permission in self.permissions:
            return True
        return (
            permission.endswith(" Read") and f"{permission.removesuffix(' Read')} Write" in self.permissions
        )


class Tokens:
    """The tokens of all accounts by value."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    def add(self, token: Token) -> None:
        """Register a token.

        Raises:
            ValueError: a permission group that the edge does not know, or a wrong number of accounts.

        """
        if not token.accounts or (token.owner == "account" and len(token.accounts) > 1):
            raise ValueError("a token opens at least one account, an account-owned one that account alone")
        unknown = sorted(token.permissions - PERMISSION_GROUPS)
        if unknown:
            raise ValueError(f"unknown permission groups: {', '.join(unknown)}")
        self._tokens[token.value] = token

    def find(self, value: str) -> Token | None:
        """Look a token up by its value."""
        return self._tokens.get(value)

    def revoke(self, token_id: str) -> bool:
        """Remove a token by its id; False if there is none."""
        for value, token in self._tokens.items():
            if token.id == token_id:
                del self._tokens[value]
                return True
        return False


def read_only(permissions: Iterable[str] = PERMISSION_GROUPS) -> frozenset[str]:
    """Those of the permissions that only read."""
    return frozenset(p for p in permissions if p.endswith(" Read"))
