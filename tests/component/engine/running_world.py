"""A cluster, a Cloudflare account and an operator between them, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from pods import Pods
from remote_account import ACCOUNT_ID, TOKEN, KeptClouds, RemoteAccount
from small_cluster import SmallCluster

from tunnelpool.build.sharing import takes_part
from tunnelpool.build.snapshot import FINALIZER, ConnectorDefaults, Site
from tunnelpool.domain.hostname_policy import NO_POLICY, HostnamePolicy
from tunnelpool.domain.keeping import kept
from tunnelpool.domain.keys import Key
from tunnelpool.domain.kinds import WATCHED
from tunnelpool.domain.ownership import Owner
from tunnelpool.domain.reasons import Problem
from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Monitor, Origin, Pool, Tunnel
from tunnelpool.engine.address_keeper import AddressKeeper
from tunnelpool.engine.connectors import Connectors
from tunnelpool.engine.controller import Controller, run_workers
from tunnelpool.engine.credentials import Credentials, SecretRef
from tunnelpool.engine.decide import Decider
from tunnelpool.engine.gather.gatherer import Gatherer
from tunnelpool.engine.ports import Clouds
from tunnelpool.engine.queue import Lane, WorkQueue
from tunnelpool.engine.store import Raw, Store
from tunnelpool.engine.sweeper import Sweeper
from tunnelpool.engine.topology import KINDS, Topology
from tunnelpool.plan.steps import Step

EPOCH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
OWNER = Owner("here", "0123abcd")
DEFAULT_SECRET = SecretRef("tunnelpool-system", "cloudflare-credentials")
WATCH_LAG_S = 0.05
PROBE_EVERY_S = 60.0
QUIET_S = 90.0
"""Longer than any listing's age and any wait for what may still change by itself."""


class Killed(BaseException):
    """The operator's process has ended, in the middle of something."""


class LoopClock:
    """The time of the running loop, which looptime steps."""

    def monotonic(self) -> float:
        """Tell the time."""
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        """Tell the time of day."""
        return EPOCH + self.monotonic()


class Meter:
    """Keeps what was counted."""

    def __init__(self) -> None:
        self.results: list[tuple[str, str]] = []
        self.steps: list[Step] = []

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Count a reconciliation."""
        del seconds
        self.results.append((kind, result))

    def stepped(self, step: Step) -> None:
        """Count a step."""
        self.steps.append(step)


class Operator:
    """One process of the operator: everything that it knows ends with it."""

    def __init__(
        self,
        cluster: SmallCluster,
        remotes: dict[str, RemoteAccount],
        *,
        owner: Owner = OWNER,
        fast_failover: bool = True,
        mass_deletion: bool = False,
        hostname_policy: HostnamePolicy = NO_POLICY,
        clouds: Clouds | None = None,
    ) -> None:
        """Make one; `clouds` are accounts elsewhere, instead of those in memory."""
        clock = LoopClock()
        site = Site(
            owner, ConnectorDefaults("cloudflared:test"), fast_failover, mass_deletion, hostname_policy
        )
        self._cluster = cluster
        self.meter = Meter()
        self.failures: dict[Key, Problem] = {}
        self.queue: WorkQueue[Key] = WorkQueue(clock)
        self.store = Store()
        self.credentials = Credentials(cluster, clouds or KeptClouds(remotes), clock, DEFAULT_SECRET)
        self.topology = Topology(self.store, self.credentials, hostname_policy)
        connectors = Connectors(self.store, clock)
        self.store.add_listener(self._changed)
        namespace = DEFAULT_SECRET.namespace
        self.keeper = AddressKeeper(self.store, KeptClouds(remotes), cluster, namespace, self._concerns)
        gatherer = Gatherer(self.topology, connectors, self.credentials, site, lambda: self.keeper.current)
        self.evidence_holds = True
        decider = Decider(gatherer, self.topology, site, clock, self.failures, lambda: self.evidence_holds)
        self.controller = Controller(
            store=self.store,
            queue=self.queue,
            topology=self.topology,
            decider=decider,
            cluster=cluster,
            clock=clock,
            failures=self.failures,
            meter=self.meter,
        )
        self.sweeper = Sweeper(self.credentials, self.queue, owner, self.topology.neighbours)
        self.credentials.on_change = self._reopened

    async def run(self) -> None:
        """List, watch, work, until cancelled or killed."""
        self._cluster.listeners.append(self._heard)
        try:
            for raw in self._cluster.all(*(kind.name for kind in WATCHED)):
                self.store.put(raw["kind"], kept(raw["kind"], raw))
            for kind in WATCHED:
                self.store.mark_synced(kind.name)
            async with asyncio.TaskGroup() as group:
                group.create_task(run_workers(self.controller, 2))
                group.create_task(self.sweeper.run())
                group.create_task(self.keeper.run())
        finally:
            self._cluster.listeners.remove(self._heard)
            self.queue.close()

    def _heard(self, kind: str, raw: dict[str, Any], gone: bool) -> None:
        if any(kind == watched.name for watched in WATCHED):
            asyncio.get_running_loop().call_later(WATCH_LAG_S, self._deliver, kind, raw, gone)

    def _deliver(self, kind: str, raw: dict[str, Any], gone: bool) -> None:
        meta = raw["metadata"]
        if gone:
            self.store.remove(kind, meta["namespace"], meta["name"], meta["uid"])
        else:
            self.store.put(kind, kept(kind, raw))

    def _changed(self, kind: str, before: Raw | None, after: Raw | None) -> None:
        for raw in (before, after):
            if raw is not None:
                self._concerns(kind, raw)

    def _concerns(self, kind: str, raw: Raw) -> None:
        lane = Lane.USER if kind in KINDS else Lane.TRAFFIC
        for key in self.topology.keys_of(kind, raw):
            self.queue.add(key, lane)

    def _reopened(self, secret: SecretRef) -> None:
        for key in self.topology.keys_with(secret):
            self.queue.add(key, Lane.USER)


class World:
    """Everything, and words for what a test does and sees. Entered within the test, in virtual time."""

    def __init__(self, owner: Owner = OWNER, remote: RemoteAccount | None = None) -> None:
        """Make a cluster of its own; `remote` is an account that another world has too."""
        clock = LoopClock()
        self.owner = owner
        self.remote = remote or RemoteAccount(clock)
        self.remotes = {ACCOUNT_ID: self.remote}
        self.cluster = SmallCluster(clock)
        self.pods = Pods(self.cluster, self.remote)
        self.fast_failover = True
        self.mass_deletion = False
        self.hostname_policy = NO_POLICY
        self.operator: Operator | None = None
        self._running: asyncio.Task[None] | None = None
        self._prober: asyncio.Task[None] | None = None
        self.set_credentials(TOKEN)

    async def __aenter__(self) -> Self:
        """Start the probes; the operator is started by the test."""
        self._prober = asyncio.get_running_loop().create_task(self._probe())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all of it."""
        await self.stop()
        await self.pods.stop()
        if self._prober is not None:
            self._prober.cancel()
            await asyncio.gather(self._prober, return_exceptions=True)

    # -- the operator -----------------------------------------------------------------------------

    async def start(self) -> Operator:
        """Start a fresh operator."""
        self.operator = Operator(
            self.cluster,
            self.remotes,
            owner=self.owner,
            fast_failover=self.fast_failover,
            mass_deletion=self.mass_deletion,
            hostname_policy=self.hostname_policy,
        )
        self._running = asyncio.get_running_loop().create_task(self.operator.run())
        return self.operator

    async def stop(self) -> None:
        """End the operator between two calls."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError, Killed, BaseExceptionGroup):
                await self._running
            self._running = None

    async def restart(self) -> Operator:
        """End the operator and start another."""
        await self.stop()
        return await self.start()

    @property
    def crashed(self) -> bool:
        """Tell whether the operator has ended by itself."""
        return self._running is not None and self._running.done()

    def trip(self, act: Callable[[str, str], None]) -> None:
        """Call `act` at each call of the operator to either API; see `remote_account.Trip`."""
        self.remote.trip = self.cluster.trip = act

    def set_credentials(self, token: str, ref: SecretRef = DEFAULT_SECRET, account: str = ACCOUNT_ID) -> None:
        """Write the Secret that opens the account."""
        data = {"apiToken": token.encode(), "accountId": account.encode()}
        self.cluster.secrets[ref.namespace, ref.name] = data

    # -- waiting ----------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], object], within_s: float = 600.0, what: str = "") -> None:
        """Wait for a condition in virtual time.

        Raises:
            AssertionError: it does not come, or the operator has crashed.

        """
        for _ in range(int(within_s / 0.5)):
            if condition():
                return
            if self.crashed and self._running is not None:
                raise AssertionError("the operator has crashed") from self._running.exception()
            await asyncio.sleep(0.5)
        raise AssertionError(f"not within {within_s} s: {what or condition}")

    async def quiet(self, for_s: float = QUIET_S, within_s: float = 3600.0) -> None:
        """Wait until the operator has written nothing for a while.

        Raises:
            AssertionError: it does not come to rest, or it has crashed.

        """
        rest, seen = 0.0, self.writes()
        for _ in range(int(within_s / 5.0)):
            await asyncio.sleep(5.0)
            if self.crashed and self._running is not None:
                raise AssertionError("the operator has crashed") from self._running.exception()
            rest, seen = (rest + 5.0, seen) if self.writes() == seen else (0.0, self.writes())
            if rest >= for_s:
                self.assert_sound()
                return
        tail = [*self.cluster.log[-6:], *map(str, self.remote.log[-3:])]
        raise AssertionError("no rest: " + "\n".join(tail))

    def writes(self) -> int:
        """Count what the operator has written to either API."""
        return len(self.remote.log) + len(self.cluster.log)

    # -- what is there ----------------------------------------------------------------------------

    def status(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
        """Read a status."""
        raw = self.cluster.get(kind, name, namespace)
        assert raw is not None, f"no {kind} {namespace}/{name}"
        status: dict[str, Any] = raw.get("status") or {}
        return status

    def condition(self, kind: str, name: str, type_: str = "Ready", namespace: str = "default") -> str:
        """Read a condition as `status/reason`; empty if it is not there."""
        for one in self.status(kind, name, namespace).get("conditions", ()):
            if one["type"] == type_:
                return f"{one['status']}/{one['reason']}"
        return ""

    def message(self, kind: str, name: str, namespace: str = "default") -> str:
        """Read the message of Ready."""
        conditions = self.status(kind, name, namespace)["conditions"]
        return next(str(one["message"]) for one in conditions if one["type"] == "Ready")

    def is_ready(self) -> bool:
        """Tell whether every resource is ready."""
        kinds = ("Tunnel", "LBPool", "HealthCheck", "LoadBalancer")
        return all(
            self.condition(raw["kind"], raw["metadata"]["name"], namespace=raw["metadata"]["namespace"])
            == "True/Ready"
            for raw in self.cluster.all(*kinds)
        )

    def origins(self, pool: str) -> dict[str, Origin]:
        """List the origins of a pool by the last part of their name; empty if there is no pool."""
        for one in self.remote.all(Pool):
            if one.value.name == pool:
                return {origin.name.rpartition("_")[2]: origin for origin in one.value.origins}
        return {}

    def enabled(self, pool: str) -> set[str]:
        """List the origins of a pool that are enabled."""
        return {name for name, origin in self.origins(pool).items() if origin.enabled}

    def remains(self) -> list[str]:
        """List what is left of the operator's work on both sides."""
        left = [one.title for one in self.remote.objects.values() if takes_part(one.value, self.owner)]
        for raw in self.cluster.all():
            meta = raw["metadata"]
            if FINALIZER in (meta.get("finalizers") or ()) or raw["kind"] in {"Deployment", "Secret", "Pod"}:
                left.append(f"{raw['kind']} {meta['name']}")
        return left

    def assert_sound(self) -> None:
        """Check what must hold whatever happens: no duplicates, and statuses as kstatus wants them."""
        for model in (Tunnel, Pool, LoadBalancer, DnsRecord, Monitor):
            titles = [one.title for one in self.remote.all(model)]
            assert len(titles) == len(set(titles)), titles
        for raw in self.cluster.all("Tunnel", "LBPool", "HealthCheck", "LoadBalancer"):
            present = {one["type"] for one in raw["status"]["conditions"] if one["status"] == "True"}
            assert not {"Reconciling", "Stalled"} <= present, raw["status"]
            rests = any(one["reason"] == "Suspended" for one in raw["status"]["conditions"])
            assert len(present & {"Ready", "Reconciling", "Stalled"}) == (0 if rests else 1), raw["status"]
            assert raw["status"]["observedGeneration"] == raw["metadata"]["generation"], raw

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            self.remote.probe()
