"""Steps that an API has declined: not sent again before their time, whatever wakes their key meanwhile.

If the cluster's API is sick or full, it is spared as a whole: no step of the key goes there before the time.

A key is woken by every event around it, and telling a failure makes one itself. Without this a refusal whose
words change each time (a request id, a pod's name) would be asked for as fast as it is answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tunnelpool.domain.errors import (
    ApiError,
    CredentialsError,
    NotYetError,
    RateLimitedError,
    RetryableError,
    WaitingError,
)
from tunnelpool.domain.keys import Key
from tunnelpool.engine.ports import Clock, Cloud
from tunnelpool.plan.steps import ClusterStep, Step

_DUE_S: Final = 0.01
"""A timer may fire a rounding error too soon: a wait shorter than the clock's step would never end."""
_LOOK_AGAIN: Final = (WaitingError, CredentialsError, NotYetError)
"""What an event may well have changed."""


@dataclass(frozen=True, slots=True)
class _Declined:
    step: Step
    cloud: Cloud | None
    until: float
    cluster: bool
    """Whether it holds for every step at the cluster's API."""


class Declined:
    """The last declined step of each key. With other credentials the same step is another one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[Key, _Declined] = {}
        self._tried: dict[Key, tuple[Step, Cloud | None]] = {}

    def check(self, key: Key, step: Step, cloud: Cloud | None) -> None:
        """See to it that a step may be sent now.

        Raises:
            NotYetError: it was declined a moment ago; `retry_after_s` says when it may be sent.

        """
        self._tried[key] = (step, cloud)
        last = self._last.get(key)
        if last is None or not (
            isinstance(step, ClusterStep) if last.cluster else last.cloud is cloud and last.step == step
        ):
            return
        left_s = last.until - self._clock.monotonic()
        if left_s > _DUE_S:
            raise NotYetError("the same step was declined a moment ago", retry_after_s=left_s)

    def done(self, key: Key) -> None:
        """Note that the step which was checked last was carried out."""
        self._tried.pop(key, None)

    def note(self, key: Key, error: ApiError, wait_s: float) -> None:
        """Note that the step which was checked last has failed, and when it may be sent again."""
        tried = self._tried.pop(key, None)
        # Cloudflare's budget refuses by itself, without a call.
        spent = isinstance(error, RateLimitedError) and not error.of_cluster
        again = spent or isinstance(error, _LOOK_AGAIN)
        if tried is not None and not again:
            sick = error.of_cluster and isinstance(error, RetryableError)
            self._last[key] = _Declined(*tried, self._clock.monotonic() + wait_s, sick)

    def forget(self, key: Key) -> None:
        """Forget a key: nothing of it is left to do."""
        self._last.pop(key, None)
        self._tried.pop(key, None)
