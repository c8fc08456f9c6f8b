"""Objects that other clusters write as well: read again just before a write, and after it (law 1).

Cloudflare replaces arrays whole and knows no versions. So a write starts from what the object is at this
moment; and since another may have read the same moment, it is looked whether our entries are still there,
after a second and after five.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, TypeGuard

from tunnelpool.domain.keys import Key
from tunnelpool.domain.remote import KIND_OF, RemoteKind
from tunnelpool.engine.ports import Clock, Cloud
from tunnelpool.plan.steps import Create, Delete, Step, Update

LOOKS_S: Final = (1.0, 5.0)
"""When after a write it is looked at again, give or take a fifth: so two clusters do not keep step."""
YOUNG_S: Final = 0.5
"""How old a listing may be that is looked at: then keys that look at the same time share one."""


@dataclass(frozen=True, slots=True)
class _Look:
    due: float
    cloud: Cloud
    kind: RemoteKind
    zone_id: str


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
        due = [look for look in self._looks.get(key, ()) if look.due <= self._clock.monotonic()]
        if not due:
            return
        last = due[-1]
        if last.kind is RemoteKind.POOL:
            await last.cloud.pools(fresh=True, within_s=min(YOUNG_S, self._clock.monotonic() - last.due))
        else:
            await last.cloud.load_balancers(last.zone_id, fresh=True)
        left = tuple(look for look in self._looks[key] if look not in due)
        if left:
            self._looks[key] = left
        else:
            del self._looks[key]

    def next_s(self, key: Key) -> float | None:
        """Tell in how many seconds the key must be looked at; None if it need not."""
        looks = self._looks.get(key)
        return max(looks[0].due - self._clock.monotonic(), 0.05) if looks else None


def _kind(step: Create | Update | Delete) -> RemoteKind:
    return step.kind if isinstance(step, Delete) else KIND_OF[type(step.value)]
