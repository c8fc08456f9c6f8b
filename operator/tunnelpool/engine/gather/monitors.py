"""What the reconciliation of a HealthCheck sees."""

from __future__ import annotations

from dataclasses import replace

from tunnelpool.build.ownership import is_unowned
from tunnelpool.build.sharing import takes_care
from tunnelpool.build.snapshot import MonitorSnapshot, Site
from tunnelpool.crd.v1alpha1 import HealthCheck
from tunnelpool.domain.keys import MonitorKey
from tunnelpool.domain.ownership import read_mark
from tunnelpool.domain.reasons import Problem
from tunnelpool.domain.remote import Monitor, Observed, ObservedPool
from tunnelpool.engine.credentials import Opened
from tunnelpool.engine.gather.accounts import Accounts
from tunnelpool.engine.gather.namesakes import monitor_of_namesake
from tunnelpool.engine.ports import Cloud
from tunnelpool.engine.topology import Topology


class Monitors:
    """Looks at HealthChecks and their monitors."""

    def __init__(self, topology: Topology, accounts: Accounts, site: Site) -> None:
        self._topology = topology
        self._accounts = accounts
        self._site = site

    async def look(self, key: MonitorKey) -> tuple[MonitorSnapshot, Cloud | None]:
        """Look at a HealthCheck, its monitor and those who use it."""
        raw = self._topology.store.get("HealthCheck", key.namespace, key.name)
        check = self._topology.typed("HealthCheck", raw) if raw else None
        used_by = self._topology.lbpools_checked_by(key.namespace, key.name)
        left = await self._accounts.holding(f"of={key}") if check is None else None
        opened = left or await self._accounts.open_for([check] if check else [])
        if isinstance(opened, Problem):
            return MonitorSnapshot(key.namespace, key.name, check, raw, problem=opened, used_by=used_by), None
        monitors = await opened.cloud.monitors()
        marked = await self.marked(key, opened)
        taken = monitor_of_namesake(key, monitors, self._site.owner) if check and not marked else None
        if taken is not None:
            return MonitorSnapshot(key.namespace, key.name, check, raw, problem=taken, used_by=used_by), None
        hostnames = frozenset(
            tunnel.spec.hostname_in(pool.metadata.name)
            for pool in used_by
            for tunnel in self._topology.tunnels_naming(key.namespace, pool.metadata.name)
        )
        snapshot = MonitorSnapshot(
            namespace=key.namespace,
            name=key.name,
            health_check=check,
            raw=raw,
            observed=marked or await self._adoptable(check, opened),
            used_by=used_by,
            in_use=frozenset(one.value.monitor for one in await opened.cloud.pools() if one.value.monitor),
            tunnel_hostnames=hostnames,
        )
        return snapshot, opened.cloud

    async def _adoptable(self, check: HealthCheck | None, opened: Opened) -> tuple[Observed[Monitor], ...]:
        """Find the one monitor without mark that has the description of a HealthCheck which adopts."""
        if check is None or not check.adopts or not check.spec.description:
            return ()
        same = [
            one
            for one in await opened.cloud.monitors()
            if one.value.description == check.spec.description and is_unowned(one.value)
        ]
        return tuple(same) if len(same) == 1 else ()

    async def alike(self, own: str, observed: ObservedPool | None, opened: Opened) -> str:
        """Take the monitor of a pool that another cluster has made for ours, if it checks the same."""
        if observed is None or takes_care(observed.value, self._site.owner):
            return own
        monitors = {one.id: replace(one.value, description="") for one in await opened.cloud.monitors()}
        theirs = observed.value.monitor
        return theirs if own in monitors and monitors.get(theirs) == monitors[own] else own

    async def marked(self, key: MonitorKey, opened: Opened) -> tuple[Observed[Monitor], ...]:
        """List the monitors that carry the mark of a HealthCheck: more than one after a lost answer."""
        found = []
        for one in await opened.cloud.monitors():
            mark = read_mark(one.value.description)
            if mark and self._site.owner.covers(mark.owner) and mark.of == str(key):
                found.append(one)
        return tuple(found)
