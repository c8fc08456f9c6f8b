"""The one way to Cloudflare: every request of the operator goes through here, and through its budget."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import httpx

from tunnelpool.cloudflare.answers import (
    Answer,
    error_of,
    is_rate_limited,
    lost_or_unavailable,
    read_answer,
    stop_after,
)
from tunnelpool.cloudflare.budget import Budget, Sleep
from tunnelpool.cloudflare.routes import Target
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.domain.errors import CredentialsError, RateLimitedError, UnavailableError
from tunnelpool.engine.ports import Clock, Fence

_ATTEMPTS: Final[Mapping[str, int]] = {"GET": 3, "POST": 1, "PATCH": 2, "PUT": 2, "DELETE": 2}
"""Writes other than POST are sent again only if the first never left."""
_BACKOFF_S: Final = 0.25

_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)


class OnCall(Protocol):
    """Hears of each request; status 0 if there was no answer."""

    def __call__(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count it."""


def ignore_call(route: str, method: str, status: int, seconds: float) -> None:
    """Count nothing."""
    del route, method, status, seconds


def ignore_wait(seconds: float) -> None:
    """Count nothing."""
    del seconds


class Transport:
    """Connections to the API and the budgets of the tokens that were ever used.

    `http` stands in for the network in tests. `on_call` hears of each request (route template, method,
    status or 0, seconds), `on_wait` of the seconds for which a budget held one back. With a `fence`, every
    request but GET must pass it.
    """

    def __init__(
        self,
        settings: CloudflareSettings,
        clock: Clock,
        *,
        http: httpx.AsyncBaseTransport | None = None,
        fence: Fence | None = None,
        on_call: OnCall = ignore_call,
        on_wait: Callable[[float], None] = ignore_wait,
        sleep: Sleep = asyncio.sleep,
        user_agent: str = "tunnelpool",
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.sleep = sleep
        self.on_call = on_call
        self._fence = fence
        self._on_wait = on_wait
        self._budgets: dict[bytes, Budget] = {}
        """By digest: a token that is no longer used is not kept."""
        self.client = httpx.AsyncClient(
            transport=http,
            timeout=httpx.Timeout(settings.timeout_s, connect=settings.connect_timeout_s),
            headers={"User-Agent": user_agent, "Accept": "application/json"},
            follow_redirects=False,
        )

    def session(self, token: str) -> Session:
        """Open the API with a token; all sessions of a token share one budget.

        Raises:
            CredentialsError: the token cannot be one.

        """
        token = token.strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise CredentialsError("the API token is empty or holds characters that no token has: replace it")
        digest = hashlib.sha256(token.encode()).digest()
        budget = self._budgets.get(digest)
        if budget is None:
            budget = Budget(self.settings, self.clock, self.sleep, self._on_wait)
            self._budgets[digest] = budget
        return Session(self, token, budget)

    def limit_s(self, method: str) -> float:
        """Answer with the time that a request may take which is sent now.

        Raises:
            NotLeaderError: it is a write, and this process may not write.

        """
        timeout_s = self.settings.timeout_s
        return timeout_s if self._fence is None or method == "GET" else self._fence.limit(timeout_s)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()


class Session:
    """The API as one token sees it."""

    def __init__(self, transport: Transport, token: str, budget: Budget) -> None:
        self._transport = transport
        self._token = token
        self._budget = budget

    async def call(
        self,
        method: str,
        target: Target,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        reserve: float = 0,
    ) -> Answer:
        """Send a request and read its answer; `reserve` is the part of the budget that is left alone.

        Raises:
            ApiError: as `tunnelpool.domain.errors` sorts them. `UnavailableError` and `RateLimitedError`
                mean that nothing was changed, `OutcomeUnknownError` that a write may have happened.

        """
        last = _ATTEMPTS[method]
        for attempt in range(1, last + 1):
            try:
                return await self._attempt(method, target, query, body, reserve)
            except UnavailableError:
                if attempt == last:
                    raise
            except RateLimitedError as error:
                # The next attempt waits in the budget, which every caller has been sent to.
                too_long = (error.retry_after_s or 0) > self._transport.settings.patience_s
                if method != "GET" or attempt == last or too_long:
                    raise
                continue
            jitter = random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, guards nothing
            await self._transport.sleep(_BACKOFF_S * 2 ** (attempt - 1) * jitter)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(
        self,
        method: str,
        target: Target,
        query: Mapping[str, str | int] | None,
        body: Mapping[str, Any] | None,
        reserve: float,
    ) -> Answer:
        await self._budget.take(reserve=reserve)
        response = await self._send(method, target, query, body)
        answer = read_answer(response.content, secret=self._token)
        if answer is not None and answer.success and response.is_success:
            return answer
        if is_rate_limited(response.status_code, answer):
            stop_s = stop_after(response.headers, self._transport.clock.now())
            self._budget.stop(stop_s)
            raise RateLimitedError(self._budget.stop_message, retry_after_s=stop_s)
        raise error_of(method, target, response.status_code, answer)

    async def _send(
        self,
        method: str,
        target: Target,
        query: Mapping[str, str | int] | None,
        body: Mapping[str, Any] | None,
    ) -> httpx.Response:
        transport = self._transport
        url = transport.settings.api_url.rstrip("/") + target.path
        call = f"{method} {target.route.template}"
        limit_s = transport.limit_s(method)  # here: whatever is waited for from now on ends with it
        started = transport.clock.monotonic()
        status = 0
        try:
            # httpx limits each read, this limits them together.
            async with asyncio.timeout(limit_s):
                response = await transport.client.request(
                    method, url, params=query, json=body, headers={"Authorization": f"Bearer {self._token}"}
                )
            status = response.status_code
        # Without `from`: httpx's messages may quote the request, and so its token.
        except _NEVER_SENT as error:
            raise UnavailableError(f"no connection to Cloudflare's API ({type(error).__name__})") from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise lost_or_unavailable(method, f"no answer to {call} ({type(error).__name__})") from None
        finally:
            transport.on_call(target.route.template, method, status, transport.clock.monotonic() - started)
        return response
