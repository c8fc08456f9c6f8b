"""What can be set about the way to Cloudflare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

API_URL: Final = "https://api.cloudflare.com/client/v4"
CALLS_PER_FIVE_MINUTES: Final = 1150
"""Cloudflare allows a token 1200; what is left is for those who use the same token by hand."""
_WINDOW_S: Final = 300.0
_BURST: Final = 2 / 23
"""Part of the calls of five minutes that may be sent at once: 100 of 1150."""


@dataclass(frozen=True, slots=True)
class CloudflareSettings:
    """Where the API is, how much of it may be used, for how long its answers are kept.

    The defaults come to at most 100 + 3.5/s * 300 s = `CALLS_PER_FIVE_MINUTES`.
    """

    api_url: str = API_URL
    requests_per_s: float = 3.5
    """Sustained, for each token."""
    burst: int = 100
    """Requests that a token may send at once after a rest."""
    user_reserve: int = 10
    """Requests of the burst that users' changes leave to origins that come back or go out."""
    sweep_reserve: int = 20
    """Requests of the burst that sweeps leave to both."""
    idle_reserve: int = 50
    """Requests of the burst that what may wait for hours leaves to all others."""
    patience_s: float = 2.0
    """How long a call waits for the budget before it is refused with `RateLimitedError`."""
    timeout_s: float = 5.0
    """Of one request, from its first byte to the last of its answer."""
    connect_timeout_s: float = 3.0
    fast_max_age_s: float = 60.0
    """Age at which a sweep reads pools and tunnels again: their listings tell health."""
    slow_max_age_s: float = 300.0
    """Age at which monitors, load balancers, DNS records, zones and SSL modes are read again."""
    settle_s: float = 5.0
    """How long after an own creation or deletion a listing that does not show it yet is not believed."""
    doubt_interval_s: float = 3.0
    """Least time between the two listings that settle whether a creation with a lost answer happened."""

    @classmethod
    def within(cls, calls: int, *, api_url: str = API_URL) -> Self:
        """Share a number of calls in five minutes out between a burst and a steady rate."""
        burst = max(round(calls * _BURST), 1)
        return cls(
            api_url=api_url,
            burst=burst,
            requests_per_s=(calls - burst) / _WINDOW_S,
            user_reserve=burst // 10,
            sweep_reserve=burst // 5,
            idle_reserve=burst // 2,
        )
