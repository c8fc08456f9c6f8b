"""What an answer of the API means: its result, or one of the errors that the engine decides by. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from tunnelpool.cloudflare.explanations import explain
from tunnelpool.cloudflare.routes import Target
from tunnelpool.domain.errors import (
    ActiveConnectionsError,
    AlreadyExistsError,
    ApiError,
    CredentialsError,
    InvalidError,
    MissingPermissionError,
    NotFoundError,
    OutcomeUnknownError,
    StillReferencedError,
    TooManyOriginsError,
    UnavailableError,
)

_DEFAULT_STOP_S: Final = 30.0
"""After a 429 that does not say for how long. Cloudflare blocks for up to 300 s; then it says so again."""
_RESET: Final = re.compile(r";\s*t=(\d+)")

_UNROUTED: Final = frozenset({7000, 7003})
_RATE_LIMITED: Final = frozenset({971, 10013})
_BAD_TOKEN: Final = frozenset({1000, 6003, 6111, 9106, 9107, 9109})
_NOT_FOUND: Final = frozenset({1001, 1055, 81044})
_TAKEN: Final = frozenset({1013, 81053, 81054, 81057, 81058})
_NO_PERMISSION: Final = 10000
_REFERENCED: Final = 1005
_CONNECTED: Final = 1022
_TAKEN_OR_TUNNEL_NOT_FOUND: Final = 1003
_RULES_ALIKE: Final = "value not unique"
"""1003 without a name before it: two rules of a load balancer have one priority."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of an answer's `errors`."""

    code: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The envelope of an answer. `result` is left out of representations: it may be a tunnel's token."""

    success: bool
    result: Any = field(default=None, repr=False)
    info: Mapping[str, Any] = field(default_factory=dict)
    """`result_info`: how far a listing goes."""
    faults: tuple[Fault, ...] = ()


def read_answer(content: bytes, *, secret: str) -> Answer | None:
    """Read the envelope; None if it is not one. `secret` is masked wherever a message repeats it."""
    try:
        body = json.loads(content)
    except ValueError:
        return None
    if not isinstance(body, dict) or not isinstance(body.get("success"), bool):
        return None
    info = body.get("result_info")
    errors = body.get("errors")
    return Answer(
        success=body["success"],
        result=body.get("result"),
        info=info if isinstance(info, dict) else {},
        faults=tuple(_faults(errors if isinstance(errors, list) else [], secret)),
    )


def _faults(errors: list[Any], secret: str) -> list[Fault]:
    faults: list[Fault] = []
    for error in errors:
        if not isinstance(error, dict):
            continue
        code = error.get("code")
        message = str(error.get("message") or "").replace(secret, "[token]")
        faults.append(Fault(code if isinstance(code, int) else None, message))
        chain = error.get("error_chain")
        faults.extend(_faults(chain if isinstance(chain, list) else [], secret))
    return faults


def stop_after(headers: Mapping[str, str], now: float) -> float:
    """Read for how many seconds a 429 stops the token: `Retry-After`, else `Ratelimit`, else a guess."""
    after = headers.get("retry-after", "").strip()
    if after.isdecimal():
        return float(after)
    if after:
        try:
            date = parsedate_to_datetime(after)
        except ValueError:
            pass
        else:
            date = date if date.tzinfo else date.replace(tzinfo=UTC)
            return max(0.0, (date - datetime.fromtimestamp(now, UTC)).total_seconds())
    reset = _RESET.search(headers.get("ratelimit", ""))
    return float(reset[1]) if reset else _DEFAULT_STOP_S


def is_rate_limited(status: int, answer: Answer | None) -> bool:
    """Tell whether Cloudflare asks the token to stop."""
    return status == 429 or (  # noqa: PLR2004 - HTTP's Too Many Requests
        answer is not None and any(fault.code in _RATE_LIMITED for fault in answer.faults)
    )


def error_of(method: str, target: Target, status: int, answer: Answer | None) -> ApiError:
    """Translate an answer that is neither a success nor a limit, which the token's budget answers for."""
    call = f"{method} {target.route.template}"
    if status >= 500 or status == 408:  # noqa: PLR2004 - server errors and HTTP's Request Timeout
        return lost_or_unavailable(method, f"Cloudflare answered {status} to {call}", status=status)
    if answer is None:
        return lost_or_unavailable(
            method, f"the answer to {call} is not one of Cloudflare's (status {status})", status=status
        )
    return _refusal(method, target, status, answer.faults or (Fault(None, ""),))


def lost_or_unavailable(method: str, message: str, *, status: int | None = None) -> ApiError:
    """Build the error of a request that was sent and has no usable answer: a write may have happened."""
    if method == "GET":
        return UnavailableError(message, status=status)
    return OutcomeUnknownError(f"{message}: whether it was done is looked up", status=status)


def _refusal(method: str, target: Target, status: int, faults: tuple[Fault, ...]) -> ApiError:
    codes = {fault.code for fault in faults}
    first = faults[0]
    text = first.message.rstrip(". ")

    def build(kind: type[ApiError], message: str) -> ApiError:
        return kind(message, code=first.code, status=status)

    # Before "not found": a deletion under a malformed account id must not count as done.
    if codes & _UNROUTED:
        return build(
            InvalidError,
            f"Cloudflare has no route {target.path}: check the account id in the credentials",
        )
    if _NO_PERMISSION in codes and status != 401:  # noqa: PLR2004 - HTTP's Unauthorized
        return _missing_permission(method, target, status, first)
    if status == 401 or codes & _BAD_TOKEN:  # noqa: PLR2004 - likewise
        return build(
            CredentialsError, f"Cloudflare does not accept the API token ({text or status}): replace it"
        )
    if status == 403:  # noqa: PLR2004 - HTTP's Forbidden
        return _missing_permission(method, target, status, first)
    if _REFERENCED in codes:
        return build(StillReferencedError, "other objects at Cloudflare still refer to it")
    if _CONNECTED in codes:
        return build(
            ActiveConnectionsError,
            "the tunnel still has active connections: if they stay, a cloudflared outside this cluster runs "
            "with its token",
        )
    if codes & _NOT_FOUND or status == 404:  # noqa: PLR2004 - HTTP's Not Found
        return build(NotFoundError, text or "Cloudflare does not know the object")
    said = explain(next((fault.message for fault in faults if fault.message), ""))
    taken = codes & _TAKEN or _TAKEN_OR_TUNNEL_NOT_FOUND in codes or status == 409  # noqa: PLR2004 - Conflict
    if taken and text.lower() != _RULES_ALIKE:
        return build(AlreadyExistsError, text or "the name is taken at Cloudflare")
    error = build(said.kind, said.message)
    if isinstance(error, TooManyOriginsError) and said.limit is not None:
        error.limit, error.of_account = said.limit, "account" in first.message
    return error


def _missing_permission(method: str, target: Target, status: int, fault: Fault) -> ApiError:
    permission = target.route.permission(method)
    if not permission:
        return CredentialsError(
            f"the API token may not do {method} {target.route.template}", code=fault.code, status=status
        )
    return MissingPermissionError(
        f"the API token lacks {_as_people_see_it(permission)}, or it is for another account or zone",
        permission=permission,
        code=fault.code,
        status=status,
    )


def _as_people_see_it(permission: str) -> str:
    return f'{permission} ("Edit" in the dashboard)' if permission.endswith(" Write") else permission
