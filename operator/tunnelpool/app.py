"""The composition root: the only place that makes the parts and knows them all.

Order at the start: settings, the way to both APIs, the feed; once every kind is synced the lease is
sought, and with it the writers start: a standby is a process that has not come further than that.
Order at the end: writers finish what they are at, the lease is given back, then the feed, then the
connections.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import os
import signal
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from tunnelpool.cloudflare.account import CloudAccounts
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.transport import Transport
from tunnelpool.domain.errors import ApiError
from tunnelpool.domain.keys import Key
from tunnelpool.domain.kinds import WATCHED
from tunnelpool.domain.reasons import Problem
from tunnelpool.engine.address_keeper import AddressKeeper
from tunnelpool.engine.backoff import Backoff
from tunnelpool.engine.clock import SystemClock
from tunnelpool.engine.connectors import Connectors
from tunnelpool.engine.controller import Controller, run_workers
from tunnelpool.engine.credentials import Credentials, SecretRef
from tunnelpool.engine.decide import Decider
from tunnelpool.engine.election import Elector
from tunnelpool.engine.gather.gatherer import Gatherer
from tunnelpool.engine.queue import Lane, WorkQueue
from tunnelpool.engine.site import owner_of_cluster, site_of
from tunnelpool.engine.store import Raw, Store
from tunnelpool.engine.sweeper import Sweeper
from tunnelpool.engine.topology import KINDS, Topology
from tunnelpool.kube.access import open_access
from tunnelpool.kube.client import KubeClient
from tunnelpool.kube.cluster import KubeCluster
from tunnelpool.kube.events import EventRecorder
from tunnelpool.kube.lease import CALL_S, KubeLease
from tunnelpool.ops.health import HealthServer
from tunnelpool.ops.logging import set_up_logging
from tunnelpool.ops.metrics import Metrics
from tunnelpool.ops.redaction import Redactor
from tunnelpool.plan.render import action_of, kind_of
from tunnelpool.plan.steps import Step
from tunnelpool.settings import Settings
from tunnelpool.watch.feed import Feed
from tunnelpool.watch.hearing import SILENT_AFTER_S

_log: Final = logging.getLogger(__name__)
_FINISH_S: Final = 20.0
"""How long writers may take to finish what they are at when the program ends."""
_STUCK_S: Final = 600.0
"""A worker that has been at one key for so long is stuck: the program should be started anew."""


class _Meter:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        self._metrics.reconciled(kind, result, seconds)

    def stepped(self, step: Step) -> None:
        self._metrics.step(kind_of(step), action_of(step))


async def run(settings: Settings) -> int:
    """Run the operator until a signal; answer with the exit status.

    0 after a signal, 1 when something ended that must not: a restart is cheap and writes nothing.
    """
    redactor = Redactor()
    set_up_logging(redactor, style=settings.log_format, level=settings.log_level)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _log.info("tunnelpool %s starts", importlib.metadata.version("tunnelpool"))
    metrics = Metrics()
    clock = SystemClock()
    async with AsyncExitStack() as connections:
        # A client of its own: a renewal must not wait behind other requests.
        lease_client = await KubeClient.connect(total_s=CALL_S)
        connections.push_async_callback(lease_client.close)
        lease = KubeLease(lease_client, settings.namespace, settings.lease_name)
        elector = Elector(lease, clock, _identity())
        client = await KubeClient.connect(fence=elector)
        connections.push_async_callback(client.close)
        transport = Transport(
            CloudflareSettings.within(settings.calls_per_five_minutes, api_url=settings.api_url),
            clock,
            fence=elector,
            on_call=metrics.cloudflare_request,
            on_wait=metrics.rate_limit_wait,
            user_agent=f"tunnelpool/{importlib.metadata.version('tunnelpool')}",
        )
        clouds = CloudAccounts(transport)
        connections.push_async_callback(clouds.aclose)
        cluster = KubeCluster(client, EventRecorder(client, clock))
        uid = await _cluster_uid(cluster, stop)
        if uid is None:
            return 0
        operator = Operator(settings, cluster, clouds, elector, clock, metrics, redactor, uid)
        status = await operator.run(stop)
    _log.info("tunnelpool has ended")
    return status


class Operator:
    """All parts, made and joined."""

    def __init__(
        self,
        settings: Settings,
        cluster: KubeCluster,
        clouds: CloudAccounts,
        elector: Elector,
        clock: SystemClock,
        metrics: Metrics,
        redactor: Redactor,
        cluster_uid: str,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._elector = elector
        ca = Path(settings.connector_ca_file).read_text() if settings.connector_ca_file else ""
        site = site_of(settings, owner_of_cluster(settings, cluster_uid), ca)
        self._queue: WorkQueue[Key] = WorkQueue(clock)
        self._store = Store()
        self._credentials = Credentials(
            cluster, clouds, clock, SecretRef(settings.namespace, settings.credentials_secret)
        )
        self._topology = Topology(self._store, self._credentials, site.hostname_policy)
        connectors = Connectors(self._store, clock)
        self._store.add_listener(self._changed)
        self._feed = Feed(self._store, cluster.list_pages, open_access)
        self._keeper = AddressKeeper(self._store, clouds, cluster, settings.namespace, self._concerns)
        failures: dict[Key, Problem] = {}
        decider = Decider(
            Gatherer(self._topology, connectors, self._credentials, site, lambda: self._keeper.current),
            self._topology,
            site,
            clock,
            failures,
            self._evidence_holds,
        )
        self._controller = Controller(
            store=self._store,
            queue=self._queue,
            topology=self._topology,
            decider=decider,
            cluster=cluster,
            clock=clock,
            failures=failures,
            meter=_Meter(metrics),
        )
        self._sweeper = Sweeper(self._credentials, self._queue, site.owner, self._topology.neighbours)
        self._credentials.on_change = self._reopened
        self._credentials.on_token = redactor.register
        self._kinds = frozenset(kind.name for kind in WATCHED)

    async def run(self, stop: asyncio.Event) -> int:
        """Run until `stop` is set, or until a part ends that must not; the lease is lost only once."""
        health = self._health()
        host, _, port = self._settings.listen.rpartition(":")
        await health.start(host.strip("[]"), int(port))
        feed = asyncio.create_task(self._feed.run(), name="feed")
        election = asyncio.create_task(self._lead(), name="election")
        writers = asyncio.create_task(self._write(), name="writers")
        stopped = asyncio.create_task(stop.wait(), name="signal")
        tasks: tuple[asyncio.Task[Any], ...] = (writers, stopped, feed, election)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            status = 0 if stop.is_set() else 1
            _log.info("stopping: writers first")
            if await self._finish(writers):
                election.cancel()
                await asyncio.gather(election, return_exceptions=True)
                await self._elector.release()
            for task in (feed, writers, election):
                if task.done() and not task.cancelled() and task.exception() is not None:
                    _log.error("%s has ended", task.get_name(), exc_info=task.exception())
            return status
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await health.stop()

    async def _lead(self) -> None:
        """Seek the lease once the store is complete: before that, what is missing proves nothing."""
        await self._store.wait_synced(self._kinds)
        _log.info("every kind is synced")
        await self._elector.run()

    async def _write(self) -> None:
        """Start the writers once the lease is ours; what has changed until then waits in the queue."""
        await self._elector.elected.wait()
        background = [
            asyncio.create_task(self._sweeper.run(), name="sweeper"),
            asyncio.create_task(self._keeper.run(), name="address keeper"),
        ]
        try:
            workers = asyncio.create_task(run_workers(self._controller, self._settings.workers))
            await asyncio.wait({workers, *background}, return_when=asyncio.FIRST_COMPLETED)
            self._queue.close()  # the workers were told to end, or one of the others has failed
            await workers
            for task in background:
                if task.done():
                    await task
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)

    async def _finish(self, writers: asyncio.Task[None]) -> bool:
        """Let the writers end, and tell whether they have."""
        self._queue.close()
        if not self._elector.elected.is_set():
            writers.cancel()
        _, late = await asyncio.wait({writers}, timeout=_FINISH_S)
        if late:
            _log.warning("writers did not finish within %.0f s", _FINISH_S)
        return not late

    def _changed(self, kind: str, before: Raw | None, after: Raw | None) -> None:
        for raw in (before, after):
            if raw is not None:
                self._concerns(kind, raw)

    def _concerns(self, kind: str, raw: Raw) -> None:
        lane = Lane.USER if kind in KINDS else Lane.TRAFFIC
        for key in self._topology.keys_of(kind, raw):
            self._queue.add(key, lane)

    def _reopened(self, secret: SecretRef) -> None:
        for key in self._topology.keys_with(secret):
            self._queue.add(key, Lane.USER)

    def _evidence_holds(self) -> bool:
        ages = self._feed.ages()
        return bool(ages) and max(ages.values()) < SILENT_AFTER_S

    def _health(self) -> HealthServer:
        self._metrics.read_queue(self._depths)
        self._metrics.read_store(
            lambda: {kind: self._store.synced(frozenset({kind})) for kind in self._kinds}
        )
        self._metrics.read_watches(self._feed.ages)
        self._metrics.read_leader(self._elector.leads)
        return HealthServer(
            live={"workers": self._stuck}, ready={"store": self._unsynced}, metrics=self._metrics.text
        )

    def _depths(self) -> Mapping[str, int]:
        return {"waiting": len(self._queue), "running": self._queue.busy, "delayed": self._queue.delayed}

    def _unsynced(self) -> str | None:
        missing = sorted(kind for kind in self._kinds if not self._store.synced(frozenset({kind})))
        return f"not listed yet: {', '.join(missing)}" if missing else None

    def _stuck(self) -> str | None:
        longest = self._controller.longest_s()
        return f"a worker has been at one key for {longest:.0f} s" if longest > _STUCK_S else None


def _identity() -> str:
    """Name this process in the lease: the pod for people, and what tells it from its last start."""
    return f"{os.environ.get('HOSTNAME') or 'tunnelpool'}_{uuid.uuid4().hex[:8]}"


async def _cluster_uid(cluster: KubeCluster, stop: asyncio.Event) -> str | None:
    """Read the UID of kube-system, for as long as it takes; None if the program is to stop."""
    backoff = Backoff()
    while not stop.is_set():
        try:
            return await cluster.uid_of_cluster()
        except ApiError as error:
            wait_s = backoff.next("uid")
            _log.warning("cannot read the namespace kube-system, will try again: %s", error.message)
            try:
                async with asyncio.timeout(wait_s):
                    await stop.wait()
            except TimeoutError:
                continue
    return None
