"""Each refusal of Cloudflare's becomes the error that the engine decides by, in words fit for a user."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tunnelpool.cloudflare import routes
from tunnelpool.cloudflare.answers import error_of, read_answer, stop_after
from tunnelpool.cloudflare.explanations import explain
from tunnelpool.domain.errors import (
    ActiveConnectionsError,
    AlreadyExistsError,
    ApiError,
    CredentialsError,
    InvalidError,
    MissingPermissionError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitedError,
    StillReferencedError,
    UnavailableError,
)
from tunnelpool.domain.remote import RemoteKind

POOLS = routes.COLLECTIONS[RemoteKind.POOL].at(account="a", zone="")
SECRET = "canary-token"


def refusal(method: str, status: int, *errors: dict[str, Any], target: routes.Target = POOLS) -> ApiError:
    content = json.dumps({"success": False, "errors": errors, "messages": [], "result": None}).encode()
    return error_of(method, target, status, read_answer(content, secret=SECRET), stop_s=7)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, 10000, CredentialsError),
        (401, 1000, CredentialsError),
        (403, 9109, CredentialsError),
        (400, 6003, CredentialsError),
        (403, 10000, MissingPermissionError),
        (403, 0, MissingPermissionError),
        (400, 1002, InvalidError),
        (400, 1056, InvalidError),
        (405, 0, InvalidError),
        (404, 7003, InvalidError),
        (400, 7000, InvalidError),
        (409, 1003, AlreadyExistsError),
        (409, 1013, AlreadyExistsError),
        (400, 81053, AlreadyExistsError),
        (400, 81054, AlreadyExistsError),
        (400, 81057, AlreadyExistsError),
        (400, 81058, AlreadyExistsError),
        (412, 1005, StillReferencedError),
        (400, 1022, ActiveConnectionsError),
        (404, 1001, NotFoundError),
        (404, 1003, NotFoundError),
        (404, 1055, NotFoundError),
        (404, 81044, NotFoundError),
        (404, 0, NotFoundError),
        (429, 0, RateLimitedError),
        (403, 971, RateLimitedError),
        (408, 0, OutcomeUnknownError),
        (500, 0, OutcomeUnknownError),
        (503, 10000, OutcomeUnknownError),
    ],
)
def test_a_refused_write_is_told_by_status_and_code(status: int, code: int, kind: type[ApiError]) -> None:
    error = refusal("POST", status, {"code": code, "message": "said so"})
    assert type(error) is kind
    assert error.status in {status, 429}


def test_a_read_that_the_server_failed_changed_nothing() -> None:
    assert type(refusal("GET", 502)) is UnavailableError


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"result": 1}', b"\xff", b""])
def test_an_answer_that_is_not_cloudflares_is_neither_success_nor_not_found(content: bytes) -> None:
    answer = read_answer(content, secret=SECRET)
    assert answer is None
    assert type(error_of("GET", POOLS, 404, answer, stop_s=0)) is UnavailableError
    assert type(error_of("DELETE", POOLS, 404, answer, stop_s=0)) is OutcomeUnknownError


def test_a_code_counts_wherever_in_the_chain_it_stands() -> None:
    chained = {
        "code": 6003,
        "message": "Invalid request headers",
        "error_chain": [{"code": 6111, "message": "Invalid format for Authorization header"}],
    }
    assert type(refusal("GET", 400, chained)) is CredentialsError


def test_a_limit_says_when_it_ends() -> None:
    error = refusal("GET", 429)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == 7


@pytest.mark.parametrize(
    ("kind", "method", "permission"),
    [
        (RemoteKind.POOL, "GET", "Load Balancing: Monitors and Pools Read"),
        (RemoteKind.MONITOR, "POST", "Load Balancing: Monitors and Pools Write"),
        (RemoteKind.LOAD_BALANCER, "DELETE", "Load Balancers Write"),
        (RemoteKind.TUNNEL, "GET", "Cloudflare Tunnel Read"),
        (RemoteKind.DNS_RECORD, "PATCH", "DNS Write"),
    ],
)
def test_a_missing_permission_is_named(kind: RemoteKind, method: str, permission: str) -> None:
    target = routes.ITEMS[kind].at(account="a", zone="z", id="1")
    error = refusal(method, 403, {"code": 10000, "message": "Authentication error"}, target=target)
    assert isinstance(error, MissingPermissionError)
    assert error.permission == permission
    assert permission in error.message


def test_a_tunnels_token_needs_the_right_to_write() -> None:
    assert routes.TUNNEL_TOKEN.permission("GET") == "Cloudflare Tunnel Write"


def test_a_token_in_a_message_is_masked() -> None:
    error = refusal("GET", 400, {"code": 6003, "message": f"bad header Bearer {SECRET}"})
    assert SECRET not in repr(error)
    assert "[token]" in error.message


def test_the_result_of_an_answer_is_in_no_representation() -> None:
    answer = read_answer(b'{"success": true, "result": "connector-secret"}', secret=SECRET)
    assert answer is not None
    assert answer.result == "connector-secret"
    assert "connector-secret" not in repr(answer)


@pytest.mark.parametrize(
    ("message", "explanation"),
    [
        (
            "the origin list length must be in range [1, 0]: validation failed",
            (
                "Load Balancing is not enabled for this account: "
                "enable it in the dashboard under Traffic > Load Balancing"
            ),
        ),
        (
            "the origin list length must be in range [1, 20]: validation failed",
            (
                "Cloudflare allows at most 20 origins with this account's Load Balancing subscription: "
                "use fewer, or raise the number of endpoints in the dashboard under Traffic > Load Balancing"
            ),
        ),
        (
            "interval is not in range [60, 3600]: validation failed",
            "the interval between probes must lie between 60 and 3600 seconds on this account's plan",
        ),
        (
            (
                "Probing from every data centre is not allowed with this subscription. "
                "Please choose regions to probe from.: validation failed"
            ),
            (
                "probing from every data centre needs the Enterprise plan: "
                "choose check regions, for example WNAM alone"
            ),
        ),
        (
            'Host header "a.example.org" not allowed for origin domain "b.example.com": validation failed',
            (
                "the Host header 'a.example.org' of origin 'b.example.com' must be a host name "
                "in a zone of this account, or the origin's own address"
            ),
        ),
        ("invalid hostname: a.b.c: validation failed", "'a.b.c' is not a host name in this zone"),
        ("port is odd: validation failed", "Cloudflare refuses it: port is odd"),
        ("", "Cloudflare refuses it and does not say why"),
    ],
)
def test_a_refusal_says_what_to_do(message: str, explanation: str) -> None:
    assert explain(message) == explanation


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry-after": "soon", "ratelimit": '"default";r=0;t=40'}, 40),
        ({"ratelimit": '"default";r=0;t=40'}, 40),
        ({}, 30),
    ],
)
def test_how_long_a_429_stops_the_token(headers: dict[str, str], seconds: float) -> None:
    assert stop_after(headers, 10.0) == seconds


def test_ids_cannot_leave_their_place_in_a_path() -> None:
    target = routes.ITEMS[RemoteKind.TUNNEL].at(account="a/../b", zone="", id="1?x=y")
    assert target.path == "/accounts/a%2F..%2Fb/cfd_tunnel/1%3Fx%3Dy"
