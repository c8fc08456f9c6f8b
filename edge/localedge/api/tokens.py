"""Token verification and the account itself: `/user/tokens/verify`, `/accounts`."""

from __future__ import annotations

from typing import Any, Final

from localedge.api.account import Account
from localedge.api.call import Call, Reply, Route, paged
from localedge.api.problem import unknown_token

_VALID: Final = {"code": 10000, "message": "This API Token is valid and active", "type": None}


def _verified(call: Call) -> Reply:
    token = call.token
    messages = (_VALID,) if token.status == "active" else ()
    return Reply({"id": token.id, "status": token.status}, messages=messages)


def _verify_user(call: Call) -> Reply:
    if call.token.owner != "user":
        raise unknown_token()
    return _verified(call)


def _verify_account(call: Call) -> Reply:
    if call.token.owner != "account":
        raise unknown_token()
    return _verified(call)


def _shown(account: Account) -> dict[str, Any]:
    return {"id": account.id, "name": account.name, "type": "standard", "settings": {}}


def _accounts(call: Call) -> Reply:
    name = call.query.take("name")
    mine = [_shown(account) for account in call.accounts if name in {None, account.name}]
    return paged(call, mine, default=20, lowest=5, highest=50)


def _account(call: Call) -> Reply:
    return Reply(_shown(call.account))


ROUTES: Final = (
    Route("GET", "/user/tokens/verify", None, _verify_user),
    Route("GET", "/accounts/{account_id}/tokens/verify", None, _verify_account),
    Route("GET", "/accounts", "Account Settings Read", _accounts),
    Route("GET", "/accounts/{account_id}", "Account Settings Read", _account),
)
