"""One decision for one key: what to do now, and what to say of it. Nothing is done here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from tunnelpool.build import host as host_builder
from tunnelpool.build import monitor as monitor_builder
from tunnelpool.build import pool as pool_builder
from tunnelpool.build.intent import HostIntent
from tunnelpool.build.sharing import takes_part
from tunnelpool.build.snapshot import PoolSnapshot, Raw, Site
from tunnelpool.build.status import (
    health_check_status,
    lbpool_status,
    load_balancer_status,
    tunnel_status,
)
from tunnelpool.build.status import unreadable as unreadable_status
from tunnelpool.crd.parsing import InvalidResourceError, parse
from tunnelpool.crd.v1alpha1 import LBPool, Tunnel
from tunnelpool.domain.errors import ApiError
from tunnelpool.domain.hostnames import canonical_hostname
from tunnelpool.domain.keys import HostKey, Key, MonitorKey, PoolKey, TunnelKey
from tunnelpool.domain.ownership import read_tunnel_name
from tunnelpool.domain.reasons import Problem, Reason, suspended
from tunnelpool.domain.remote import ObservedPool
from tunnelpool.engine.agreement import with_agreement
from tunnelpool.engine.asking import Asking
from tunnelpool.engine.deletion import deleting, deleting_pool, guarded, held_by_pool, origins_of
from tunnelpool.engine.drift import reported, with_drift
from tunnelpool.engine.gather.gatherer import Gatherer
from tunnelpool.engine.gather.remains import Census
from tunnelpool.engine.hindrances import hindrance
from tunnelpool.engine.ports import Clock, Cloud
from tunnelpool.engine.room import Room
from tunnelpool.engine.topology import Topology, place_of
from tunnelpool.engine.waiting import awaits_first_verdict, awaits_verdict, awaits_witness
from tunnelpool.plan import remote as remote_plan
from tunnelpool.plan import tunnel as tunnel_plan
from tunnelpool.plan.steps import Step

HELD_S: Final = 300.0
"""How soon it is counted again what the brake has held: resources may have come back."""
SHARED_S: Final = 0.5
"""How old a listing may be that is asked for again: then keys that wait at the same time share one."""
ABANDONED_S: Final = 30.0
"""How soon a pool that nobody claims is looked at again while a load balancer of ours refers to it."""


@dataclass(frozen=True, slots=True)
class StatusWrite:
    """The status that a resource shall have."""

    kind: str
    raw: Raw
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a key needs now. Steps come first; statuses count once there are none left."""

    steps: tuple[Step, ...] = ()
    statuses: tuple[StatusWrite, ...] = ()
    cloud: Cloud | None = None
    recheck_s: float | None = None
    problem: Problem | None = None
    concerned: frozenset[Key] = frozenset()
    """Whom a write concerns that the resources do not tell of: a Tunnel that has left the pool."""
    abandoned: frozenset[Key] = frozenset()
    """What nobody claims any more and has to go first, found in passing."""
    held: Census | None = None
    """The brake: nothing is done, since the key is one of too many that belong to nobody."""


class Decider:
    """Decides for each kind of key. `failures` holds what went wrong at the last try, by key.

    `evidence_holds` tells whether the watches are alive, so that a pod which is not seen is truly gone.
    """

    def __init__(
        self,
        gatherer: Gatherer,
        topology: Topology,
        site: Site,
        clock: Clock,
        failures: Mapping[Key, Problem],
        evidence_holds: Callable[[], bool],
    ) -> None:
        self._gatherer = gatherer
        self._topology = topology
        self._site = site
        self._clock = clock
        self._failures = failures
        self._evidence_holds = evidence_holds
        self._asking = Asking(clock)
        self._room = Room(clock)

    def learn(self, key: Key, error: ApiError) -> bool:
        """Take in why a step was refused; tell whether the next decision will be another one for it."""
        return self._room.learn(key, error)

    async def decide(self, key: Key) -> Decision:
        """Look, and decide."""
        unreadable = self._topology.unreadable(key)
        if unreadable:
            return self._left_alone(unreadable)
        decision = await self._look(key)
        if self._site.mass_deletion or not any(
            remote_plan.takes_away(step, self._site.owner) for step in decision.steps
        ):
            return decision
        census = await self._gatherer.remains.held(key)
        if census is None:
            return decision
        return Decision(cloud=decision.cloud, recheck_s=HELD_S, held=census)

    async def _look(self, key: Key) -> Decision:
        match key:
            case TunnelKey():
                return await self._tunnel(key)
            case MonitorKey():
                return await self._monitor(key)
            case PoolKey():
                return await self._pool(key)
            case HostKey():
                return await self._host(key)

    def _left_alone(self, unreadable: Iterable[tuple[str, Raw]]) -> Decision:
        """Touch nothing that a resource has a say about which this version cannot read; say so of it."""
        statuses = []
        for kind, raw in unreadable:
            try:
                parse(kind, raw)
            except InvalidResourceError as error:
                told = unreadable_status(raw, str(error), self._now())
                statuses.append(StatusWrite(kind, raw, told))
        return Decision(statuses=tuple(statuses))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def _pool_site(self) -> Site:
        """While a watch is silent the cluster may look emptier than it is: nothing goes out then (law 7)."""
        return self._site if self._evidence_holds() else replace(self._site, fast_failover=False)

    async def _tunnel(self, key: TunnelKey) -> Decision:
        snapshot, cloud = await self._gatherer.tunnel(key)
        tunnel, raw = snapshot.tunnel, snapshot.raw
        if tunnel is None or raw is None:
            steps = tunnel_plan.plan(snapshot, self._site) if raw is None and cloud else ()
            waits = raw is None and bool(snapshot.slots) and not steps  # remains leave their pool first
            return Decision(steps, (), cloud, ABANDONED_S if waits else None)
        refused = self._gatherer.conflict(tunnel)
        problem = snapshot.problem or refused
        steps = ()
        if snapshot.problem is None:
            steps = tunnel_plan.plan(snapshot, self._site, begins=refused is None)
        if tunnel.deleting:
            left = snapshot.derived_left or origins_of(snapshot.slots)
            kept = await hindrance(tunnel, self._topology, self._gatherer, self._failures, self._site.owner)
            problem = deleting(snapshot.problem, left, kept)
            problem = held_by_pool(snapshot) or await self._held_back(key) or problem
        elif tunnel.suspended:
            problem = suspended(tunnel)
        elif problem is None:
            problem = self._failures.get(key) or await self._around(key)
        status = tunnel_status(snapshot, tunnel, problem, self._now())
        wait_s = 5.0 if tunnel.deleting and not steps else None
        return Decision(steps, (StatusWrite("Tunnel", raw, status),), cloud, wait_s, problem)

    async def _held_back(self, key: TunnelKey) -> Problem | None:
        """Say what verdict an origin waits for that shall leave its pool."""
        problem = await self._around(key)
        return problem if problem is not None and awaits_verdict(problem) else None

    async def _around(self, key: TunnelKey) -> Problem | None:
        """Ask pool and host name of a Tunnel what keeps them: derived ones have no status of their own."""
        raw = self._topology.store.get("Tunnel", key.namespace, key.name)
        tunnel = self._topology.typed("Tunnel", raw) if raw else None
        if tunnel is None:
            return None
        for hostname, pool in tunnel.spec.hosts.items():
            problem = await self._around_host(tunnel, HostKey(canonical_hostname(hostname)), pool)
            if problem is not None:
                return problem
        return None

    async def _around_host(self, tunnel: Tunnel, host_key: HostKey, pool: str | None) -> Problem | None:
        host = host_builder.build(await self._gatherer.host(host_key), self._site)
        if host.problem is not None and host.problem.reason is Reason.ZONE_NOT_FOUND:
            return host.problem  # clearer than what the pool's refusal says of the same mistake
        if pool:
            secret = self._topology.secret_of(tunnel)
            pool_key = self._topology.pool_key(tunnel.metadata.namespace, pool, secret)
            failed = self._failures.get(pool_key)
            if failed is not None:
                return failed
            snapshot, _ = await self._pool_seen(pool_key)
            intent = pool_builder.build(snapshot, self._site, self._now())
            problem = self._because(intent.problem, snapshot)
            if problem is not None and (problem.stalled or _leaves(tunnel, snapshot, problem)):
                return problem
        failed = self._failures.get(host_key)
        if failed is not None:
            return failed
        return host.problem if host.problem is not None and not _is_waiting(host.problem) else None

    async def _monitor(self, key: MonitorKey) -> Decision:
        snapshot, cloud = await self._gatherer.monitor(key)
        check, raw = snapshot.health_check, snapshot.raw
        if snapshot.problem is not None and check is not None and raw is not None:
            closed = deleting(snapshot.problem, ()) if check.deleting else snapshot.problem
            status = health_check_status(check, "", closed, self._now())
            return Decision((), (StatusWrite("HealthCheck", raw, status),), None, None, closed)
        if snapshot.problem is not None:
            return Decision()
        intent = monitor_builder.build(snapshot, self._site)
        observed = monitor_builder.chosen(snapshot)
        steps: tuple[Step, ...] = remote_plan.plan(intent, observed, self._site.owner)
        if raw is None or check is None:
            return Decision(steps if raw is None else (), (), cloud)
        problem = intent.problem or self._failures.get(key)
        drift = reported(check, steps, observed, intent.problem, self._site.owner)
        status = health_check_status(check, observed.id if observed else "", problem, self._now())
        status, steps = with_drift(status, check, drift, self._now()), drift.steps
        steps = guarded(check, raw, steps, done=observed is None)
        return Decision(steps, (StatusWrite("HealthCheck", raw, status),), cloud, intent.recheck_s, problem)

    async def _pool_seen(self, key: PoolKey) -> tuple[PoolSnapshot, Cloud | None]:
        """Look at a pool, and at the limit that it has met."""
        snapshot, cloud = await self._gatherer.pool(key)
        if cloud is None or self._room.left_s(key) is None:
            return snapshot, cloud
        return replace(snapshot, room=self._room.of(key, await cloud.pools())), cloud

    async def _pool(self, key: PoolKey) -> Decision:
        snapshot, cloud = await self._pool_seen(key)
        if snapshot.problem is not None:
            statuses = tuple(
                StatusWrite(
                    "LBPool",
                    raw,
                    lbpool_status(
                        snapshot,
                        one,
                        deleting(snapshot.problem, ()) if one.deleting else snapshot.problem,
                        self._now(),
                    ),
                )
                for one in snapshot.lbpools
                if (raw := snapshot.raws.get(place_of(one)))
            )
            return Decision((), statuses, None, None, snapshot.problem)
        if cloud is None:
            return Decision()
        witness, verdict = awaits_witness(snapshot), awaits_first_verdict(snapshot)
        if self._asks_again(key, waits=witness or verdict):
            if witness:
                await cloud.tunnels(fresh=True, within_s=SHARED_S)
            if verdict:
                await cloud.pools(fresh=True, within_s=SHARED_S)
            snapshot, _ = await self._pool_seen(key)
        intent = pool_builder.build(snapshot, self._pool_site(), self._now())
        planned = remote_plan.plan(intent, snapshot.observed, self._site.owner)
        described = pool_builder.effective(snapshot)
        drift = reported(described, planned, snapshot.observed, intent.problem, self._site.owner)
        steps: list[Step] = list(drift.steps)
        statuses_written = []
        problem = self._because(intent.problem, snapshot) or self._failures.get(key)
        for lbpool in snapshot.lbpools:
            raw = snapshot.raws.get(place_of(lbpool))
            if raw is None:
                continue
            own = deleting_pool(snapshot, self._failures.get(key)) if lbpool.deleting else problem
            status = lbpool_status(snapshot, lbpool, own, self._now())
            if lbpool is described:
                status = with_drift(status, lbpool, drift, self._now())
                status = with_agreement(status, lbpool, snapshot.observed, self._site.owner, self._now())
            statuses_written.append(StatusWrite("LBPool", raw, status))
            others = [one for one in snapshot.lbpools if one is not lbpool and not one.deleting]
            released = (
                snapshot.observed is None
                or not takes_part(snapshot.observed.value, self._site.owner)
                or lbpool.metadata.namespace != snapshot.namespace
                or bool(others)
                or (bool(snapshot.members) and not _holds_addresses(snapshot.observed, lbpool))
            )
            steps = list(guarded(lbpool, raw, tuple(steps), done=released))
        recheck_s = _sooner(intent.recheck_s, self._asking.next_s(key))
        recheck_s = _sooner(recheck_s, self._room.again_s(key))
        concerned: set[Key] = {*_members(snapshot), *_origins(snapshot, self._site)}
        abandoned = self._abandoned(snapshot)
        return Decision(
            tuple(steps),
            tuple(statuses_written),
            cloud,
            _sooner(recheck_s, ABANDONED_S if abandoned else None),
            problem,
            frozenset(concerned),
            abandoned,
        )

    async def _host(self, key: HostKey) -> Decision:
        snapshot, cloud = await self._gatherer.host_and_cloud(key)
        intent = HostIntent(hold=True, problem=snapshot.problem)
        steps: tuple[Step, ...] = ()
        if snapshot.problem is None:
            intent = host_builder.build(snapshot, self._site)
            if self._asks_again(key, waits=awaits_verdict(intent.problem)) and cloud is not None:
                await cloud.pools(fresh=True, within_s=SHARED_S)
                snapshot, cloud = await self._gatherer.host_and_cloud(key)
                intent = host_builder.build(snapshot, self._site)
            steps = remote_plan.plan_host(intent, snapshot, self._site.owner)
        described = host_builder.winner(snapshot)
        drift = reported(described, steps, snapshot.observed, intent.problem, self._site.owner)
        steps = drift.steps
        problem = intent.problem or self._failures.get(key)
        statuses = []
        for balancer in snapshot.load_balancers:
            raw = snapshot.raws.get(place_of(balancer))
            if raw is None:
                continue
            failed, left = self._failures.get(key), (f"load balancer '{key.hostname}'",)
            own = deleting(snapshot.problem, left, failed) if balancer.deleting else problem
            status = load_balancer_status(snapshot, balancer, intent, own, self._now())
            if balancer is described:
                status = with_drift(status, balancer, drift, self._now())
                status = with_agreement(status, balancer, snapshot.observed, self._site.owner, self._now())
            statuses.append(StatusWrite("LoadBalancer", raw, status))
            derived = any(not member.tunnel.deleting for member in snapshot.members)
            there = snapshot.observed is not None and takes_part(snapshot.observed.value, self._site.owner)
            others = any(not one.deleting for one in snapshot.load_balancers if one is not balancer)
            elsewhere = balancer.metadata.namespace != snapshot.namespace
            done = snapshot.problem is None and (derived or others or elsewhere or not there)
            steps = guarded(balancer, raw, steps, done=done)
        concerned = frozenset(snapshot.referred)
        return Decision(steps, tuple(statuses), cloud, self._asking.next_s(key), problem, concerned)

    def _because(self, problem: Problem | None, snapshot: PoolSnapshot) -> Problem | None:
        """Say instead of waiting for a monitor what keeps that monitor."""
        view = snapshot.health_check
        if problem is None or problem.reason is not Reason.WAITING_FOR_HEALTH_CHECK or view is None:
            return problem
        return self._failures.get(MonitorKey(snapshot.namespace, view.name)) or problem

    def _abandoned(self, snapshot: PoolSnapshot) -> frozenset[Key]:
        """List the load balancers of ours that keep a pool which nobody claims: finalizers were forced."""
        if snapshot.lbpools or snapshot.members:
            return frozenset()
        ours = (one for one in snapshot.referrers if takes_part(one.value, self._site.owner))
        return frozenset(HostKey(one.value.name) for one in ours)

    def _asks_again(self, key: Key, *, waits: bool) -> bool:
        if waits:
            return self._asking.is_due(key)
        self._asking.is_over(key)
        return False


def _members(snapshot: PoolSnapshot) -> Iterator[TunnelKey]:
    metas = (member.tunnel.metadata for member in snapshot.members)
    return (TunnelKey(meta.namespace, meta.name) for meta in metas)


def _origins(snapshot: PoolSnapshot, site: Site) -> Iterator[TunnelKey]:
    """List the Tunnels whose origins a pool holds, whether or not there still are such Tunnels."""
    origins = snapshot.observed.value.origins if snapshot.observed else ()
    names = (read_tunnel_name(origin.name) for origin in origins)
    return (TunnelKey(one.namespace, one.name) for one in names if one and one.owner == site.owner)


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((wait for wait in (one, other) if wait is not None), default=None)


def _leaves(tunnel: Tunnel, pool: PoolSnapshot, problem: Problem) -> bool:
    """Tell whether an origin of the Tunnel shall leave: then the Tunnel tells what holds that back."""
    mine = (one for one in pool.members if one.tunnel.metadata.uid == tunnel.metadata.uid)
    held = pool.observed is not None and problem.reason is not Reason.NO_ORIGINS
    return held and any(slot.leaving for member in mine for slot in member.slots)


def _holds_addresses(pool: ObservedPool, lbpool: LBPool) -> bool:
    """Tell whether a pool still has an origin by address that an LBPool has brought."""
    names = {origin.name for origin in lbpool.spec.origins}
    return any(origin.name in names for origin in pool.value.origins)


def _is_waiting(problem: Problem) -> bool:
    return problem.reason in {Reason.WAITING_FOR_CONNECTORS, Reason.WAITING_FOR_POOL, Reason.NO_ORIGINS}
