"""Steps for one remote object of its own: a monitor, a pool, a host name's answer.

What is new is made before what is old is deleted (law 4): a load balancer comes up before the CNAME
that it replaces goes, and the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunnelpool.build.host import ADDRESS_RECORDS
from tunnelpool.build.intent import HostIntent, Intent
from tunnelpool.build.ownership import is_ours, is_unowned
from tunnelpool.build.sharing import is_shared, leave, may_change, may_delete, takes_part
from tunnelpool.build.snapshot import HostSnapshot
from tunnelpool.domain.ownership import Owner
from tunnelpool.domain.remote import KIND_OF, Observed, RemoteValue
from tunnelpool.plan.diff import update
from tunnelpool.plan.steps import Create, Delete, RemoteStep, Step, Update


def plan(intent: Intent[Any], observed: Observed[Any] | None, owner: Owner) -> tuple[RemoteStep, ...]:
    """Plan one object: create, change or delete it; duplicates of ours go as well."""
    extra = tuple(step for one in intent.extra for step in _without_us(one, owner))
    if intent.hold:
        return extra
    return (*_towards(intent.desired, observed, owner, adopt=intent.adopt), *extra)


def plan_host(intent: HostIntent, snapshot: HostSnapshot, owner: Owner) -> tuple[RemoteStep, ...]:
    """Plan what answers for a host name."""
    if intent.hold or snapshot.zone is None:
        return ()
    zone_id = snapshot.zone.id
    records = [record for record in snapshot.records if is_ours(record.value, owner)]
    record = records[0] if records else None
    if record is None and intent.adopt:
        answering = (one for one in snapshot.records if one.value.type in ADDRESS_RECORDS)
        record = next((one for one in answering if is_unowned(one.value)), None)
    balancer = _towards(intent.load_balancer, snapshot.observed, owner, zone_id, adopt=intent.adopt)
    cname = _towards(intent.record, record, owner, zone_id, adopt=intent.adopt)
    spare = (step for one in snapshot.duplicates for step in _without_us(one, owner))
    steps = (*balancer, *cname, *spare, *(_delete(one) for one in records[1:]))
    return tuple(sorted(steps, key=lambda step: isinstance(step, Delete)))


def takes_away(step: Step, owner: Owner) -> bool:
    """Tell whether a step ends something of ours: it deletes an object, or takes us out of a shared one."""
    if isinstance(step, Update):
        return step.shared and not takes_part(step.value, owner)
    return isinstance(step, Delete)


def _towards(
    desired: RemoteValue | None,
    observed: Observed[Any] | None,
    owner: Owner,
    zone_id: str = "",
    *,
    adopt: bool,
) -> Sequence[RemoteStep]:
    if desired is None:
        return [_delete(observed)] if observed is not None and may_delete(observed.value, owner) else []
    if observed is None:
        return [Create(desired, zone_id, is_shared(desired))]
    if not may_change(desired, observed.value, owner) and not (adopt and is_unowned(observed.value)):
        return []  # law 1, whatever the builder has said
    step = update(desired, observed)
    return [step] if step is not None else []


def _without_us(spare: Observed[Any], owner: Owner) -> Sequence[RemoteStep]:
    """Take ourselves out of a duplicate; the last one deletes it."""
    if not takes_part(spare.value, owner):
        return []
    left = leave(spare.value, owner)
    return _towards(left, spare, owner, spare.zone_id, adopt=False)


def _delete(observed: Observed[Any]) -> Delete:
    kind = KIND_OF[type(observed.value)]
    return Delete(kind, observed.id, observed.title, observed.zone_id, is_shared(observed.value))
