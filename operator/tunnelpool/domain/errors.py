"""What can go wrong at either API, in the words that the engine decides by.

    ApiError
    ├── RetryableError            it may succeed later without anyone's doing
    │   ├── RateLimitedError      the budget of the token is spent, `retry_after_s` says how long
    │   ├── UnavailableError      5xx, time-out, no connection: nothing was changed
    │   ├── OutcomeUnknownError   a write was sent and its answer lost: it may have happened
    │   └── NotLeaderError        the write was not sent: the lease is not held, or not for long enough
    ├── WaitingError              not now, because of another object
    │   ├── StillReferencedError  1005
    │   ├── ActiveConnectionsError 1022
    │   └── NamespaceEndingError  the namespace is being deleted: nothing new may be made in it
    ├── NotFoundError             the object is gone: for a deletion that is success
    ├── AlreadyExistsError        the name is taken
    ├── StaleError                the object has changed since it was read (Kubernetes 409)
    ├── RestlessError             the plan asks for the same again and again: held back by ourselves
    ├── NotYetError               the same was declined a moment ago: not sent, see `retry_after_s`
    └── RefusedError              it fails until a person acts
        ├── CredentialsError      the token is wrong, expired or disabled
        ├── MissingPermissionError the token lacks a permission, `permission` says which
        ├── InvalidError          the API finds the object wrong
        │   ├── PlanError         the account's plan or subscription does not allow it
        │   ├── NotBoughtError    the account has no load balancing
        │   └── HostHeaderError   a Host header that is of no zone of the account
        └── ClusterRefusedError   the Kubernetes API says no: RBAC, admission, quota, an invalid manifest

Boundary code (`cloudflare`, `kube`) translates everything into these; no httpx, aiohttp or kubernetes
exception leaves it.
"""

from __future__ import annotations


class ApiError(Exception):
    """Something went wrong at an API. The message is fit for a condition: it holds no secret."""

    of_cluster: bool = False
    """Whether the Kubernetes API says so, not Cloudflare."""

    def __init__(self, message: str, *, code: int | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        """Cloudflare's error code."""
        self.status = status
        """HTTP status."""


class RetryableError(ApiError):
    """It may succeed later without anyone's doing."""

    retry_after_s: float | None = None


class RateLimitedError(RetryableError):
    """The API has said 429, or the token's own budget is spent."""

    def __init__(self, message: str, *, retry_after_s: float, code: int | None = None) -> None:
        super().__init__(message, code=code, status=429)
        self.retry_after_s = retry_after_s


class UnavailableError(RetryableError):
    """The API did not do it: 5xx before commit, no connection, a read that timed out."""


class OutcomeUnknownError(RetryableError):
    """A write was sent and its answer lost: look before it is sent again."""


class NotLeaderError(RetryableError):
    """The write was not sent: this process does not hold the lease, or not for long enough."""


class WaitingError(ApiError):
    """Not now, because of another object."""


class StillReferencedError(WaitingError):
    """Cloudflare 1005: other objects refer to this one."""


class ActiveConnectionsError(WaitingError):
    """Cloudflare 1022: connectors still run."""


class NamespaceEndingError(WaitingError):
    """The namespace is being deleted: nothing new may be made in it, and its objects go by themselves."""


class NotYetError(ApiError):
    """The same step was declined a moment ago: it was not sent."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotFoundError(ApiError):
    """The object is gone."""


class AlreadyExistsError(ApiError):
    """The name is taken."""


class StaleError(ApiError):
    """The object has changed since it was read."""


class RestlessError(ApiError):
    """The plan asks for the same again and again: not sent, so that it does not burn the budget."""


class RefusedError(ApiError):
    """It fails until a person acts."""


class CredentialsError(RefusedError):
    """The token is wrong, expired or disabled."""


class MissingPermissionError(RefusedError):
    """The token lacks a permission."""

    def __init__(
        self, message: str, *, permission: str, code: int | None = None, status: int | None = None
    ) -> None:
        super().__init__(message, code=code, status=status)
        self.permission = permission
        """As Cloudflare's dashboard calls it: `Load Balancing: Monitors and Pools Write`."""


class InvalidError(RefusedError):
    """The API finds the object wrong."""


class PlanError(InvalidError):
    """The account's plan or subscription does not allow it: a limit, or what it does not include."""


class TooManyOriginsError(PlanError):
    """A pool, or the account, may not have so many origins."""

    limit: int = 0
    """How many are allowed."""
    of_account: bool = False
    """Whether that counts the origins of all pools."""


class NotBoughtError(InvalidError):
    """The account has not bought load balancing."""


class HostHeaderError(InvalidError):
    """A Host header is neither of a zone of the account nor the origin's own address."""


class ClusterRefusedError(RefusedError):
    """The Kubernetes API says no: RBAC, admission, quota, an invalid manifest. The message is its own."""
