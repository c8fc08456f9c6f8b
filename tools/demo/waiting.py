"""Waiting for a condition: looked at again and again, and explained if it does not come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.2


class NotYetError(Exception):
    """What is waited for is not there; the message says how it stands."""


class WaitedInVainError(TimeoutError):
    """It did not come in time; the message says what, and how it stood last."""


async def wait_for(
    what: str, look: Callable[[], Awaitable[T]], *, within_s: float, every_s: float = POLL_S
) -> T:
    """Look until there is an answer instead of a NotYetError.

    Raises:
        WaitedInVainError: not within `within_s` seconds.

    """
    end = time.monotonic() + within_s
    while True:
        try:
            return await look()
        except NotYetError as error:
            if time.monotonic() > end:
                raise WaitedInVainError(f"{what}: not within {within_s:.0f} s; {error}") from None
        await asyncio.sleep(every_s)
