"""From an error of either API to the words of a condition."""

from __future__ import annotations

from tunnelpool.domain.errors import (
    ActiveConnectionsError,
    AlreadyExistsError,
    ApiError,
    CredentialsError,
    HostHeaderError,
    InvalidError,
    MissingPermissionError,
    NotBoughtError,
    PlanError,
    RateLimitedError,
    RestlessError,
    RetryableError,
    StillReferencedError,
)
from tunnelpool.domain.reasons import Problem, Reason


def problem_of(error: ApiError) -> Problem:
    """Say what an error means for a resource, and whether it stays so until a person acts."""
    match error:
        case _ if error.of_cluster and not isinstance(error, AlreadyExistsError):
            return Problem(Reason.CLUSTER_REFUSED, error.message)
        case RateLimitedError():
            return Problem(Reason.RATE_LIMITED, error.message)
        case RetryableError():
            return Problem(Reason.CLOUDFLARE_UNAVAILABLE, error.message)
        case RestlessError():
            return Problem(Reason.RESTLESS, error.message)
        case StillReferencedError() | ActiveConnectionsError():
            return Problem(Reason.DELETION_BLOCKED, error.message)
        case CredentialsError():
            return Problem(Reason.CREDENTIALS_INVALID, error.message, stalled=True)
        case MissingPermissionError():
            return Problem(Reason.MISSING_PERMISSION, error.message, stalled=True)
        case AlreadyExistsError():
            return Problem(Reason.NAME_IN_USE, error.message)
        case HostHeaderError():
            return Problem(Reason.HOST_NOT_ALLOWED, error.message, stalled=True)
        case NotBoughtError():
            return Problem(Reason.LOAD_BALANCING_NOT_ENABLED, error.message, stalled=True)
        case PlanError():
            return Problem(Reason.PLAN_LIMIT, error.message, stalled=True)
        case InvalidError():
            return Problem(Reason.REFUSED, error.message, stalled=True)
        case _:
            return Problem(Reason.CLUSTER_REFUSED, error.message)
