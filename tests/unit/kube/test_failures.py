import json

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

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
from tunnelpool.kube.failures import broken, refusal


def _refusal(
    status: int, reason: str = "", *, method: str = "POST", retry_after: str | None = None
) -> ApiError:
    body = json.dumps({"kind": "Status", "reason": reason, "message": "said the server"}).encode()
    return refusal(method, "/x", status, body, retry_after)


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (404, "NotFound", NotFoundError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", StaleError),
        (410, "Expired", StaleError),
        (422, "Invalid", ClusterRefusedError),
        (403, "Forbidden", ClusterRefusedError),
        (400, "BadRequest", ClusterRefusedError),
        (401, "Unauthorized", UnavailableError),
        (500, "InternalError", UnavailableError),
        (503, "ServiceUnavailable", UnavailableError),
        (504, "Timeout", OutcomeUnknownError),
    ],
)
def test_a_refusal_becomes_the_error_that_the_engine_decides_by(
    status: int, reason: str, expected: type[ApiError]
) -> None:
    error = _refusal(status, reason)
    assert type(error) is expected
    assert error.status == status


def test_the_message_is_the_servers_own() -> None:
    assert _refusal(422).message == "said the server"


def test_an_answer_that_is_no_status_object_still_says_what_was_asked() -> None:
    for body in (b"<html>", b"[]", b""):
        assert "502 to PATCH /x" in refusal("PATCH", "/x", 502, body, None).message


@pytest.mark.parametrize(("retry_after", "seconds"), [("7", 7.0), (None, 1.0), ("soon", 1.0), ("-1", 0.0)])
def test_a_full_server_says_when_to_come_back(retry_after: str | None, seconds: float) -> None:
    error = _refusal(429, retry_after=retry_after)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == seconds


def test_a_read_that_timed_out_at_the_server_has_done_nothing() -> None:
    assert type(_refusal(504, method="GET")) is UnavailableError


def test_a_write_whose_answer_is_lost_may_have_happened() -> None:
    assert type(broken("POST", "/x", TimeoutError())) is OutcomeUnknownError
    assert type(broken("PATCH", "/x", aiohttp.ServerDisconnectedError())) is OutcomeUnknownError


def test_a_write_that_was_never_sent_has_not_happened() -> None:
    key = ConnectionKey("h", 1, is_ssl=False, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
    assert (
        type(broken("POST", "/x", aiohttp.ClientConnectorError(key, OSError(111, "refused"))))
        is UnavailableError
    )


def test_a_lost_read_is_only_unavailable_and_says_why() -> None:
    error = broken("GET", "/x", TimeoutError())
    assert type(error) is UnavailableError
    assert "TimeoutError" in error.message


def test_every_error_says_that_it_is_the_clusters() -> None:
    lost = aiohttp.ServerDisconnectedError()
    assert all(error.of_cluster for error in (_refusal(403), _refusal(503), broken("POST", "/x", lost)))


def test_a_namespace_that_ends_is_waited_for_not_told_as_a_refusal() -> None:
    causes = [{"reason": "NamespaceTerminating", "message": "namespace x is being terminated"}]
    body = json.dumps({"kind": "Status", "reason": "Forbidden", "details": {"causes": causes}}).encode()
    assert type(refusal("POST", "/x", 403, body, None)) is NamespaceEndingError
