"""How many origins a pool may have, as Cloudflare's last refusal says.

A plan sells a number of origins, and no call tells it. A pool is written whole, so one origin too many would
also keep from it what takes origins out and puts them back (law 7): after a refusal only as many are asked
for as fit. The word is kept for a quarter of an hour, since the plan may be raised meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tunnelpool.domain.errors import ApiError, TooManyOriginsError
from tunnelpool.domain.keys import Key, PoolKey
from tunnelpool.domain.remote import ObservedPool
from tunnelpool.engine.ports import Clock

HOLDS_S: Final = 900.0
_SOONEST_S: Final = 1.0
"""A rest that is too short for the clock would be asked for again and again."""


@dataclass(frozen=True, slots=True)
class _Limit:
    origins: int
    of_account: bool
    until: float


class Room:
    """The limits that were met, by pool. What is forgotten with a restart costs one more refusal."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limits: dict[Key, _Limit] = {}

    def learn(self, key: Key, error: ApiError) -> bool:
        """Note a refusal; tell whether it says something new of how many origins fit."""
        if not isinstance(key, PoolKey) or not isinstance(error, TooManyOriginsError):
            return False
        known = self._limits.get(key) if self.left_s(key) is not None else None
        until = self._clock.monotonic() + HOLDS_S
        self._limits[key] = _Limit(error.limit, error.of_account, until)
        return known is None or (known.origins, known.of_account) != (error.limit, error.of_account)

    def of(self, key: PoolKey, pools: Iterable[ObservedPool]) -> int | None:
        """Tell how many origins the pool may have, of all pools of the account; None if nothing is known."""
        if self.left_s(key) is None:
            return None
        limit = self._limits[key]
        if not limit.of_account:
            return limit.origins
        others = sum(len(one.value.origins) for one in pools if one.value.name != key.name)
        return max(limit.origins - others, 0)

    def again_s(self, key: Key) -> float | None:
        """Tell when a pool shall be looked at again: once what is known of it holds no more."""
        left_s = self.left_s(key)
        return None if left_s is None else max(left_s, _SOONEST_S)

    def left_s(self, key: Key) -> float | None:
        """Tell for how long what is known of a pool still holds; None if nothing is."""
        limit = self._limits.get(key)
        if limit is None:
            return None
        left_s = limit.until - self._clock.monotonic()
        if left_s <= 0:
            del self._limits[key]
            return None
        return left_s
