"""Accounts and their API tokens, made at run time."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from localedge.api.accounts import Accounts
from localedge.control.answer import BASE, answering
from localedge.documents.fields import Field, Fields, array, boolean, choice, read_object, text
from localedge.documents.refusal import InvalidError
from localedge.plan import PlanName
from localedge.state.identifiers import Identifiers
from localedge.state.tokens import Token
from localedge.tenants import Tenants

_ACCOUNT: Fields = {
    "name": Field(text(100), required=True),
    "zones": Field(array(text(253)), list),
    "plan": Field(choice(*PlanName), PlanName.PRO.value),
    "load_balancing": Field(boolean, default=True),
}
_TOKEN: Fields = {
    "permissions": Field(array(text(100)), required=True),
    "accounts": Field(array(text(32), shortest=1)),
    "owner": Field(choice("user", "account"), "user"),
    "status": Field(choice("active", "disabled", "expired"), "active"),
}


class AccountOffice:
    """Serves `/_edge/accounts` and `/_edge/tokens`."""

    def __init__(self, accounts: Accounts, tenants: Tenants, identifiers: Identifiers) -> None:
        self._accounts = accounts
        self._tenants = tenants
        self._identifiers = identifiers

    def attach(self, app: web.Application) -> None:
        """Add the routes to an application."""
        app.router.add_get(f"{BASE}/accounts", answering(self._list))
        app.router.add_post(f"{BASE}/accounts", answering(self._open))
        app.router.add_post(f"{BASE}/tokens", answering(self._new_token))
        app.router.add_delete(f"{BASE}/tokens/{{id}}", answering(self._revoke))

    def _list(self, _request: web.Request, _body: Any) -> Any:
        return {tenant.account.name: tenant.ready() for tenant in self._tenants.opened}

    def _open(self, _request: web.Request, body: Any) -> Any:
        wanted = read_object("", body, _ACCOUNT)
        plan, bought = PlanName(wanted["plan"]), wanted["load_balancing"]
        return self._tenants.open(wanted["name"], wanted["zones"], plan, load_balancing=bought).ready()

    def _new_token(self, _request: web.Request, body: Any) -> Any:
        wanted = read_object("", body, _TOKEN)
        accounts = frozenset(wanted.get("accounts", (self._accounts.first.id,)))
        for account in accounts:
            if self._accounts.find(account) is None:
                raise InvalidError(f"there is no account {account}")
        token = Token(
            self._identifiers.hex32(),
            self._identifiers.token(),
            frozenset(wanted["permissions"]),
            accounts,
            wanted["owner"],
            wanted["status"],
        )
        self._accounts.tokens.add(token)
        return {"id": token.id, "token": token.value}

    def _revoke(self, request: web.Request, _body: Any) -> Any:
        return {"revoked": self._accounts.tokens.revoke(request.match_info["id"])}
