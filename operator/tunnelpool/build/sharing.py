"""Shared pools and load balancers: several clusters write one object, each its own entries (law 1).

Cloudflare replaces arrays whole, so what is written is always a whole: what is there, with our entries as we
want them. The owner, who has made the object, writes the settings; when it goes, whoever comes next takes its
place. Everything here is a pure function of what was read just before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace

from tunnelpool.build.ownership import owner_of
from tunnelpool.domain.json import FrozenJson, freeze, thaw
from tunnelpool.domain.ownership import Mark, Owner, mark_of, marked, read_mark, read_marks, unmarked
from tunnelpool.domain.remote import LoadBalancer, Observed, Origin, Pool, RemoteValue, Tunnel

_ENTRIES = frozenset({"name", "origins", "default_pools", "description"})
"""Fields that are no settings: they hold entries, or are compared on their own."""


def takes_part(value: RemoteValue, owner: Owner) -> bool:
    """Tell whether an object is ours, or shared and holds something of ours."""
    if isinstance(value, (Pool, LoadBalancer)):
        return mark_of(value.description, owner) is not None
    return owner.covers(owner_of(value))


def takes_care(value: RemoteValue, owner: Owner) -> bool:
    """Tell whether the settings of an object are ours to write: no other cluster is its owner."""
    return _host(others(value, owner)) is None


def others(value: RemoteValue, owner: Owner) -> tuple[Mark, ...]:
    """List the marks of other clusters that take part, their owner first."""
    if not isinstance(value, (Pool, LoadBalancer)):
        return ()
    return tuple(mark for mark in read_marks(value.description) if not owner.covers(mark.owner))


def is_shared(value: RemoteValue) -> bool:
    """Tell whether other clusters may write an object: its owner says so, or guests are in it."""
    if not isinstance(value, (Pool, LoadBalancer)):
        return False
    return any(mark.shared or mark.guest for mark in read_marks(value.description))


def may_change(desired: RemoteValue, there: RemoteValue, owner: Owner) -> bool:
    """Tell whether law 1 lets us make this of an object which is there and carries a mark.

    Ours we may change, short of dropping another's mark; what is shared and has lost its owner too, since
    we become that; of what is another's only our own entries.
    """
    marks = others(there, owner)
    if others(desired, owner) != marks:
        return False
    if is_shared(there) and (read_mark(_description(there)) is None):
        return True
    return owner.covers(owner_of(there)) or (bool(marks) and changes_only_ours(desired, there, owner))


def may_delete(there: RemoteValue, owner: Owner) -> bool:
    """Tell whether law 1 lets us delete an object: we take part in it, and nobody else does."""
    return takes_part(there, owner) and not others(there, owner)


def is_open(value: RemoteValue, owner: Owner) -> bool:
    """Tell whether we may put entries into an object: it is shared, has lost its owner, or we are in it."""
    marks = read_marks(_description(value))
    return bool(marks) and (marks[0].guest or marks[0].shared or takes_part(value, owner))


def short_id(pool_id: str) -> str:
    """Name a pool in a mark: the first digits of its id are enough to tell it apart."""
    return pool_id[:8]


def join_pool(desired: Pool, there: Pool, owner: Owner, *, wishes: bool = True) -> Pool:
    """Put our origins into a shared pool, and our settings if it is ours.

    `desired` is the pool as it would be if it were ours alone. Without `wishes` its settings are defaults
    that nobody has asked for.
    """
    mine, marks = _own(desired), others(there, owner)
    kept = _kept_origins(desired, there, owner, mine.has)
    names, addresses = {one.name for one in kept}, {one.address for one in kept}
    ours = [one for one in desired.origins if one.name not in names and one.address not in addresses]
    origins = tuple(sorted((*kept, *ours), key=lambda one: (one.name, one.address)))
    out = mine.out or any(mark.out for mark in marks)
    closed = bool(out) and not any(one.enabled for one in origins)
    if _host(marks) is None:
        described = _described(unmarked(desired.description), marks, mine)
        return replace(
            desired, origins=origins, description=described, enabled=desired.enabled and not closed
        )
    asks = _differing(_while_closed(desired, there), there) if wishes else ()
    described = _described(
        unmarked(there.description), marks, replace(mine, guest=True, shared=False, asks=asks)
    )
    enabled = not closed and (there.enabled or _is_closed(there))
    return replace(there, origins=origins, description=described, enabled=enabled)


def leave_pool(there: Pool, owner: Owner, *, keep: bool = False) -> Pool | None:
    """Take our origins out of a shared pool; with `keep` only our mark. None: nothing of others' is in it."""
    was, marks = mark_of(there.description, owner), others(there, owner)
    held = {name for mark in marks for name in mark.has}
    dropped = {name for name in (was.has if was else ()) if name not in held}
    rest = tuple(
        one for one in there.origins if keep or not (_is_tunnel_of(one, owner) or one.name in dropped)
    )
    if not (marks or any(is_foreign_tunnel(one, owner) for one in rest)) or not rest:
        return None
    enabled = there.enabled or (_is_closed(there) and any(one.enabled for one in rest))
    description = marked(unmarked(there.description), *marks)
    return replace(there, origins=rest, description=description, enabled=enabled)


def clashing(desired: Pool, there: Pool, owner: Owner) -> tuple[Origin, ...]:
    """List the origins of ours that cannot be in a shared pool: another's has the name or the address."""
    merged = {one.name: one for one in join_pool(desired, there, owner).origins}
    return tuple(
        one for one in desired.origins if one.name not in merged or merged[one.name].address != one.address
    )


def join_balancer(
    desired: LoadBalancer, there: LoadBalancer, owner: Owner, *, wishes: bool = True
) -> LoadBalancer:
    """Put our pools into a shared load balancer, behind the owner's, and our settings if it is ours."""
    was, marks = mark_of(there.description, owner), others(there, owner)
    if _host(marks) is None:
        mine = replace(_own(desired), has=_ids(desired.pools))
        gone = _no_longer(there.pools, was, mine, marks)
        theirs = (one for one in there.default_pools if one not in gone and one not in desired.default_pools)
        described = _described(unmarked(desired.description), marks, mine)
        pools = (*desired.default_pools, *theirs)
        return replace(desired, default_pools=pools, description=described)
    mine = replace(_own(desired), guest=True, shared=False, has=_ids(desired.default_pools))
    left = _without(there, _no_longer(there.pools, was, mine, marks))
    added = (one for one in desired.default_pools if one not in left.default_pools)
    joined = replace(left, default_pools=(*left.default_pools, *added))
    if not joined.fallback_pool:
        joined = replace(joined, fallback_pool=joined.default_pools[0])
    asks = _differing(_comparable(desired, there), there) if wishes else ()
    described = _described(unmarked(there.description), marks, replace(mine, asks=asks))
    return replace(joined, description=described)


def with_own_pools(desired: LoadBalancer) -> LoadBalancer:
    """Say in the mark of a new load balancer that is shared which pools are ours."""
    mark = replace(_own(desired), has=_ids(desired.pools))
    return replace(desired, description=marked(unmarked(desired.description), mark))


def leave_balancer(there: LoadBalancer, owner: Owner, *, keep: bool = False) -> LoadBalancer | None:
    """Take our pools out of a shared load balancer; with `keep` only our mark. None: others have none."""
    was, marks = mark_of(there.description, owner), others(there, owner)
    gone = frozenset() if keep else _no_longer(there.pools, was, Mark(owner), marks)
    left = _without(there, gone)
    if not marks or not left.default_pools:
        return None
    fallback = left.fallback_pool or left.default_pools[0]
    return replace(left, fallback_pool=fallback, description=marked(unmarked(there.description), *marks))


def leave(there: RemoteValue, owner: Owner) -> RemoteValue | None:
    """Take what is ours out of an object. None: nothing of others' is in it, so it may be deleted."""
    if isinstance(there, Pool):
        return leave_pool(there, owner)
    return leave_balancer(there, owner) if isinstance(there, LoadBalancer) else None


def changes_only_ours(desired: RemoteValue, there: RemoteValue, owner: Owner) -> bool:
    """Tell whether a change of a shared object of others' leaves everything that is theirs as it is."""
    if others(desired, owner) != others(there, owner):
        return False
    if unmarked(_description(desired)) != unmarked(_description(there)):
        return False
    if isinstance(desired, Pool) and isinstance(there, Pool):
        return _only_our_origins(desired, there, owner)
    if isinstance(desired, LoadBalancer) and isinstance(there, LoadBalancer):
        return _only_our_pools(desired, there, owner)
    return False


def _only_our_origins(desired: Pool, there: Pool, owner: Owner) -> bool:
    ours = {*_has(desired, owner), *_has(there, owner)}
    kept = {one for one in there.origins if not (_is_tunnel_of(one, owner) or one.name in ours)}
    same = replace(desired, origins=there.origins, description=there.description, enabled=there.enabled)
    return kept <= set(desired.origins) and same == there


def _only_our_pools(desired: LoadBalancer, there: LoadBalancer, owner: Owner) -> bool:
    ours = {*_has(desired, owner), *_has(there, owner)}
    gone = frozenset(one for one in there.pools if short_id(one) in ours and one not in desired.pools)
    left = _without(there, gone)
    same = replace(
        desired,
        default_pools=left.default_pools,
        description=there.description,
        fallback_pool=left.fallback_pool and desired.fallback_pool,
    )
    before, after = (
        [one for one in balancer.default_pools if short_id(one) not in ours] for balancer in (there, desired)
    )
    return before == after and same == left


def asked(observed: Observed[Pool] | Observed[LoadBalancer] | None, owner: Owner) -> str:
    """Say which clusters would set a shared object otherwise than it is, and who writes it; empty if none."""
    if observed is None:
        return ""
    description = observed.value.description
    mine = mark_of(description, owner)
    host = read_mark(description)
    if mine is None or host is None:
        return ""
    if mine.guest:
        if not mine.asks:
            return ""
        return f"cluster '{host.owner.cluster}' writes the settings, and differently: {', '.join(mine.asks)}"
    told = [
        f"cluster '{mark.owner.cluster}' asks for other values of {', '.join(mark.asks)}"
        for mark in others(observed.value, owner)
        if mark.asks
    ]
    return f"this cluster writes the settings, but {'; '.join(told)}" if told else ""


def _description(value: RemoteValue) -> str:
    return value.description if isinstance(value, (Pool, LoadBalancer)) else ""


def _own(desired: Pool | LoadBalancer) -> Mark:
    mark = read_mark(desired.description)
    if mark is None:
        raise ValueError(f"{desired.name} is to be shared without a mark")
    return mark


def _host(marks: Sequence[Mark]) -> Mark | None:
    """Find the owner among others; None if it is us, or has gone: then we take its place."""
    return marks[0] if marks and not marks[0].guest else None


def _described(text: str, marks: Sequence[Mark], mine: Mark) -> str:
    """Put all marks in their order: the owner's, then the guests' by name, so that all write the same."""
    return marked(text, *sorted((*marks, mine), key=_order))


def _order(mark: Mark) -> tuple[bool, str, str]:
    return mark.guest, mark.owner.cluster, mark.owner.uid


def _kept_origins(desired: Pool, there: Pool, owner: Owner, has: Sequence[str]) -> list[Origin]:
    """List the origins that are not ours to change: of others, made by hand, and of several, if not first."""
    marks = others(there, owner)
    was = mark_of(there.description, owner)
    before = {one.name for one in there.origins} if _is_alone(was, marks) else set(was.has if was else ())
    hosted, place = _host(marks) is not None, (True, owner.cluster, owner.uid)
    kept = []
    for one in there.origins:
        holders = [mark for mark in marks if one.name in mark.has]
        if _is_tunnel_of(one, owner):
            ours = True
        elif holders:
            ours = one.name in has and not (hosted and any(_order(mark) < place for mark in holders))
        else:
            ours = one.name in before or (one.name in has and one in desired.origins)
        if not ours:
            kept.append(one)
    return kept


def _is_alone(was: Mark | None, marks: Sequence[Mark]) -> bool:
    """Tell whether an object has been exclusively ours until now: then everything in it is."""
    return was is not None and not (was.guest or was.shared or marks)


def _is_tunnel_of(origin: Origin, owner: Owner) -> bool:
    return owner.covers(owner_of_origin(origin))


def owner_of_origin(origin: Origin) -> Owner | None:
    """Read whose tunnel an origin is by its name; None for any other."""
    return owner_of(Tunnel(origin.name))


def is_foreign_tunnel(origin: Origin, owner: Owner) -> bool:
    """Tell whether an origin is a tunnel of another cluster's."""
    found = owner_of_origin(origin)
    return found is not None and not owner.covers(found)


def _is_closed(pool: Pool) -> bool:
    """Tell whether a pool is disabled since operators have taken out every origin of it."""
    taken = any(mark.out for mark in read_marks(pool.description))
    return taken and not pool.enabled and not any(one.enabled for one in pool.origins)


def _while_closed(desired: Pool, there: Pool) -> Pool:
    """Take it for no wish of the owner's that a pool is disabled while every origin is out."""
    return replace(desired, enabled=there.enabled) if _is_closed(there) else desired


def _has(value: Pool | LoadBalancer, owner: Owner) -> tuple[str, ...]:
    mark = mark_of(value.description, owner)
    return mark.has if mark else ()


def _ids(pools: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(map(short_id, pools)))


def _no_longer(pools: Iterable[str], was: Mark | None, mine: Mark, marks: Sequence[Mark]) -> frozenset[str]:
    """List the pools that were ours and are not, and that no other cluster has."""
    held = {name for mark in (*marks, mine) for name in mark.has}
    before = {short_id(one) for one in pools} if _is_alone(was, marks) else set(was.has if was else ())
    return frozenset(one for one in pools if short_id(one) in before - held)


def _without(there: LoadBalancer, gone: frozenset[str]) -> LoadBalancer:
    """Take pools out of everything in a load balancer; the fallback is then empty if it was one of them."""
    return replace(
        there,
        default_pools=tuple(one for one in there.default_pools if one not in gone),
        fallback_pool="" if there.fallback_pool in gone else there.fallback_pool,
        region_pools=_places(there.region_pools, gone),
        country_pools=_places(there.country_pools, gone),
        pop_pools=_places(there.pop_pools, gone),
    )


def _places(given: FrozenJson, gone: frozenset[str]) -> FrozenJson:
    places = {
        place: [one for one in pools if one not in gone] for place, pools in (thaw(given) or {}).items()
    }
    return freeze({place: pools for place, pools in places.items() if pools})


def _comparable(desired: LoadBalancer, there: LoadBalancer) -> LoadBalancer:
    """Take for no wish what nobody has chosen: a fallback that is one of the pools, times to live."""
    chosen = desired.fallback_pool not in desired.default_pools
    return replace(
        desired,
        fallback_pool=desired.fallback_pool if chosen else there.fallback_pool,
        ttl=desired.ttl or there.ttl,
        session_affinity_ttl=desired.session_affinity_ttl or there.session_affinity_ttl,
    )


def _differing(desired: Pool | LoadBalancer, there: Pool | LoadBalancer) -> tuple[str, ...]:
    names = [one.name for one in fields(desired) if one.name not in _ENTRIES]
    different = [name for name in names if getattr(desired, name) != getattr(there, name)]
    if unmarked(desired.description) != unmarked(there.description):
        different.append("description")
    return tuple(sorted(different))
