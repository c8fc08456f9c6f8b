"""The evidence that an origin is dead: what its pods show, what Cloudflare says, and whom to believe (law 7).

Each of the two may be sick: a cluster's API that shows no pods, an API of Cloudflare's that calls every
tunnel down. So neither empties a healthy pool alone: a pod must be seen to have ended, or both must agree, or
Cloudflare must have said it for a while, and of few tunnels only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tunnelpool.build.snapshot import Fleet, Running, Slot
from tunnelpool.domain.remote import CalledDown, TunnelStatus

BACK_WITHIN_S: Final = 3.0
"""How long a container that has ended may take to come back before its origin is taken out."""
WORD_S: Final = 10.0
"""How far apart at least two listings are that call a tunnel down whose pod is ready."""
NEWS_S: Final = 30.0
"""How long Cloudflare's API may call a tunnel down that has connected again: its connections show late.

What it says of a pod that has become ready more recently is older news than the pod's own.
"""
_SHARE: Final = 3


class Strength(IntEnum):
    """How sure it is that an origin is dead; the weaker evidence stays in where one must."""

    WORD = 1
    """Cloudflare calls the tunnel down, though a pod is ready."""
    AGREED = 2
    """No pod is ready, and Cloudflare calls the tunnel down."""
    ENDED = 3
    """The container has ended and is not back."""
    GONE = 4
    """There is no pod."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks against an origin: nothing, something yet to be confirmed, or enough."""

    strength: Strength | None = None
    """Of what is enough to take it out; None while it is not."""
    recheck_s: float | None = None


def against(slot: Slot, now_s: float, believed: frozenset[str]) -> Evidence:
    """Weigh what is known of an origin that is in its pool.

    `now_s` is the time of day; `believed` holds the ids of the tunnels of which Cloudflare's word alone is
    enough.
    """
    match slot.running:
        case Running.ENDED:
            left_s = BACK_WITHIN_S - slot.running_for_s
            if left_s > 0:
                return Evidence(recheck_s=left_s)
            return Evidence(Strength.ENDED if slot.pods else Strength.GONE)
        case Running.NOT_READY:
            down = called_down(slot)
            if down is None or down.latest < now_s - slot.running_for_s:
                return Evidence()  # said of the connections before, if at all: it is asked again
            return Evidence(Strength.AGREED)
        case Running.READY:
            alone = slot.remote is not None and slot.remote.id in believed
            return Evidence(Strength.WORD if alone else None)


def called_down(slot: Slot) -> CalledDown | None:
    """Tell since when Cloudflare calls an origin's tunnel down; None if it does not."""
    if slot.remote is None or slot.remote.status is not TunnelStatus.DOWN:
        return None
    return slot.remote.called_down


def contradicted(slot: Slot) -> bool:
    """Tell whether Cloudflare calls a tunnel down whose pod says that it is ready, and has been for long."""
    down = called_down(slot)
    if down is None or slot.running is not Running.READY:
        return False
    return slot.ready_since_s is None or down.latest - slot.ready_since_s >= NEWS_S


def believed(fleet: Fleet) -> frozenset[str]:
    """Choose the tunnels of which Cloudflare's word alone is enough; answer with their ids.

    It must have been said in listings that are `WORD_S` apart, and of a third of our tunnels at most, rounded
    down: an API that calls more of them down is rather sick itself than right. One in all may always go: with
    two tunnels, a third is none, and a lost node is one of them. With two tunnels that are both called down
    none goes. What is out already counts, and comes first; of the others those that have been called down for
    longest, and then the first of each Tunnel, so that no single pool loses most.
    """
    suspects = [slot for slot in fleet.called_down if contradicted(slot) and slot.remote is not None]
    out = {slot.remote.id for slot in suspects if slot.remote and slot.remote.value.name in fleet.out}
    allowed = 1 if len(suspects) == 1 else fleet.tunnels // _SHARE
    candidates = sorted(
        (down.since, slot.index, slot.remote.value.name, slot.remote.id)
        for slot in suspects
        if slot.remote is not None and slot.remote.id not in out
        if (down := called_down(slot)) is not None and _said_for_s(slot, down) >= WORD_S
    )
    return frozenset(out | {id_ for *_, id_ in candidates[: max(0, allowed - len(out))]})


def _said_for_s(slot: Slot, down: CalledDown) -> float:
    """Tell how far apart the first and the last listing are that are newer than the pod's own word."""
    first = down.since if slot.ready_since_s is None else max(down.since, slot.ready_since_s + NEWS_S)
    return down.latest - first
