"""Which origins are probed, and when: at once when a monitor is attached, then at its interval."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from localedge.balance.topology import Topology
from localedge.clock import Clock
from localedge.journal import Journal
from localedge.probe.book import HealthBook
from localedge.probe.round import Prober, Target
from localedge.probe.verdict import judge
from localedge.state.records import Document
from localedge.state.store import VisibleState

logger = logging.getLogger(__name__)

Key = tuple[str, str]
"""Pool id and origin address."""


def targets(topology: Topology) -> dict[Key, Target]:
    """List what is to be probed: enabled origins of enabled pools that have a monitor."""
    monitors, tunnels = topology.state.monitors, topology.state.tunnels
    return {
        (pool.id, origin.address): Target(
            pool.id,
            pool.name,
            origin,
            monitors[pool.monitor_id],
            foreign=origin.tunnel_id is not None and origin.tunnel_id not in tunnels,
        )
        for pool in topology.pools.values()
        if pool.enabled and pool.monitor_id is not None
        for origin in pool.origins
        if origin.enabled
    }


class ProbeSchedule:
    """Keeps one task for each probed origin, following the configuration as the data plane sees it."""

    def __init__(
        self, visible: VisibleState, prober: Prober, book: HealthBook, clock: Clock, journal: Journal
    ) -> None:
        self._visible = visible
        self._prober = prober
        self._book = book
        self._clock = clock
        self._journal = journal
        self._targets: dict[Key, Target] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follow the visible configuration for ever; cancelling ends all probes."""
        try:
            topology = Topology(self._visible.current())
            while True:
                self._reconcile(targets(topology))
                topology = topology.successor(await self._visible.beyond(topology.state.version))
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _reconcile(self, wanted: dict[Key, Target]) -> None:
        for key, task in list(self._tasks.items()):
            if key not in wanted or wanted[key].monitor["id"] != self._targets[key].monitor["id"]:
                task.cancel()
                del self._tasks[key]
                self._book.forget(*key)
        self._targets = wanted
        for key in wanted:
            if key not in self._tasks:
                self._tasks[key] = asyncio.create_task(self._keep_probing(key), name=f"probe {key}")

    async def _keep_probing(self, key: Key) -> None:
        while True:
            due = self._clock.now()
            target = self._targets[key]
            await self._probe(key, target)
            due += target.monitor["interval"]
            await self._clock.sleep(max(0.0, due - self._clock.now()))

    async def _probe(self, key: Key, target: Target) -> None:
        try:
            result = await self._prober.round(target)
        except Exception:
            # One broken probe must not end the monitor: the origin keeps its verdict until the next.
            logger.exception("probe of %s in pool %s", target.origin.address, target.pool_name)
            return
        monitor: Document = target.monitor
        with contextlib.suppress(KeyError):
            # Edited while the probe was under way: the newest counts decide.
            monitor = self._targets[key].monitor
        before = self._book.health(*key)
        after = judge(before, result, up=monitor["consecutive_up"], down=monitor["consecutive_down"])
        self._book.note(*key, after)
        self._journal.note(
            time=self._clock.timestamp(),
            pool=target.pool_name,
            origin=target.origin.name,
            address=target.origin.address,
            failure=result.failure,
            response_code=result.response_code,
            healthy=after.healthy,
            changed=before.healthy is not after.healthy,
        )
