"""The request budget of one API token: a bucket that refills, and a stop after 429."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, TypeAlias

from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.domain.errors import RateLimitedError
from tunnelpool.engine.ports import Clock

_SPENT: Final = (
    "the API token's budget of calls is used up for the moment; the operator goes on by itself, as a rule "
    "within a minute"
)
_LIMITED: Final = "Cloudflare limits the calls of the API token; the operator goes on by itself"
_STOPPED: Final = "Cloudflare limits the calls of the API token; the operator goes on at {ends:%H:%M:%S} UTC"
Sleep: TypeAlias = Callable[[float], Awaitable[object]]


class Budget:
    """Every request of a token takes one from here first, whoever sends it.

    Callers are served in the order in which they came, those before others that leave less of it to others
    (`tunnelpool.cloudflare.priorities`). Nobody waits longer than `patience_s`: a caller
    that would have to is refused with `RateLimitedError`, which says when to come again.
    """

    def __init__(
        self, settings: CloudflareSettings, clock: Clock, sleep: Sleep, on_wait: Callable[[float], None]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._on_wait = on_wait
        self._tokens = float(settings.burst)
        """Below zero: what callers that still wait have taken in advance."""
        self._filled_at = clock.monotonic()
        self._stopped_until = clock.monotonic()
        self.stop_message = _LIMITED
        """What is said of the last stop: with a time that stays the same until there is another."""

    async def take(self, *, reserve: float = 0) -> None:
        """Take one request, waiting a little if need be; `reserve` is what must be left after it.

        Raises:
            RateLimitedError: the wait would be longer than `patience_s`.

        """
        self._refill()
        wait = max(
            self._stopped_until - self._clock.monotonic(),
            (1 + reserve - self._tokens) / self._settings.requests_per_s,
        )
        self._refuse_beyond_patience(wait)
        self._tokens -= 1
        while wait > 0:
            self._on_wait(wait)
            await self._sleep(wait)
            # Meanwhile another caller may have been told to stop.
            wait = self._stopped_until - self._clock.monotonic()
            self._refuse_beyond_patience(wait)

    def stop(self, seconds: float) -> None:
        """Hold every caller back: Cloudflare has said 429. Afterwards there is no burst."""
        self._refill()
        self._tokens = min(self._tokens, 0.0)
        until = self._clock.monotonic() + seconds
        if until > self._stopped_until:
            self._stopped_until = until
            ends = datetime.fromtimestamp(self._clock.now() + seconds, UTC)
            self.stop_message = _STOPPED.format(ends=ends)

    def _refuse_beyond_patience(self, wait: float) -> None:
        if wait > self._settings.patience_s:
            stopped = self._stopped_until > self._clock.monotonic()
            raise RateLimitedError(self.stop_message if stopped else _SPENT, retry_after_s=wait)

    def _refill(self) -> None:
        now = self._clock.monotonic()
        start = max(self._filled_at, min(self._stopped_until, now))
        gained = (now - start) * self._settings.requests_per_s
        self._tokens = min(float(self._settings.burst), self._tokens + gained)
        self._filled_at = now
