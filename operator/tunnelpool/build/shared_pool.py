"""A pool in company: what becomes of what we want of it while other clusters are in it as well."""

from __future__ import annotations

from dataclasses import replace

from tunnelpool.build.intent import Intent
from tunnelpool.build.ownership import cluster_name_taken, foreign
from tunnelpool.build.sharing import (
    clashing,
    is_foreign_tunnel,
    is_open,
    join_pool,
    leave_pool,
    others,
    owner_of_origin,
    takes_part,
)
from tunnelpool.build.snapshot import PoolSnapshot, Site
from tunnelpool.crd.v1alpha1 import LBPool
from tunnelpool.domain.ownership import Owner, mark_of, read_marks
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.domain.remote import Pool


def wants_sharing(spec: LBPool | None) -> bool:
    """Tell whether other clusters may be in the pool; one that is derived from Tunnels is for all."""
    return spec is None or spec.spec.sharing == "Shared"


def barred(snapshot: PoolSnapshot, spec: LBPool | None, site: Site) -> Problem | None:
    """Say why a pool that is there must not be touched; None if it is ours, or open to us."""
    there = snapshot.observed
    namesake = _namesake_in(there.value, site.owner) if there is not None else None
    if namesake is not None:
        return cluster_name_taken(f"what is in pool '{snapshot.name}'", namesake, site.owner)
    if there is None or (wants_sharing(spec) and is_open(there.value, site.owner)):
        return None
    what = f"pool '{snapshot.name}'"
    return foreign(there, site.owner, what, reason=Reason.NAME_IN_USE, shares=wants_sharing(spec))


def _namesake_in(pool: Pool, owner: Owner) -> Owner | None:
    """Find another cluster of our name that has a mark or an origin in a pool which is ours or shared."""
    found = (*(mark.owner for mark in read_marks(pool.description)), *map(owner_of_origin, pool.origins))
    return next((one for one in found if one is not None and owner.is_namesake(one)), None)


def has_company(snapshot: PoolSnapshot, site: Site) -> bool:
    """Tell whether the pool stays when we leave it: then load balancers need not let go of it first."""
    there = snapshot.observed
    return there is not None and leave_pool(there.value, site.owner) is not None


def in_company(intent: Intent[Pool], snapshot: PoolSnapshot, spec: LBPool | None, site: Site) -> Intent[Pool]:
    """Turn what we want of a pool for ourselves into what it shall be with everybody in it."""
    there = snapshot.observed.value if snapshot.observed else None
    if there is None or intent.hold or not (wants_sharing(spec) or others(there, site.owner)):
        return intent
    if intent.desired is None and not takes_part(there, site.owner):
        return intent
    if intent.desired is None:
        return replace(intent, desired=leave_pool(there, site.owner))
    if mark_of(intent.desired.description, site.owner) is None:
        return intent  # retained: only our mark goes
    mixed = _mixed(intent.desired, there, site.owner)
    if mixed:
        return Intent(hold=True, problem=_is_mixed(snapshot.name))
    clashes = clashing(intent.desired, there, site.owner)
    problem = intent.problem or (_clash(clashes[0].name, snapshot.name) if clashes else None)
    desired = join_pool(intent.desired, there, site.owner, wishes=spec is not None)
    return replace(intent, desired=desired, problem=problem)


def _mixed(desired: Pool, there: Pool, owner: Owner) -> bool:
    """Tell whether others have tunnels in the pool and we addresses, or the other way round."""
    theirs = any(is_foreign_tunnel(origin, owner) for origin in there.origins)
    addresses = any(mark.has for mark in others(there, owner))
    behind = [origin.tunnel_id is not None for origin in desired.origins]
    return (theirs and not all(behind)) or (addresses and any(behind))


def _is_mixed(name: str) -> Problem:
    return Problem(
        Reason.MIXED_POOL,
        f"pool '{name}' is shared with another cluster, which has origins of the other sort in it; a pool "
        "holds tunnel origins or address origins, never both: choose another name",
        stalled=True,
    )


def _clash(origin: str, name: str) -> Problem:
    return Problem(
        Reason.CONFLICT,
        f"origin '{origin}' cannot be put into pool '{name}': its name or address belongs to another origin, "
        "which was not made here; give it another name and address, or take it away there",
        stalled=True,
    )
