"""The origins of a pool of Tunnels: who is in, who is out for the moment, and who leaves.

Every decision is taken from what the pool and the cluster show now, never from memory (law 6): an
origin that leaves is disabled first, and `disabled_at` tells when it may go; an origin that the operator
has taken out stands in the mark, so that a restart can tell it from a user's switch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from tunnelpool.build.evidence import Strength, against, believed, contradicted
from tunnelpool.build.removal import drain_s, held_back
from tunnelpool.build.sharing import is_foreign_tunnel
from tunnelpool.build.snapshot import Member, PoolSnapshot, Running, Site, Slot
from tunnelpool.domain.ownership import mark_of
from tunnelpool.domain.reasons import Problem
from tunnelpool.domain.remote import Origin, tunnel_address

KEPT_S: Final = 10.0
"""How soon an origin that must stay in is looked at again: other pools may have become usable meanwhile."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What is decided for one origin."""

    origin: Origin
    out: bool = False
    recheck_s: float | None = None
    strength: Strength | None = None
    """Of the evidence on which it is taken out now."""


@dataclass(frozen=True, slots=True)
class Placing:
    """What is decided for all of them; `held` says why one that shall leave is still in."""

    placed: tuple[Placed, ...] = ()
    held: Problem | None = None


def tunnel_origins(snapshot: PoolSnapshot, site: Site, now: datetime) -> Placing:
    """Decide for each origin whether it is in the pool, and enabled."""
    there = {origin.name: origin for origin in snapshot.observed.value.origins} if snapshot.observed else {}
    staying = list(_staying(snapshot, there, site, now))
    theirs = _others_in_service(snapshot, site)
    in_service = {one.origin.name for one in staying if one.origin.enabled} | theirs
    leaving: list[Placed] = []
    problems: list[Problem] = []
    for member, existing in _leaving(snapshot, there):
        held = held_back(snapshot, existing, in_service, deleted=member.tunnel.deleting)
        if held is not None:
            problems.append(held)
            leaving.append(Placed(existing, recheck_s=KEPT_S))
        else:
            leaving += _drained(snapshot, member, existing, now)
    return Placing(_last_stays(snapshot, (*staying, *leaving), theirs), next(iter(problems), None))


def _staying(
    snapshot: PoolSnapshot, there: Mapping[str, Origin], site: Site, now: datetime
) -> Iterator[Placed]:
    mark = mark_of(snapshot.observed.value.description, site.owner) if snapshot.observed else None
    out = mark.out if mark else ()
    trusted = believed(snapshot.fleet)
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
                continue
            elif existing is None:
                if slot.connected and slot.configured:
                    yield Placed(wish)
            elif existing.enabled:
                yield _in_service(wish, slot, site, now, trusted)
            elif existing.name not in out:
                yield Placed(replace(wish, enabled=False))  # a user's switch
            else:
                back = slot.running is Running.READY and not contradicted(slot)
                yield Placed(replace(wish, enabled=back), out=not back)


def _in_service(wish: Origin, slot: Slot, site: Site, now: datetime, trusted: frozenset[str]) -> Placed:
    if not site.fast_failover:
        return Placed(wish)
    evidence = against(slot, now.timestamp(), trusted)
    if evidence.strength is None:
        return Placed(wish, recheck_s=evidence.recheck_s)
    return Placed(replace(wish, enabled=False), out=True, strength=evidence.strength)


def _origin(member: Member, slot: Slot) -> Origin:
    if slot.remote is None:  # the caller has looked
        raise ValueError(slot)
    return Origin(
        name=slot.remote.value.name,
        address=tunnel_address(slot.remote.id),
        weight=member.tunnel.spec.weight,
        host=member.hostname,
    )


def _leaving(snapshot: PoolSnapshot, there: Mapping[str, Origin]) -> Iterator[tuple[Member, Origin]]:
    """List the origins that shall leave and drain; what no load balancer refers to just goes."""
    if not snapshot.referrers:
        return
    for member in snapshot.members:
        for slot in member.slots:
            existing = there.get(slot.remote.value.name) if slot.remote is not None else None
            if slot.leaving and not member.tunnel.suspended and existing is not None:
                yield member, existing


def _drained(snapshot: PoolSnapshot, member: Member, existing: Origin, now: datetime) -> Iterator[Placed]:
    """Disable, wait for the drain, let go."""
    wait_s = drain_s(member.tunnel, snapshot.referrers)
    disabled_at = snapshot.observed.health.disabled_at.get(existing.name) if snapshot.observed else None
    gone = replace(existing, enabled=False)
    if existing.enabled or disabled_at is None:
        yield Placed(gone, out=True, recheck_s=wait_s)
        return
    left_s = wait_s - (now - disabled_at).total_seconds()
    if left_s > 0:
        yield Placed(gone, out=True, recheck_s=left_s)


def _others_in_service(snapshot: PoolSnapshot, site: Site) -> frozenset[str]:
    """List the enabled origins that other clusters have in the pool."""
    origins = snapshot.observed.value.origins if snapshot.observed else ()
    return frozenset(one.name for one in origins if one.enabled and is_foreign_tunnel(one, site.owner))


def _last_stays(
    snapshot: PoolSnapshot, placed: tuple[Placed, ...], others_in_service: AbstractSet[str]
) -> tuple[Placed, ...]:
    """Keep one origin in where all would be out and traffic has nowhere else to go (law 7).

    Of several that die in one look that one stays against which the evidence is weakest.
    """
    taken = [one for one in placed if one.strength is not None]
    if (
        not taken
        or any(one.origin.enabled for one in placed)
        or others_in_service
        or not snapshot.referrers
        or snapshot.alternatives
    ):
        return placed
    kept = min(taken, key=lambda one: (one.strength or 0, one.origin.name))
    back = Placed(replace(kept.origin, enabled=True), recheck_s=KEPT_S)
    return tuple(back if one is kept else one for one in placed)
