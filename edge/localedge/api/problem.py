"""Errors in Cloudflare's envelope: one exception, and its usual causes by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

NOT_EMULATED_CODE: Final = 99_001
"""A code that Cloudflare does not use: whoever meets it knows that the stand-in spoke."""


class ProblemError(Exception):
    """An answer with `success: false`."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        chain: tuple[tuple[int, str], ...] = (),
        more: tuple[tuple[int, str], ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status}/{code}: {message}")
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        first: dict[str, Any] = {"code": code, "message": message}
        if chain:
            first["error_chain"] = [{"code": c, "message": m} for c, m in chain]
        self.errors = [first, *({"code": c, "message": m} for c, m in more)]


def validation_failed(detail: str) -> ProblemError:
    """Refuse a monitor, pool or load balancer; plan limits too are refused by this code."""
    return ProblemError(400, 1002, f"{detail}: validation failed")


def not_unique(detail: str) -> ProblemError:
    """Refuse a second object of a name."""
    return ProblemError(409, 1003, f"{detail}: value not unique")


def referenced() -> ProblemError:
    """Refuse to delete what others refer to."""
    return ProblemError(412, 1005, "This object is referenced by other objects, delete them first.")


def not_found(what: str) -> ProblemError:
    """Answer for an unknown id. The code is a guess: the reference has no evidence of one."""
    return ProblemError(404, 1001, f"{what} not found")


def tunnel_not_found() -> ProblemError:
    """Answer for an unknown tunnel. The code is a guess."""
    return ProblemError(404, 1003, "Tunnel not found")


def not_emulated(message: str) -> ProblemError:
    """Refuse what Cloudflare has and the edge has not."""
    return ProblemError(400, NOT_EMULATED_CODE, message)


def no_route(path: str) -> ProblemError:
    """Answer for a path that no route has, or for an id that cannot be one."""
    return ProblemError(
        404,
        7003,
        f"Could not route to {path}, perhaps your object identifier is invalid?",
        more=((7000, "No route for that URI"),),
    )


def unknown_token() -> ProblemError:
    """Answer the verification of a token that is unknown there, though it may be valid elsewhere."""
    return ProblemError(401, 1000, "Invalid API Token")


def forbidden() -> ProblemError:
    """Answer when the token lacks the permission, the account or the zone."""
    return ProblemError(403, 10000, "Authentication error")
