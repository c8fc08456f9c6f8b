"""What the reconciliation of a host name sees."""

from __future__ import annotations

from dataclasses import replace

from tunnelpool.build.host import pool_names
from tunnelpool.build.snapshot import HostSnapshot, Member, PoolView
from tunnelpool.domain.hostnames import zone_of
from tunnelpool.domain.keys import HostKey, PoolKey
from tunnelpool.domain.reasons import Problem
from tunnelpool.domain.remote import LoadBalancer as RemoteLoadBalancer
from tunnelpool.domain.remote import Observed, by_age
from tunnelpool.engine.credentials import Opened
from tunnelpool.engine.gather.accounts import Accounts
from tunnelpool.engine.gather.origins import Origins
from tunnelpool.engine.gather.pools import Pools
from tunnelpool.engine.ports import Cloud
from tunnelpool.engine.topology import Topology, first_claim, place_of


class Hosts:
    """Looks at host names: who claims one, what answers for it, and the pools that may."""

    def __init__(self, topology: Topology, accounts: Accounts, origins: Origins, pools: Pools) -> None:
        self._topology = topology
        self._accounts = accounts
        self._origins = origins
        self._pools = pools

    async def look(self, key: HostKey) -> HostSnapshot:
        """Look at a host name: who claims it, what answers for it, and the pools that may."""
        snapshot, _ = await self.look_with_cloud(key)
        return snapshot

    async def look_with_cloud(self, key: HostKey) -> tuple[HostSnapshot, Cloud | None]:
        """Look at a host name, and hand out the account that it is in."""
        topology = self._topology
        balancers, tunnels = topology.balancers_at(key.hostname), topology.tunnels_at(key.hostname)
        claims = topology.claims_at(key.hostname)
        raws = {
            place_of(b): raw for b in balancers if (raw := topology.store.get("LoadBalancer", *place_of(b)))
        }
        namespace, claimant = first_claim(claims)
        refusals = {
            one.metadata.namespace: topology.refusal(one, key.hostname) for one in (*balancers, *claims)
        }
        bare = HostSnapshot(
            key.hostname,
            namespace,
            claimant,
            balancers,
            raws,
            refusals={where: problem for where, problem in refusals.items() if problem is not None},
        )
        left = None if claims else await self._accounts.with_zone_of(key.hostname)
        opened = left or await self._accounts.open_for(claims)
        if isinstance(opened, Problem):
            return replace(bare, problem=opened), None
        cloud = opened.cloud
        zone = zone_of(key.hostname, await cloud.zones())
        if zone is None:
            return replace(bare, members=tuple(Member(tunnel, (), key.hostname) for tunnel in tunnels)), cloud
        remotes = await cloud.tunnels()
        members = tuple(
            self._origins.member(tunnel, remotes, key.hostname)
            for tunnel in tunnels
            if tunnel.metadata.namespace == namespace
        )
        same = by_age(one for one in await cloud.load_balancers(zone.id) if one.value.name == key.hostname)
        balancer = same[0] if same else None
        records = tuple(one for one in await cloud.dns_records(zone.id) if one.value.name == key.hostname)
        pools: dict[str, PoolView] = {}
        snapshot = replace(
            bare,
            members=members,
            zone=zone,
            observed=balancer,
            duplicates=same[1:],
            referred=await self._referred(balancer, opened),
            records=records,
            pools=pools,
        )
        for name in self._names(snapshot):
            pools[name] = await self._pools.view(namespace, name, opened)
        _, fallback = pool_names(snapshot)  # a derived one is known only once the first pool is
        if fallback and fallback not in pools:
            pools[fallback] = await self._pools.view(namespace, fallback, opened)
        return snapshot, cloud

    async def _referred(
        self, balancer: Observed[RemoteLoadBalancer] | None, opened: Opened
    ) -> tuple[PoolKey, ...]:
        wanted = balancer.value.pools if balancer else frozenset()
        pools = await opened.cloud.pools() if wanted else ()
        return tuple(PoolKey(opened.account_id, one.value.name) for one in pools if one.id in wanted)

    def _names(self, snapshot: HostSnapshot) -> tuple[str, ...]:
        names, fallback = pool_names(snapshot)
        further = dict.fromkeys(names)
        if fallback:
            further[fallback] = None
        for balancer in snapshot.load_balancers:
            further |= dict.fromkeys((*balancer.spec.pool_names, *balancer.spec.fallback_names))
        return tuple(further)
