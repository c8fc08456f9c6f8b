"""Origins that come one after the other are taken into their pool together.

The connectors of a pool start within seconds of each other. A PATCH for each of them would be most of what a
cold start costs, and arrays are replaced whole each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tunnelpool.domain.keys import Key
from tunnelpool.domain.remote import Pool
from tunnelpool.engine.decide import Decision
from tunnelpool.engine.ports import Clock
from tunnelpool.plan.steps import Change, Step, Update

GATHER_S: Final = 2.0
"""For so long further origins are waited for, counted from the first one that is new."""

_LEAST_S: Final = 0.05
"""A shorter wait would be over before the clock has moved."""


class Gathering:
    """Keeps since when a pool has waited for more. Only the pace depends on this memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[Key, float] = {}

    def paced(self, key: Key, decision: Decision) -> Decision:
        """Take the steps out of a decision for as long as they may wait.

        They may if new origins are all that they bring, and others serve meanwhile.
        """
        if not _only_adds(decision.steps):
            self._since.pop(key, None)
            return decision
        now = self._clock.monotonic()
        left_s = self._since.setdefault(key, now) + GATHER_S - now
        if left_s <= 0:
            del self._since[key]
            return decision
        soonest_s = min(max(left_s, _LEAST_S), decision.recheck_s or left_s)
        return replace(decision, steps=(), recheck_s=soonest_s)


def _only_adds(steps: Sequence[Step]) -> bool:
    match steps:
        case [Update(value=Pool(origins=after), changes=[Change(field="origins", before=tuple() as before)])]:
            return any(one.enabled for one in before) and set(before) <= set(after)
        case _:
            return False
