"""What is said of resources whose objects at Cloudflare cannot even be looked at.

A listing that was never read, or is not believed any more, cannot be had: there is nothing to decide from,
but there is something to say (law 8).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TypeAlias

from tunnelpool.build.status import unseen
from tunnelpool.crd.conditions import find
from tunnelpool.crd.v1alpha1 import HealthCheck, LBPool, LoadBalancer, Tunnel
from tunnelpool.domain.keys import HostKey, Key, MonitorKey, PoolKey, TunnelKey
from tunnelpool.domain.reasons import Problem
from tunnelpool.engine.decide import Decision, StatusWrite
from tunnelpool.engine.deletion import deleting
from tunnelpool.engine.topology import Topology, place_of

_Described: TypeAlias = Tunnel | LBPool | HealthCheck | LoadBalancer


def told_unseen(topology: Topology, key: Key, problem: Problem | None, now: datetime) -> Decision:
    """Say what keeps the operator from looking, where the resource does not stand as it was asked before.

    What is ready stays so while nobody has to act: nothing is known that speaks against it, and an outage
    must not turn a thousand resources over and back.
    """
    if problem is None:
        return Decision()
    statuses = []
    for resource in _described_by(topology, key):
        raw = topology.store.get(resource.kind, *place_of(resource))
        if raw is None or resource.suspended or (_is_ready(resource) and not problem.stalled):
            continue
        told = deleting(problem, ()) if resource.deleting else problem
        statuses.append(StatusWrite(resource.kind, raw, unseen(raw, told, now)))
    return Decision(statuses=tuple(statuses))


def _described_by(topology: Topology, key: Key) -> Iterator[_Described]:
    match key:
        case TunnelKey(namespace=namespace, name=name):
            raw = topology.store.get("Tunnel", namespace, name)
            tunnel = topology.typed("Tunnel", raw) if raw else None
            yield from () if tunnel is None else (tunnel,)
        case MonitorKey(namespace=namespace, name=name):
            check = topology.health_check(namespace, name)
            yield from () if check is None else (check,)
        case PoolKey(name=name):
            for one in topology.lbpools_called(name):
                if topology.pool_key(*place_of(one), topology.secret_of(one)) == key:
                    yield one
        case HostKey(hostname=hostname):
            yield from topology.balancers_at(hostname)


def _is_ready(resource: _Described) -> bool:
    said = find(resource.status.conditions, "Ready")
    current = said is not None and said.observed_generation == resource.metadata.generation
    return said is not None and said.status == "True" and current and not resource.deleting
