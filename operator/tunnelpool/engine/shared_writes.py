"""Objects that other clusters write as well: read again just before a write, and after it (law 1).

Cloudflare replaces arrays whole and knows no versions. So a write starts from what the object is at this
moment; and since another may have read the same moment, it is looked whether our entries are still there,
after a second and after five.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Final, TypeGuard

from tunnelpool.domain.keys import Key
from tunnelpool.domain.remote import KIND_OF, RemoteKind
from tunnelpool.engine.ports import Clock, Cloud
from tunnelpool.plan.steps import Create, Delete, Step, Update

LOOKS_S: Final = (1.0, 5.0)
"""When after a write it is looked at again, give or take a fifth: so two clusters do not keep step."""
PAUSE_S: Final = 2.0
"""How soon a listing is read again for it: where many keys write, one reading looks for all of them."""
_INSTANT_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class _Look:
    due: float
    cloud: Cloud
    kind: RemoteKind
    zone_id: str

    @property
    def place(self) -> tuple[Cloud, RemoteKind, str]:
        """Tell which listing is looked at."""
        return self.cloud, self.kind, self.zone_id


def changes_shared(step: Step) -> TypeGuard[Update | Delete]:
    """Tell whether a step must start from a fresh look."""
    return isinstance(step, (Update, Delete)) and step.shared


def is_same(step: Step, other: Update | Delete) -> bool:
    """Tell whether two steps are about the same object."""
    return changes_shared(step) and (_kind(step), step.id) == (_kind(other), other.id)


class SharedWrites:
    """Remembers which keys have lately written something shared; nothing but the looks depends on it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looks: dict[Key, tuple[_Look, ...]] = {}
        self._read_at: dict[tuple[Cloud, RemoteKind, str], float] = {}

    async def look(self, step: Update | Delete, cloud: Cloud) -> None:
        """Read the object of a step as it is now.

        Raises:
            ApiError: it could not be read; then it must not be written.

        """
        await cloud.look_again(_kind(step), step.id, step.zone_id)

    def wrote(self, key: Key, step: Step, cloud: Cloud | None) -> None:
        """Note a step that was carried out."""
        if cloud is None or not isinstance(step, (Create, Update)) or not step.shared:
            return
        now = self._clock.monotonic()
        spread = random.uniform(0.8, 1.2)  # noqa: S311 - keeps clusters out of step, guards nothing
        self._looks[key] = tuple(
            _Look(now + seconds * spread, cloud, _kind(step), step.zone_id) for seconds in LOOKS_S
        )

    async def look_after(self, key: Key) -> None:
        """Read the listing again where a look is due.

        Raises:
            ApiError: it could not be read; the look stays due.

        """
        now = self._clock.monotonic()
        looks = self._looks.get(key, ())
        due = [look for look in looks if look.due <= now]
        if not due:
            return
        last = due[-1]
        read_at = self._read_at.get(last.place, -math.inf)
        if read_at < last.due and now < read_at + PAUSE_S:
            later = replace(last, due=read_at + PAUSE_S)
            self._keep(key, (later, *looks[len(due) :]))
            return
        if read_at < last.due:
            self._read_at[last.place] = now
            await _read(last, 0)
        else:
            await _read(last, now - read_at + _INSTANT_S)  # another key's reading, also one under way
        self._keep(key, looks[len(due) :])

    def _keep(self, key: Key, looks: tuple[_Look, ...]) -> None:
        if looks:
            self._looks[key] = tuple(sorted(looks, key=lambda look: look.due))
        else:
            self._looks.pop(key, None)

    def next_s(self, key: Key) -> float | None:
        """Tell in how many seconds the key must be looked at; None if it need not."""
        looks = self._looks.get(key)
        return max(looks[0].due - self._clock.monotonic(), 0.05) if looks else None


async def _read(look: _Look, within_s: float) -> None:
    if look.kind is RemoteKind.POOL:
        await look.cloud.pools(fresh=True, within_s=within_s)
    else:
        await look.cloud.load_balancers(look.zone_id, fresh=True, within_s=within_s)


def _kind(step: Create | Update | Delete) -> RemoteKind:
    return step.kind if isinstance(step, Delete) else KIND_OF[type(step.value)]
