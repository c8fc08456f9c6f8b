"""Who calls, and whether they may."""

from __future__ import annotations

from collections.abc import Mapping

from localedge.api.account import Account
from localedge.api.accounts import Accounts
from localedge.api.call import Route
from localedge.api.problem import ProblemError, forbidden, no_route, unknown_token
from localedge.state.tokens import Token

_HEX = frozenset("0123456789abcdef")
_ID_LENGTH = 32
_UUID_LENGTH = 36
_VERIFY = "/tokens/verify"


def authenticate(accounts: Accounts, headers: Mapping[str, str], path: str) -> Token:
    """Find the token of a call.

    Raises:
        ProblemError: no header, a malformed one, an unknown token, a global API key (not emulated).

    """
    header = headers.get("Authorization")
    if header is None:
        if "X-Auth-Key" in headers or "X-Auth-Email" in headers:
            raise _malformed(6103, "Invalid format for X-Auth-Key header")
        raise ProblemError(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "bearer" or not value or not value.isascii() or " " in value:
        raise _malformed(6111, "Invalid format for Authorization header")
    token = accounts.tokens.find(value)
    if token is None:
        if path.endswith(_VERIFY):
            raise unknown_token()
        raise ProblemError(401, 9109, "Invalid access token")
    return token


def authorise(accounts: Accounts, token: Token, route: Route, path: str, ids: Mapping[str, str]) -> Account:
    """Check the ids of a path, the permission, the account and the zone, in the gateway's order.

    Returns the account that the call is about: the token's first one where the path names none.

    Raises:
        ProblemError: 404/7003 for what cannot be an id, 401/1000 for a token that is verified at an
            account which it does not open, 403/10000 for the rest.

    """
    for name, value in ids.items():
        if not _plausible(name, value):
            raise no_route(path)
    if route.permission is not None and (token.status != "active" or not token.may(route.permission)):
        raise forbidden()
    if "account_id" in ids:
        account = accounts.find(ids["account_id"])
    elif "zone_id" in ids:
        account = accounts.of_zone(ids["zone_id"])
    else:
        account = accounts.seen_by(token)[0]
    if account is None or account.id not in token.accounts:
        raise unknown_token() if path.endswith(_VERIFY) else forbidden()
    return account


def _plausible(name: str, value: str) -> bool:
    if name == "region_id":
        return True
    if name in {"tunnel_id", "connector_id"}:
        return len(value) == _UUID_LENGTH and set(value.lower()) <= _HEX | {"-"}
    return len(value) == _ID_LENGTH and set(value) <= _HEX


def _malformed(code: int, message: str) -> ProblemError:
    return ProblemError(400, 6003, "Invalid request headers", chain=((code, message),))
