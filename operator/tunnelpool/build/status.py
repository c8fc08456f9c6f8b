"""Status of the four kinds: pure, stable to the byte when nothing has changed, and true.

`Ready` is there from the first touch; `Reconciling` while it may still succeed, `Stalled` until a person
acts; both are absent when all is well (kstatus).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from tunnelpool.build.companion import connectors, unfollowed, with_following
from tunnelpool.build.health import pool_health, serving
from tunnelpool.build.host import pool_names, winner
from tunnelpool.build.intent import HostIntent
from tunnelpool.build.manifests import ROTATED_ANNOTATION, child_name, shared
from tunnelpool.build.pool import effective
from tunnelpool.build.pool_conditions import health_conditions
from tunnelpool.build.refused_pods import refused_pods
from tunnelpool.build.sharing import is_shared
from tunnelpool.build.snapshot import (
    FurtherHost,
    HostSnapshot,
    PoolSnapshot,
    PoolView,
    Raw,
    Running,
    Slot,
    TunnelSnapshot,
)
from tunnelpool.crd.base import Resource
from tunnelpool.crd.conditions import Condition, ConditionStatus, drop_condition, set_condition
from tunnelpool.crd.v1alpha1 import HealthCheck, LBPool, LoadBalancer, Tunnel
from tunnelpool.domain.ownership import read_marks
from tunnelpool.domain.reasons import Problem, Reason, suspended
from tunnelpool.domain.remote import Observed

OriginState = Literal["Registered", "Draining", "OutByOperator", "Disabled"]
_READY_MESSAGE = "everything is as asked"


def pending(resource: Resource, now: datetime) -> dict[str, Any]:
    """Build the status of the first touch, before any call: nothing may take the resource for ready."""
    problem = Problem(Reason.PENDING, "the operator has begun to work on it")
    return _dump(resource, _conditions(resource, problem, now, ready="Unknown"))


def unreadable(raw: Raw, message: str, now: datetime) -> dict[str, Any]:
    """Build the status of a resource whose spec cannot be read: conditions only, the rest is as it was."""
    problem = Problem(Reason.INVALID_SPEC, message, stalled=True)
    if raw["metadata"].get("deletionTimestamp"):
        problem = Problem(
            Reason.DELETION_BLOCKED,
            f"what it has at Cloudflare is not known, since its spec cannot be read: {message}. Correct the "
            "spec, or run `tunnelpool release`, which leaves what is at Cloudflare there",
            stalled=True,
        )
    return unseen(raw, problem, now)


def unseen(raw: Raw, problem: Problem, now: datetime) -> dict[str, Any]:
    """Build the status of a resource that could not be looked at: conditions only, the rest is as it was."""
    status = raw.get("status") or {}
    before = tuple(Condition.model_validate(one) for one in status.get("conditions") or ())
    generation: int = raw["metadata"].get("generation") or 0
    conditions = _said(before, generation, problem, now, None)
    written = [one.model_dump(mode="json", by_alias=True) for one in conditions]
    return {**status, "observedGeneration": generation, "conditions": written}


def tunnel_status(
    snapshot: TunnelSnapshot, tunnel: Tunnel, problem: Problem | None, now: datetime
) -> dict[str, Any]:
    """Build the status of a Tunnel."""
    staying = [slot for slot in snapshot.slots if not slot.leaving]
    connected = sum(slot.running is Running.READY for slot in staying)
    problem = problem or _tunnel_waits(snapshot, staying, connected)
    conditions = _conditions(tunnel, problem, now)
    generation = tunnel.metadata.generation
    conditions = set_condition(
        conditions,
        "Connected",
        "True" if connected else "False",
        Reason.READY if connected else Reason.WAITING_FOR_CONNECTORS,
        f"{connected} of {len(staying)} origins have a ready connector",
        generation=generation,
        now=now,
    )
    conditions = with_following(conditions, snapshot.followed, generation, now)
    joined = _joined(snapshot, tunnel)
    if joined:
        # Of several pools the one that lacks most is told.
        registered, name = min((_registered(view, staying), name) for name, view in joined.items())
        conditions = set_condition(
            conditions,
            "Registered",
            "True" if staying and registered == len(staying) else "False",
            Reason.READY if staying and registered == len(staying) else Reason.WAITING_FOR_POOL,
            f"{registered} of {len(staying)} origins are in pool '{name}'",
            generation=generation,
            now=now,
        )
    fields: dict[str, Any] = {
        "replicas": sum(slot.pods for slot in staying),
        "readyReplicas": sum(slot.ready_pods for slot in staying),
        "billableOrigins": sum(_registered(view, snapshot.slots) for view in joined.values()),
        "origins": [_origin_status(snapshot, tunnel, slot) for slot in snapshot.slots if slot.remote],
        **_answering(snapshot),
    }
    rotations = {_rotation(slot) for slot in staying}
    if len(rotations) == 1 and any(rotations):
        (fields["rotated"],) = rotations
    if snapshot.further:
        fields["furtherHosts"] = [
            {
                "hostname": one.hostname,
                **_answering(one),
                **({"answeredBy": one.answered_by} if one.answered_by else {}),
            }
            for one in snapshot.further
        ]
    return _dump(tunnel, conditions, fields)


def _rotation(slot: Slot) -> str:
    annotations = (slot.secret or {"metadata": {}})["metadata"].get("annotations") or {}
    return str(annotations.get(ROTATED_ANNOTATION, ""))


def _answering(host: TunnelSnapshot | FurtherHost) -> dict[str, Any]:
    """Tell the pool and the load balancer of one hostname."""
    told: dict[str, Any] = {}
    pool = host.pool.observed if host.pool else None
    if pool is not None:
        seen = pool_health(pool)
        told["pool"] = {
            "id": pool.id,
            "name": pool.value.name,
            "health": seen.health,
            "healthyOrigins": seen.healthy,
            "origins": seen.origins,
            "minimumOrigins": seen.minimum,
        }
    if host.load_balancer is not None:
        answers = serving(host.load_balancer.value, host.balanced_pools)
        names = {pool_id: one.value.name for pool_id, one in host.balanced_pools.items()}
        told["loadBalancer"] = {
            "id": host.load_balancer.id,
            "servingPools": [names.get(pool_id, pool_id) for pool_id in answers.pools],
            "onFallback": answers.on_fallback,
        }
    return told


def _joined(snapshot: TunnelSnapshot, tunnel: Tunnel) -> dict[str, PoolView | None]:
    """List the pools that the Tunnel's hostnames join, by the names that it uses."""
    views = {tunnel.spec.hostname: snapshot.pool, **{one.hostname: one.pool for one in snapshot.further}}
    return {pool: views.get(hostname) for hostname, pool in tunnel.spec.hosts.items() if pool is not None}


def health_check_status(
    check: HealthCheck, monitor_id: str, problem: Problem | None, now: datetime
) -> dict[str, Any]:
    """Build the status of a HealthCheck."""
    if problem is None and not monitor_id:
        problem = Problem(Reason.PENDING, "the monitor is being made")
    return _dump(check, _conditions(check, problem, now), {"id": monitor_id} if monitor_id else {})


def lbpool_status(
    snapshot: PoolSnapshot, lbpool: LBPool, problem: Problem | None, now: datetime
) -> dict[str, Any]:
    """Build the status of an LBPool."""
    observed = snapshot.observed
    winner = effective(snapshot)
    if not lbpool.deleting and (winner is None or winner.metadata.uid != lbpool.metadata.uid):
        message = f"{winner or snapshot.claimant} is older and claims pool '{snapshot.name}'"
        problem = Problem(Reason.CONFLICT, message, stalled=True)
        observed = None
    if problem is None and observed is None:
        problem = Problem(Reason.PENDING, "the pool is being made")
    conditions = _conditions(lbpool, problem, now)
    fields: dict[str, Any] = {"name": snapshot.name, **_let_in(snapshot, lbpool)}
    if observed is not None:
        conditions = health_conditions(snapshot, lbpool, observed, conditions, now)
        seen = pool_health(observed)
        fields |= {
            "id": observed.id,
            "health": seen.health,
            "healthyOrigins": seen.healthy,
            "origins": seen.origins,
            "serving": observed.id in snapshot.serving,
            **_clusters(observed),
            "originStatuses": [
                {
                    "name": origin.name,
                    "address": origin.address,
                    "enabled": origin.enabled,
                    **_verdict(observed.health.origins.get(origin.name)),
                }
                for origin in observed.value.origins
            ],
        }
    return _dump(lbpool, conditions, fields)


def _let_in(snapshot: PoolSnapshot, lbpool: LBPool) -> dict[str, list[str]]:
    """Tell which addresses a firewall must let in; before they are read again what was told stays told."""
    if not lbpool.spec.origins:
        return {}
    known = lbpool.status.address_ranges if snapshot.address_ranges is None else snapshot.address_ranges
    return {"addressRanges": list(known)} if known else {}


def load_balancer_status(
    snapshot: HostSnapshot, balancer: LoadBalancer, intent: HostIntent, problem: Problem | None, now: datetime
) -> dict[str, Any]:
    """Build the status of a LoadBalancer."""
    problem = problem or intent.problem
    observed = snapshot.observed
    first = winner(snapshot)
    if not balancer.deleting and (first is None or first.metadata.uid != balancer.metadata.uid):
        message = f"{first or snapshot.claimant} is older and claims hostname '{snapshot.hostname}'"
        conflict = Problem(Reason.CONFLICT, message, stalled=True)
        problem = snapshot.refusals.get(balancer.metadata.namespace, conflict)
        observed = None
    if problem is None and observed is None:
        problem = Problem(Reason.PENDING, "the load balancer is being made")
    fields: dict[str, Any] = {}
    if observed is not None:
        by_id = {view.observed.id: view.observed for view in snapshot.pools.values() if view.observed}
        answers = serving(observed.value, by_id)
        answering = by_id.get(answers.pools[0])
        names, _ = pool_names(snapshot)
        fields = {
            "id": observed.id,
            "servingPool": answering.value.name if answering else answers.pools[0],
            "onFallback": answers.on_fallback,
            **_clusters(observed),
            "pools": [
                {"name": name, "id": seen.id, "health": pool_health(seen).health}
                for name in names
                if (seen := snapshot.pools[name].observed if name in snapshot.pools else None) is not None
            ],
        }
    return _dump(balancer, _conditions(balancer, problem, now), fields)


def _conditions(
    resource: Resource, problem: Problem | None, now: datetime, *, ready: ConditionStatus | None = None
) -> tuple[Condition, ...]:
    return _said(resource.status.conditions, resource.metadata.generation, problem, now, ready)


def _said(
    before: tuple[Condition, ...],
    generation: int,
    problem: Problem | None,
    now: datetime,
    ready: ConditionStatus | None,
) -> tuple[Condition, ...]:
    status: ConditionStatus = ready or ("True" if problem is None else "False")
    reason = problem.reason if problem else Reason.READY
    message = problem.message if problem else _READY_MESSAGE
    found = set_condition(before, "Ready", status, reason, message, generation=generation, now=now)
    moves = problem is not None and problem.reason is not Reason.SUSPENDED
    abnormal = "Stalled" if problem is not None and problem.stalled else "Reconciling" if moves else None
    for name in ("Reconciling", "Stalled"):
        if name == abnormal:
            found = set_condition(found, name, "True", reason, message, generation=generation, now=now)
        else:
            found = drop_condition(found, name)
    return found


def _dump(
    resource: Resource, conditions: tuple[Condition, ...], fields: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "observedGeneration": resource.metadata.generation,
        "conditions": [one.model_dump(mode="json", by_alias=True) for one in conditions],
        **(fields or {}),
    }


def _clusters(observed: Observed[Any]) -> dict[str, list[str]]:
    """Name the clusters that share an object, the one that writes its settings first."""
    marks = read_marks(observed.value.description)
    return {"clusters": [mark.owner.cluster for mark in marks]} if is_shared(observed.value) else {}


def _verdict(healthy: bool | None) -> dict[str, bool]:
    return {} if healthy is None else {"healthy": healthy}


def _registered(view: PoolView | None, slots: Sequence[Slot]) -> int:
    """Count the origins that are in a pool."""
    pool = view.observed if view else None
    there = {origin.name for origin in pool.value.origins} if pool else set()
    return sum(slot.remote is not None and slot.remote.value.name in there for slot in slots)


def _origin_status(snapshot: TunnelSnapshot, tunnel: Tunnel, slot: Slot) -> dict[str, Any]:
    if slot.remote is None:  # the caller has looked
        raise ValueError(slot)
    name = slot.remote.value.name
    state: OriginState = "Draining" if slot.leaving else "Registered"
    healthy = None
    for pool in snapshot.pools:
        origin = next((one for one in pool.value.origins if one.name == name), None)
        if origin is None:
            continue
        healthy = pool.health.origins.get(name)
        out = {one for mark in read_marks(pool.value.description) for one in mark.out}
        if not origin.enabled and not slot.leaving:
            state = "OutByOperator" if name in out else "Disabled"
    return {
        "name": name,
        "tunnelID": slot.remote.id,
        "deployment": child_name(tunnel.metadata.name, slot.index),
        "state": state,
        **_verdict(healthy),
    }


def _tunnel_waits(snapshot: TunnelSnapshot, staying: list[Slot], connected: int) -> Problem | None:
    tunnel = snapshot.tunnel
    if any(slot.leaving for slot in snapshot.slots):
        return Problem(Reason.DRAINING, "an origin that is no longer wanted is on its way out")
    followed = snapshot.followed
    lost = unfollowed(followed) if followed is not None else None
    if lost is not None and lost.reason is Reason.WORKLOAD_NOT_FOUND:
        return lost
    if not staying:
        none = "`replicas` is 0" if followed is None else f"{followed} has no replicas"
        return Problem(Reason.NO_ORIGINS, f"{none}: no connector runs and nothing answers")
    if snapshot.host_problem is not None and connected:
        return snapshot.host_problem
    refused = refused_pods(staying)
    if refused is not None:
        return refused
    if connected < len(staying):
        return Problem(
            Reason.WAITING_FOR_CONNECTORS, f"{connected} of {len(staying)} origins have a ready connector"
        )
    if tunnel is not None and shared(tunnel):
        ready = sum(slot.ready_pods for slot in staying)
        wanted = connectors(tunnel, followed)
        if ready < wanted:
            message = f"{ready} of {wanted} connectors of the one origin are ready"
            return Problem(Reason.WAITING_FOR_CONNECTORS, message)
    if snapshot.pool is not None and _registered(snapshot.pool, staying) < len(staying):
        if snapshot.pool.lbpool is not None and snapshot.pool.lbpool.suspended:
            return suspended(snapshot.pool.lbpool)
        return Problem(Reason.WAITING_FOR_POOL, "not every origin is in the pool yet")
    if snapshot.load_balancer is None and not snapshot.record:
        return Problem(Reason.PENDING, "the host name is not in Cloudflare's hands yet")
    for host in snapshot.further:
        if host.pool is not None and _registered(host.pool, staying) < len(staying):
            message = f"not every origin is in the pool of hostname '{host.hostname}' yet"
            return Problem(Reason.WAITING_FOR_POOL, message)
        if host.answered_by is None:
            return Problem(Reason.PENDING, f"hostname '{host.hostname}' is not in Cloudflare's hands yet")
    return None
