"""The origins of a pool of Tunnels: who is in, who is out for the moment, and who leaves.

Every decision is taken from what the pool and the cluster show now, never from memory (law 6): an
origin that leaves is disabled first, and `disabled_at` tells when it may go; an origin that the operator
has taken out stands in the mark, so that a restart can tell it from a user's switch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from tunnelpool.build.snapshot import Member, PoolSnapshot, Running, Site, Slot
from tunnelpool.domain.ownership import read_mark
from tunnelpool.domain.remote import Origin, TunnelStatus, tunnel_address

BACK_WITHIN_S: Final = 3.0
"""How long a container that has ended may take to come back before its origin is taken out (law 7)."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What is decided for one origin."""

    origin: Origin
    out: bool = False
    recheck_s: float | None = None


def tunnel_origins(snapshot: PoolSnapshot, site: Site, now: datetime) -> list[Placed]:
    """Decide for each origin whether it is in the pool, and enabled."""
    return _last_stays(snapshot, list(_each(snapshot, site, now)))


def _each(snapshot: PoolSnapshot, site: Site, now: datetime) -> Iterator[Placed]:
    there = {origin.name: origin for origin in snapshot.observed.value.origins} if snapshot.observed else {}
    mark = read_mark(snapshot.observed.value.description) if snapshot.observed else None
    out = mark.out if mark else ()
    for member in snapshot.members:
        for slot in member.slots:
            if slot.remote is None:
                continue
            wish = _origin(member, slot)
            existing = there.get(wish.name)
            if member.tunnel.suspended:
                if existing is not None:
                    yield Placed(existing, out=existing.name in out)
            elif slot.leaving:
                yield from _leaving(snapshot, member, existing, now)
            elif existing is None:
                if slot.connected and slot.configured:
                    yield Placed(wish)
            else:
                yield _staying(wish, existing, slot, site, was_out=wish.name in out)


def _origin(member: Member, slot: Slot) -> Origin:
    if slot.remote is None:  # the caller has looked
        raise ValueError(slot)
    return Origin(
        name=slot.remote.value.name,
        address=tunnel_address(slot.remote.id),
        weight=member.tunnel.spec.weight,
        host=member.hostname,
    )


def _leaving(
    snapshot: PoolSnapshot, member: Member, existing: Origin | None, now: datetime
) -> Iterator[Placed]:
    """Disable, wait for the drain, let go. What no load balancer refers to has nothing to drain."""
    if existing is None or not snapshot.referrers:
        return
    disabled_at = snapshot.observed.health.disabled_at.get(existing.name) if snapshot.observed else None
    gone = replace(existing, enabled=False)
    if existing.enabled or disabled_at is None:
        yield Placed(gone, out=True, recheck_s=member.tunnel.spec.drain_seconds)
        return
    left_s = member.tunnel.spec.drain_seconds - (now - disabled_at).total_seconds()
    if left_s > 0:
        yield Placed(gone, out=True, recheck_s=left_s)


def _staying(wish: Origin, existing: Origin, slot: Slot, site: Site, *, was_out: bool) -> Placed:
    if not existing.enabled and not was_out:
        return Placed(replace(wish, enabled=False))  # a user's switch
    if not existing.enabled:
        back = slot.running is Running.READY
        return Placed(replace(wish, enabled=back), out=not back)
    if not site.fast_failover or slot.running is Running.READY:
        return Placed(wish)
    if slot.running is Running.ENDED:
        left_s = BACK_WITHIN_S - slot.running_for_s
        if left_s <= 0:
            return Placed(replace(wish, enabled=False), out=True)
        return Placed(wish, recheck_s=left_s)
    if slot.remote is not None and slot.remote.status is TunnelStatus.DOWN:
        return Placed(replace(wish, enabled=False), out=True)  # two witnesses: no pod ready, and Cloudflare
    return Placed(wish)


def _last_stays(snapshot: PoolSnapshot, placed: list[Placed]) -> list[Placed]:
    """Keep the last enabled origin in, unless traffic has somewhere else to go (law 7)."""
    leaving = frozenset(
        slot.remote.value.name
        for member in snapshot.members
        for slot in member.slots
        if slot.leaving and slot.remote is not None
    )
    taken = [one for one in placed if one.out and one.origin.name not in leaving]
    if (
        any(one.origin.enabled for one in placed)
        or not taken
        or not snapshot.referrers
        or snapshot.alternatives
    ):
        return placed
    enabled_now = (
        {o.name for o in snapshot.observed.value.origins if o.enabled} if snapshot.observed else set()
    )
    return [
        replace(one, origin=replace(one.origin, enabled=True), out=False)
        if one in taken and one.origin.name in enabled_now
        else one
        for one in placed
    ]
