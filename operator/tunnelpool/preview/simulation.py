"""Decide, do it in memory, decide again, until nothing is left: the steps in the order of the operator.

The decisions are the engine's own. What differs from the operator: nothing is written, time passes at once,
connectors that would start connect, new origins pass their health check, and evidence of the moment (a pod
that is not ready just now) takes no origin out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tunnelpool.build.sharing import takes_part
from tunnelpool.build.snapshot import Site
from tunnelpool.domain.errors import WaitingError
from tunnelpool.domain.json import thaw
from tunnelpool.domain.keys import HostKey, Key, MonitorKey, PoolKey, TunnelKey
from tunnelpool.domain.reasons import Problem
from tunnelpool.domain.remote import Observed
from tunnelpool.engine.connectors import Connectors
from tunnelpool.engine.credentials import Credentials, SecretRef
from tunnelpool.engine.decide import Decider, Decision
from tunnelpool.engine.gather.gatherer import Gatherer
from tunnelpool.engine.ports import Clouds
from tunnelpool.engine.store import Raw, Store
from tunnelpool.engine.sweeper import key_of
from tunnelpool.engine.topology import KINDS, Topology
from tunnelpool.plan.fields import FieldChange, changed_fields
from tunnelpool.plan.render import describe
from tunnelpool.plan.steps import (
    ApplyObject,
    CloseConnections,
    Create,
    Delete,
    PutConfiguration,
    RotateSecret,
    Step,
    Update,
    WriteConnectorSecret,
)
from tunnelpool.preview.cluster import SecretReader, SimulatedCluster
from tunnelpool.preview.names import Names
from tunnelpool.preview.passing_time import PassingTime
from tunnelpool.preview.remote import SimulatedClouds

_ORDER: Final = (MonitorKey, TunnelKey, PoolKey, HostKey)
_ROUNDS: Final = 200
_PASSES: Final = 12
_IDLE_ROUNDS: Final = 8
"""So many pauses in a row that lead to nothing: then nothing will come."""


class EndlessPlanError(RuntimeError):
    """The steps do not come to an end: a bug of the decisions, which the operator would meet as well."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One write that the operator would make."""

    key: Key
    step: Step
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Pause:
    """Time that the operator would let pass, for a drain for example."""

    seconds: float


Item: TypeAlias = PlannedStep | Pause


@dataclass(frozen=True, slots=True)
class Finding:
    """What the status of a resource would say in the end, where it is not `Ready`."""

    kind: str
    namespace: str
    name: str
    reason: str
    message: str
    stalled: bool
    """It stays so until a person acts."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Steps and pauses in order, and what would still not be as asked for in the end."""

    items: tuple[Item, ...]
    findings: tuple[Finding, ...]

    @property
    def steps(self) -> tuple[PlannedStep, ...]:
        """The steps without the pauses."""
        return tuple(one for one in self.items if isinstance(one, PlannedStep))


class Simulation:
    """The engine on a store, with both APIs simulated. `store` holds what the cluster holds."""

    def __init__(
        self,
        store: Store,
        *,
        site: Site,
        clouds: Clouds,
        secrets: SecretReader,
        own: SecretRef,
        clock: PassingTime,
        names: Names,
    ) -> None:
        self._store = store
        self._owner = site.owner
        self._clock = clock
        self._cluster = SimulatedCluster(store, secrets)
        simulated = SimulatedClouds(clouds, names, clock)
        self._credentials = Credentials(self._cluster, simulated, clock, own)
        self._topology = Topology(store, self._credentials, site.hostname_policy)
        gatherer = Gatherer(self._topology, Connectors(store, clock), self._credentials, site)
        self._failures: dict[Key, Problem] = {}
        # What is seen of pods just now counts for no evidence, so no origin is taken out for it.
        self._decider = Decider(gatherer, self._topology, site, clock, self._failures, lambda: False)

    async def open(self) -> None:
        """Open the accounts of all resources: keys of pools hold the account, so it must be known first.

        A Secret that is missing or refused is no error here; it stands in the findings.
        """
        refs = {self._credentials.ref("", None)}
        for kind in KINDS:
            for raw in self._store.all(kind):
                resource = self._topology.typed(kind, raw)
                ref = ((raw.get("spec") or {}).get("credentialsRef") or {}).get("name")
                if resource is not None:
                    refs.add(self._credentials.ref(resource.metadata.namespace, ref))
        for secret in sorted(refs):
            await self._credentials.open(secret)

    def keys_of(self, resources: Iterable[tuple[str, Raw]]) -> frozenset[Key]:
        """Tell which aggregates resources concern, by kind, and those around them."""
        found = {key for kind, raw in resources for key in self._topology.keys_of(kind, raw)}
        return frozenset(found.union(*(self._topology.neighbours(key) for key in found)))

    async def remains(self) -> frozenset[Key]:
        """Find what carries our mark at Cloudflare, whether a resource claims it or not.

        Raises:
            ApiError: a listing could not be read.

        """
        found: set[Key] = set()
        for opened in self._credentials.opened():
            cloud = opened.cloud
            observed: list[Observed[Any]] = [*await cloud.tunnels(), *await cloud.pools()]
            for one in [*observed, *await cloud.monitors()]:
                if takes_part(one.value, self._owner) and (key := key_of(opened.account_id, one)) is not None:
                    found.add(key)
        return frozenset(found)

    async def run(self, keys: AbstractSet[Key]) -> Outcome:
        """Play the operator on these keys until nothing is left to do.

        Raises:
            ApiError: something that had to be read could not be.
            EndlessPlanError: the steps do not come to an end.

        """
        items: list[Item] = []
        idle = 0
        for _ in range(_ROUNDS):
            before = len(items)
            decisions: dict[Key, Decision] = {}
            for key in sorted(keys, key=_order):
                decisions[key] = decision = await self._settle(key, items)
                keys = keys | decision.concerned | decision.abandoned
            waits = [one.recheck_s for one in decisions.values() if one.recheck_s is not None]
            idle = 0 if len(items) > before else idle + 1
            if idle and (not waits or idle > _IDLE_ROUNDS):
                return Outcome(_merged(items), _findings(decisions.values()))
            if idle:
                self._clock.pass_by(max(waits))
                items.append(Pause(max(waits)))
        raise EndlessPlanError(f"no end after {len(items)} steps")

    async def _settle(self, key: Key, items: list[Item]) -> Decision:
        """Do what a key needs until it needs no more; answer with the last decision."""
        decision = await self._decider.decide(key)
        for _ in range(_PASSES):
            for step in decision.steps:
                try:
                    items.append(PlannedStep(key, step, await self._do(step, decision)))
                except WaitingError:
                    return decision  # another key has to move first
            if not decision.steps:
                return decision
            decision = await self._decider.decide(key)
        raise EndlessPlanError(f"the steps of {key} do not come to an end: {describe(decision.steps[0])}")

    async def _do(self, step: Step, decision: Decision) -> tuple[FieldChange, ...]:
        """Change the simulated world; answer with what that changes, field by field."""
        if isinstance(step, (Create, Update, Delete, PutConfiguration, RotateSecret, CloseConnections)):
            if decision.cloud is None:
                raise ValueError("a remote step without an account")
            await decision.cloud.execute(step)
            return changed_fields(step)
        there = None
        if isinstance(step, (ApplyObject, WriteConnectorSecret)):
            manifest = thaw(step.manifest)
            meta = manifest["metadata"]
            there = self._store.get(manifest["kind"], meta["namespace"], meta["name"])
        fields = changed_fields(step, there)
        await self._cluster.execute(step)
        return fields


def _order(key: Key) -> tuple[int, str]:
    """Go by what needs what when things are made, so that the steps come in few rounds."""
    return _ORDER.index(type(key)), str(key)


def _merged(items: Iterable[Item]) -> tuple[Item, ...]:
    """Put pauses together that follow one another; the last ones lead to nothing."""
    found: list[Item] = []
    for item in items:
        if found and isinstance(item, Pause) and isinstance(found[-1], Pause):
            found[-1] = Pause(found[-1].seconds + item.seconds)
        else:
            found.append(item)
    while found and isinstance(found[-1], Pause):
        found.pop()
    return tuple(found)


def _findings(decisions: Iterable[Decision]) -> tuple[Finding, ...]:
    found: dict[tuple[str, str, str], Finding] = {}
    for decision in decisions:
        for write in decision.statuses:
            conditions = {str(one["type"]): one for one in write.status.get("conditions") or ()}
            ready: Mapping[str, Any] = conditions.get("Ready", {})
            if ready.get("status") == "True":
                continue
            meta = write.raw["metadata"]
            place = (write.kind, meta.get("namespace", ""), meta["name"])
            reason, message = str(ready.get("reason", "")), str(ready.get("message", ""))
            found[place] = Finding(*place, reason, message, stalled="Stalled" in conditions)
    return tuple(found[place] for place in sorted(found))
