"""All that can be looked at, in one place."""

from __future__ import annotations

from tunnelpool.build.snapshot import HostSnapshot, MonitorSnapshot, PoolSnapshot, Site, TunnelSnapshot
from tunnelpool.crd.v1alpha1 import Tunnel
from tunnelpool.domain.keys import HostKey, MonitorKey, PoolKey, TunnelKey
from tunnelpool.domain.reasons import Problem
from tunnelpool.engine.address_keeper import RangesNow
from tunnelpool.engine.connectors import Connectors
from tunnelpool.engine.credentials import Credentials
from tunnelpool.engine.gather.accounts import Accounts
from tunnelpool.engine.gather.hosts import Hosts
from tunnelpool.engine.gather.kept_origins import KeptOrigins
from tunnelpool.engine.gather.monitors import Monitors
from tunnelpool.engine.gather.pools import Pools
from tunnelpool.engine.gather.remains import Remains
from tunnelpool.engine.gather.tunnels import Tunnels
from tunnelpool.engine.ports import Cloud
from tunnelpool.engine.topology import Topology


class Gatherer:
    """Builds one snapshot for each kind of key, and hands out the account that it is in, if it is open."""

    def __init__(
        self,
        topology: Topology,
        connectors: Connectors,
        credentials: Credentials,
        site: Site,
        ranges: RangesNow = lambda: None,
    ) -> None:
        accounts = Accounts(topology, credentials)
        origins = KeptOrigins(topology.store, connectors, site)
        self.remains = Remains(topology, credentials, site)
        self._monitors = Monitors(topology, accounts, site)
        self._pools = Pools(topology, accounts, origins, self._monitors, site, ranges)
        self._hosts = Hosts(topology, accounts, origins, self._pools)
        self._tunnels = Tunnels(topology, accounts, origins, self._pools, self._hosts, site)

    async def tunnel(self, key: TunnelKey) -> tuple[TunnelSnapshot, Cloud | None]:
        """Look at a Tunnel, its origins, its pool and its host name."""
        return await self._tunnels.look(key)

    async def monitor(self, key: MonitorKey) -> tuple[MonitorSnapshot, Cloud | None]:
        """Look at a HealthCheck, its monitor and those who use it."""
        return await self._monitors.look(key)

    async def pool(self, key: PoolKey) -> tuple[PoolSnapshot, Cloud | None]:
        """Look at a pool, its members, its health check and the load balancers that refer to it."""
        return await self._pools.look(key)

    async def host(self, key: HostKey) -> HostSnapshot:
        """Look at a host name: who claims it, what answers for it, and the pools that may."""
        return await self._hosts.look(key)

    async def host_and_cloud(self, key: HostKey) -> tuple[HostSnapshot, Cloud | None]:
        """Look at a host name, and hand out the account that it is in."""
        return await self._hosts.look_with_cloud(key)

    def conflict(self, tunnel: Tunnel) -> Problem | None:
        """Say why a Tunnel may not have its pool or its host name: somebody else was there before."""
        return self._tunnels.conflict(tunnel)
