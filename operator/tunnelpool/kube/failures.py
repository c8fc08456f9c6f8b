"""Answers that are not success, in the words of `tunnelpool.domain.errors`."""

from __future__ import annotations

import json
from typing import Any, Final

import aiohttp

from tunnelpool.domain.errors import (
    AlreadyExistsError,
    ApiError,
    ClusterRefusedError,
    NamespaceEndingError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitedError,
    StaleError,
    UnavailableError,
)

_READS: Final = frozenset({"GET", "HEAD"})
_DEFAULT_RETRY_AFTER_S: Final = 1.0
_ENDING: Final = "NamespaceTerminating"
"""The cause that the API server names when a namespace is being deleted."""


def refusal(method: str, path: str, status: int, body: bytes, retry_after: str | None) -> ApiError:
    """Translate an answer of 300 and above; the API server's own message is kept."""
    error = _refusal(method, path, status, _status_object(body), retry_after)
    error.of_cluster = True
    return error


def _refusal(
    method: str, path: str, status: int, answer: dict[str, Any], retry_after: str | None
) -> ApiError:
    reason = str(answer.get("reason", ""))
    message = str(answer.get("message", "")) or f"the Kubernetes API answers {status} to {method} {path}"
    match status:
        case 404:
            return NotFoundError(message, status=status)
        case 409 if reason == "AlreadyExists":
            return AlreadyExistsError(message, status=status)
        case 409:
            return StaleError(message, status=status)
        case 410:
            return StaleError(message, status=status)
        case 429:
            return RateLimitedError(message, retry_after_s=_seconds(retry_after))
        case 401:
            # Nobody has to act: a rotated token is read again; the API server may have lost its keys.
            return UnavailableError(
                "the Kubernetes API does not accept the operator's credentials", status=status
            )
        case 504 if method not in _READS:
            return OutcomeUnknownError(message, status=status)
        case _ if status >= 500:  # noqa: PLR2004 - HTTP's own boundary
            return UnavailableError(message, status=status)
        case 403 if _ENDING in _causes(answer):
            return NamespaceEndingError(message, status=status)
        case _:
            return ClusterRefusedError(message, status=status)


def broken(method: str, path: str, error: Exception) -> ApiError:
    """Translate the lack of an answer: a write whose answer is lost may have happened."""
    message = f"no answer of the Kubernetes API to {method} {path}: {str(error) or type(error).__name__}"
    undone = method in _READS or isinstance(error, aiohttp.ClientConnectorError)
    lost: ApiError = UnavailableError(message) if undone else OutcomeUnknownError(message)
    lost.of_cluster = True
    return lost


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _causes(answer: dict[str, Any]) -> set[str]:
    details = answer.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return {str(one.get("reason")) for one in causes or () if isinstance(one, dict)}


def _seconds(retry_after: str | None) -> float:
    try:
        return max(0.0, float(retry_after or ""))
    except ValueError:  # absent, or an HTTP date, which the API server does not send
        return _DEFAULT_RETRY_AFTER_S
