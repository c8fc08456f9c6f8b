"""One budget for each token, retries that repeat no write, errors that hold no secret."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import httpx
import pytest

from tunnelpool.domain.errors import (
    ApiError,
    CredentialsError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitedError,
    UnavailableError,
)
from tunnelpool.domain.remote import RemoteKind, Tunnel
from tunnelpool.engine.ports import Account
from tunnelpool.plan.steps import Change, CloseConnections, Create, Delete, PutConfiguration, Update

CREATE = Create(Tunnel("web"))
DELETE = Delete(RemoteKind.TUNNEL, "1", "web")
UPDATE = Update("1", Tunnel("new"), (Change("name", "web", "new"),))
CONFIGURE = PutConfiguration("1", "web", None)
NEVER_SENT = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("busy")]
SENT = [httpx.ReadTimeout("slow"), httpx.ReadError("reset"), httpx.RemoteProtocolError("closed")]


async def test_a_token_is_never_sent_more_than_its_budget_in_five_minutes(tools: Any) -> None:
    started = tools.clock.at
    sent = 0
    while tools.clock.at < started + 300:
        try:
            await tools.cloud.tunnels(fresh=True)
            sent += 1
        except RateLimitedError as error:
            tools.clock.at += error.retry_after_s
    assert 1100 < sent <= 1200
    assert len(tools.cloudflare.calls) == sent


async def test_callers_beyond_a_short_wait_are_refused_at_once_and_told_when_to_come(tools: Any) -> None:
    results = await asyncio.gather(
        *(tools.cloud.execute(Create(Tunnel(f"t{number}"))) for number in range(130)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, RateLimitedError)]
    assert 97 <= len(tools.cloudflare.calls) <= 105, "ten are left to origins that come back"
    assert len(refused) == 130 - len(tools.cloudflare.calls)
    assert all((error.retry_after_s or 0) > 2 for error in refused)
    assert max(tools.waits) <= 2


async def test_all_accounts_of_a_token_share_its_budget_and_other_tokens_have_their_own(tools: Any) -> None:
    for _ in range(100):
        await tools.cloud.tunnels(fresh=True)
    other_account = tools.accounts.account(Account("c" * 32, tools.token))
    await other_account.tunnels()
    assert tools.waits
    tools.waits.clear()
    await tools.accounts.account(Account("d" * 32, "another-token")).tunnels()
    assert not tools.waits


async def test_a_429_stops_every_caller_of_the_token_for_as_long_as_it_says(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/pools", tools.refusal(429, retry_after="60"))
    with pytest.raises(RateLimitedError) as refused:
        await tools.cloud.pools()
    assert refused.value.retry_after_s == 60
    for step in (CREATE, DELETE):
        with pytest.raises(RateLimitedError) as held:
            await tools.cloud.execute(step)
        assert held.value.retry_after_s == 60  # the stop, and not only that the burst is spent
    assert len(tools.cloudflare.calls) == 1
    tools.clock.at += 61
    assert await tools.cloud.pools() == ()


async def test_a_read_waits_for_a_429_that_ends_soon(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/pools", tools.refusal(429, retry_after="1"))
    assert await tools.cloud.pools() == ()
    assert len(tools.cloudflare.calls) == 2
    assert tools.clock.at >= 1001


async def test_after_a_stop_there_is_no_burst(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/pools", tools.refusal(429, retry_after="60"))
    with pytest.raises(RateLimitedError):
        await tools.cloud.pools()
    tools.clock.at += 60
    await asyncio.gather(*(tools.cloud.pools(fresh=True) for _ in range(3)))
    await tools.cloud.monitors()
    assert tools.waits


async def test_a_waiting_caller_hears_of_a_stop_that_came_meanwhile(tools: Any) -> None:
    for _ in range(100):
        await tools.cloud.tunnels(fresh=True)
    tools.cloudflare.fail("GET", "/monitors", tools.refusal(429, retry_after="60"))
    answers = await asyncio.gather(tools.cloud.monitors(), tools.cloud.pools(), return_exceptions=True)
    assert [type(answer) for answer in answers] == [RateLimitedError, RateLimitedError]


@pytest.mark.parametrize("failure", [*NEVER_SENT, *SENT, httpx.Response(500), httpx.Response(503)])
async def test_a_read_is_tried_three_times(tools: Any, failure: Any) -> None:
    tools.cloudflare.fail("GET", "/pools", failure, failure)
    assert await tools.cloud.pools() == ()
    tools.cloudflare.fail("GET", "/pools", failure, failure, failure)
    with pytest.raises(UnavailableError):
        await tools.cloud.pools(fresh=True)
    assert len(tools.cloudflare.calls) == 6


@pytest.mark.parametrize("failure", NEVER_SENT)
async def test_a_creation_that_never_left_changed_nothing(tools: Any, failure: Exception) -> None:
    tools.cloudflare.fail("POST", "/cfd_tunnel", failure)
    with pytest.raises(UnavailableError):
        await tools.cloud.execute(CREATE)
    assert tools.cloudflare.count("POST") == 1


@pytest.mark.parametrize("failure", [*SENT, httpx.Response(500), httpx.Response(200, text="?")])
async def test_a_creation_without_answer_may_have_happened_and_is_not_repeated(
    tools: Any, failure: Any
) -> None:
    tools.cloudflare.fail("POST", "/cfd_tunnel", failure)
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(CREATE)
    assert tools.cloudflare.count("POST") == 1


@pytest.mark.parametrize(
    ("step", "method"),
    [(UPDATE, "PATCH"), (DELETE, "DELETE"), (CONFIGURE, "PUT"), (CloseConnections("1", "web"), "DELETE")],
)
async def test_other_writes_are_repeated_only_if_they_never_left(tools: Any, step: Any, method: str) -> None:
    tools.cloudflare.fail(
        method, "", httpx.ConnectError("refused"), tools.envelope({"id": "1", "name": "new"})
    )
    await tools.cloud.execute(step)
    tools.cloudflare.fail(method, "", httpx.ReadTimeout("slow"))
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(step)
    assert tools.cloudflare.count(method) == 3


async def test_an_answer_that_never_ends_is_given_up(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts: list[float] = []

    class Elapsed:
        async def __aenter__(self) -> None:
            raise TimeoutError

        async def __aexit__(self, *_: object) -> None:
            raise AssertionError

    def timeout(seconds: float) -> Elapsed:
        timeouts.append(seconds)
        return Elapsed()

    monkeypatch.setattr(asyncio, "timeout", timeout)
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(CREATE)
    assert timeouts == [5]


async def test_each_request_is_told_by_its_route_without_ids(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/pools", tools.refusal(500))
    await tools.cloud.pools()
    tools.cloudflare.fail("DELETE", "/x1", httpx.ReadTimeout("slow"))
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(Delete(RemoteKind.POOL, "x1", "web"))
    route = "/accounts/{account}/load_balancers/pools"
    assert tools.observed == [(route, "GET", 500), (route, "GET", 200), (route + "/{id}", "DELETE", 0)]


async def test_the_token_travels_in_the_header_only(tools: Any) -> None:
    seen: list[httpx.Request] = []
    tools.cloudflare.faults.append(("GET", "/pools", seen.append))
    await tools.cloud.pools()
    (request,) = seen
    assert request.headers["Authorization"] == f"Bearer {tools.token}"
    assert tools.token not in str(request.url)


@pytest.mark.parametrize("token", ["", "  ", "with space", "with\nbreak", "ümlaut", "nul\0"])
async def test_what_cannot_be_a_token_is_refused_before_it_is_sent(tools: Any, token: str) -> None:
    with pytest.raises(CredentialsError, match="replace it"):
        tools.accounts.account(Account("c" * 32, token))


async def test_a_line_break_after_a_token_is_not_part_of_it(tools: Any) -> None:
    assert tools.accounts.account(Account(tools.account_id, tools.token + "\n")) is tools.cloud


@pytest.mark.parametrize(
    "failure",
    [
        *NEVER_SENT,
        *SENT,
        httpx.LocalProtocolError("Illegal header value b'Bearer canary-7f3a-token'"),
        httpx.Response(500, text="canary-7f3a-token"),
        httpx.Response(
            403, json={"success": False, "errors": [{"code": 9109, "message": "canary-7f3a-token"}]}
        ),
        httpx.Response(
            400, json={"success": False, "errors": [{"code": 1002, "message": "canary-7f3a-token"}]}
        ),
        httpx.Response(
            404, json={"success": False, "errors": [{"code": 1001, "message": "canary-7f3a-token"}]}
        ),
        httpx.Response(
            409, json={"success": False, "errors": [{"code": 1003, "message": "canary-7f3a-token"}]}
        ),
        httpx.Response(200, json={"success": True, "result": "canary-7f3a-token"}),
    ],
)
async def test_no_error_traceback_representation_or_log_holds_the_token(
    tools: Any, failure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tools.cloudflare.fail("POST", "/cfd_tunnel", failure)
    with pytest.raises(ApiError) as written:
        await tools.cloud.execute(CREATE)
    tools.cloudflare.fail("GET", "/pools", *[failure] * 3)
    with pytest.raises(ApiError) as listed:
        await tools.cloud.pools()
    for error in (written.value, listed.value):
        told = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
        assert not any(tools.token in text for text in told)
    assert tools.token not in caplog.text
    held = [tools.cloud, tools.accounts, vars(tools.cloud), vars(tools.accounts)["_transport"]]
    assert not any(tools.token in repr(thing) for thing in held)


async def test_a_refused_deletion_route_is_not_taken_for_done(tools: Any) -> None:
    tools.cloudflare.fail("DELETE", "/1", httpx.Response(404, text="<html>no such page</html>"))
    with pytest.raises(OutcomeUnknownError):
        await tools.cloud.execute(DELETE)


async def test_not_found_is_an_error_of_its_own(tools: Any) -> None:
    with pytest.raises(NotFoundError):
        await tools.cloud.execute(UPDATE)
