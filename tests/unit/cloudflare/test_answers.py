"""Each refusal of Cloudflare's becomes the error that the engine decides by, in words fit for a user."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tunnelpool.cloudflare import routes
from tunnelpool.cloudflare.answers import error_of, is_rate_limited, read_answer, stop_after
from tunnelpool.domain.errors import (
    ActiveConnectionsError,
    AlreadyExistsError,
    ApiError,
    CredentialsError,
    HostHeaderError,
    InvalidError,
    MissingPermissionError,
    NotBoughtError,
    NotFoundError,
    OutcomeUnknownError,
    PlanError,
    StillReferencedError,
    TooManyOriginsError,
    UnavailableError,
)
from tunnelpool.domain.remote import RemoteKind

POOLS = routes.COLLECTIONS[RemoteKind.POOL].at(account="a", zone="")
SECRET = "canary-token"


def refusal(method: str, status: int, *errors: dict[str, Any], target: routes.Target = POOLS) -> ApiError:
    content = json.dumps({"success": False, "errors": errors, "messages": [], "result": None}).encode()
    return error_of(method, target, status, read_answer(content, secret=SECRET))


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
    assert type(error_of("GET", POOLS, 404, answer)) is UnavailableError
    assert type(error_of("DELETE", POOLS, 404, answer)) is OutcomeUnknownError


def test_a_code_counts_wherever_in_the_chain_it_stands() -> None:
    chained = {
        "code": 6003,
        "message": "Invalid request headers",
        "error_chain": [{"code": 6111, "message": "Invalid format for Authorization header"}],
    }
    assert type(refusal("GET", 400, chained)) is CredentialsError


@pytest.mark.parametrize(("status", "code", "limited"), [(429, 0, True), (403, 971, True), (403, 1, False)])
def test_a_limit_is_known_by_its_status_or_its_code(status: int, code: int, *, limited: bool) -> None:
    content = json.dumps({"success": False, "errors": [{"code": code, "message": ""}]}).encode()
    assert is_rate_limited(status, read_answer(content, secret=SECRET)) is limited


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


DASHBOARD = "in the dashboard under Traffic > Load Balancing"
STEERING = (
    "needs Traffic Steering, which this account's subscription does not include: use `steeringPolicy` 'off' "
    f"or 'random' without places, or add it {DASHBOARD}"
)
REFUSALS: list[tuple[str, type[InvalidError], str]] = [
    (
        "the origin list length must be in range [1, 0]: validation failed",
        NotBoughtError,
        f"Load Balancing is not enabled for this account: enable it {DASHBOARD}",
    ),
    (
        "the origin list length must be in range [1, 20]: validation failed",
        TooManyOriginsError,
        (
            "Cloudflare allows at most 20 origins with this account's Load Balancing subscription: use "
            f"fewer, or raise the number of endpoints {DASHBOARD}"
        ),
    ),
    (
        "the account is limited to 20 origins: validation failed",
        TooManyOriginsError,
        (
            "the account may have at most 20 origins in all pools: run fewer connectors, or raise the number "
            f"of endpoints {DASHBOARD}"
        ),
    ),
    (
        "the account is limited to 20 load balancers: validation failed",
        PlanError,
        (
            "the account may have at most 20 load balancers: delete some that nobody needs, or raise the "
            f"number {DASHBOARD}"
        ),
    ),
    (
        "interval is not in range [60, 3600]: validation failed",
        PlanError,
        "`intervalSeconds` must lie between 60 and 3600 on this account's plan",
    ),
    (
        (
            "Probing from every data centre is not allowed with this subscription. Please choose regions to "
            "probe from.: validation failed"
        ),
        PlanError,
        (
            "probing from every data centre needs the Enterprise plan: choose `checkRegions`, for example "
            "WNAM alone"
        ),
    ),
    (
        "the number of rules must be in range [0, 1]: validation failed",
        PlanError,
        (
            "a load balancer may have at most 1 `rules` on this account's plan: take some away, or join them "
            "by `or` in one `condition`"
        ),
    ),
    (
        "session_affinity_attributes.headers must not hold more than 1 entries: validation failed",
        PlanError,
        "sessions may go by at most 1 `headers` on this account's plan: take some away",
    ),
    (
        "steering_policy geo is not allowed with this subscription: validation failed",
        PlanError,
        f"`steeringPolicy` 'geo' {STEERING}",
    ),
    (
        "region_pools is not allowed with this subscription: validation failed",
        PlanError,
        f"`regionPools` {STEERING}",
    ),
    (
        "adaptive_routing is not allowed on your plan.: validation failed",
        PlanError,
        (
            "the account's plan does not allow it: adaptive_routing is not allowed on your plan. Take that "
            "away, or upgrade the plan"
        ),
    ),
    (
        "the zone exceeds its load balancer quota",
        PlanError,
        (
            "the account's plan does not allow it: the zone exceeds its load balancer quota. Take that away, "
            "or upgrade the plan"
        ),
    ),
    (
        'Host header "a.example.org" not allowed for origin domain "b.example.com": validation failed',
        HostHeaderError,
        (
            "the Host header 'a.example.org' of origin 'b.example.com' must be a host name in a zone of this "
            "account, or the origin's own address"
        ),
    ),
    ("invalid hostname: a.b.c: validation failed", InvalidError, "'a.b.c' is not a host name in this zone"),
    (
        "value not unique",
        InvalidError,
        "two `rules` of the load balancer have the same `priority`: give each its own, or none to any",
    ),
    (
        "Bad Configuration: Validation failed: The config file doesn't contain any ingress rules\n",
        InvalidError,
        "the configuration of a tunnel must have at least one ingress rule",
    ),
    (
        (
            "Bad Configuration: Validation failed: The last ingress rule must match all URLs (i.e. it should "
            "not have a hostname or path filter)\n"
        ),
        InvalidError,
        "the last ingress rule of a tunnel must match everything: it may have neither host name nor path",
    ),
    ("port is odd: validation failed", InvalidError, "Cloudflare refuses it: port is odd"),
    ("", InvalidError, "Cloudflare refuses it and does not say why"),
]


@pytest.mark.parametrize(("message", "kind", "says"), REFUSALS)
def test_a_refusal_says_what_to_do(message: str, kind: type[InvalidError], says: str) -> None:
    error = refusal("POST", 400, {"code": 1002, "message": message})
    assert (type(error), error.message) == (kind, says)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("A load balancer with that name already exists: value not unique", AlreadyExistsError),
        ("A pool with that name already exists: value not unique", AlreadyExistsError),
        ("value not unique", InvalidError),
    ],
)
def test_a_name_that_is_taken_is_told_from_two_rules_of_one_priority(
    message: str, kind: type[ApiError]
) -> None:
    assert type(refusal("PATCH", 409, {"code": 1003, "message": message})) is kind


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


@pytest.mark.parametrize(
    ("message", "of_account"),
    [
        ("the origin list length must be in range [1, 5]", False),
        ("the account is limited to 5 origins", True),
    ],
)
def test_a_limit_of_origins_is_read_as_a_number(message: str, *, of_account: bool) -> None:
    error = refusal("PATCH", 400, {"code": 1002, "message": f"{message}: validation failed"})
    assert isinstance(error, TooManyOriginsError)
    assert (error.limit, error.of_account) == (5, of_account)
