"""`GET /ips` needs no token, costs no token's budget, and is believed only as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tunnelpool.cloudflare.account import CloudAccounts
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.transport import Transport
from tunnelpool.domain.address_ranges import AddressRanges
from tunnelpool.domain.errors import UnavailableError
from tunnelpool.engine.clock import SystemClock

RANGES = {"ipv4_cidrs": ["173.245.48.0/20"], "ipv6_cidrs": ["2400:cb00::/32"], "etag": "38f79d05"}


async def _read(answer: Callable[[httpx.Request], httpx.Response], **options: Any) -> AddressRanges:
    settings = CloudflareSettings(api_url="https://api.example.net/client/v4")
    transport = Transport(settings, SystemClock(), http=httpx.MockTransport(answer), **options)
    clouds = CloudAccounts(transport)
    try:
        return await clouds.address_ranges()
    finally:
        await clouds.aclose()


async def test_the_ranges_are_asked_for_without_a_token_and_counted_as_a_call() -> None:
    asked: list[httpx.Request] = []
    counted: list[tuple[str, str, int]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"success": True, "errors": [], "messages": [], "result": RANGES})

    def on_call(route: str, method: str, status: int, seconds: float) -> None:
        del seconds
        counted.append((route, method, status))

    found = await _read(answer, on_call=on_call)
    assert found == AddressRanges.of(["173.245.48.0/20"], ["2400:cb00::/32"])
    (request,) = asked
    assert str(request.url) == "https://api.example.net/client/v4/ips"
    assert "authorization" not in request.headers
    assert counted == [("/ips", "GET", 200)]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503, text="busy"),
        httpx.Response(200, json={"success": True, "result": {"ipv4_cidrs": [], "ipv6_cidrs": []}}),
        httpx.Response(200, json={"success": True, "result": {**RANGES, "ipv4_cidrs": ["nonsense"]}}),
        httpx.Response(200, json={"success": False, "result": None}),
        httpx.Response(200, json=[]),
    ],
    ids=["503", "none", "nonsense", "refused", "another answer"],
)
async def test_an_answer_without_ranges_is_none(answer: httpx.Response) -> None:
    with pytest.raises(UnavailableError, match="/ips"):
        await _read(lambda _: answer)


async def test_no_answer_is_none() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(UnavailableError, match="no answer to GET /ips"):
        await _read(fail)
