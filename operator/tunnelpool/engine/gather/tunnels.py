"""What the reconciliation of a Tunnel sees."""

from __future__ import annotations

from collections.abc import Mapping

from tunnelpool.build.ownership import is_ours
from tunnelpool.build.snapshot import HostSnapshot, PoolView, Raw, Site, Slot, TunnelSnapshot
from tunnelpool.crd.v1alpha1 import Tunnel
from tunnelpool.domain.hostnames import canonical_hostname
from tunnelpool.domain.keys import HostKey, TunnelKey
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.domain.remote import ObservedPool
from tunnelpool.engine.credentials import Opened
from tunnelpool.engine.gather.accounts import Accounts
from tunnelpool.engine.gather.hosts import Hosts
from tunnelpool.engine.gather.origins import Origins
from tunnelpool.engine.gather.pools import Pools
from tunnelpool.engine.ports import Cloud
from tunnelpool.engine.topology import Topology, oldest_first


class Tunnels:
    """Looks at Tunnels, their origins, their pools and their host names."""

    def __init__(
        self, topology: Topology, accounts: Accounts, origins: Origins, pools: Pools, hosts: Hosts, site: Site
    ) -> None:
        self._topology = topology
        self._accounts = accounts
        self._origins = origins
        self._pools = pools
        self._hosts = hosts
        self._site = site

    async def look(self, key: TunnelKey) -> tuple[TunnelSnapshot, Cloud | None]:
        """Look at a Tunnel, its origins, its pool and its host name."""
        store = self._topology.store
        raw = store.get("Tunnel", key.namespace, key.name)
        tunnel = self._topology.typed("Tunnel", raw) if raw else None
        budget = store.get("PodDisruptionBudget", key.namespace, f"{key.name}-connectors")
        left = await self._accounts.holding(f"_{key.namespace}_{key.name}_") if tunnel is None else None
        opened = left or await self._accounts.open_for([tunnel] if tunnel else [])
        if isinstance(opened, Problem):
            slots = self._origins.slots(key.namespace, key.name, tunnel, ())
            return TunnelSnapshot(key.namespace, key.name, tunnel, raw, slots, budget, problem=opened), None
        cloud = opened.cloud
        slots = self._origins.slots(key.namespace, key.name, tunnel, await cloud.tunnels())
        names = {slot.remote.value.name for slot in slots if slot.remote}
        holding: tuple[ObservedPool, ...] = ()
        if names or (tunnel is not None and tunnel.spec.pool):
            pools = await cloud.pools()
            holding = tuple(one for one in pools if any(o.name in names for o in one.value.origins))
        if tunnel is None:
            snapshot = TunnelSnapshot(key.namespace, key.name, None, raw, slots, budget, holding)
            return snapshot, cloud
        return await self._whole(tunnel, raw, slots, budget, holding, opened), cloud

    async def _whole(
        self,
        tunnel: Tunnel,
        raw: Raw | None,
        slots: tuple[Slot, ...],
        budget: Raw | None,
        holding: tuple[ObservedPool, ...],
        opened: Opened,
    ) -> TunnelSnapshot:
        meta = tunnel.metadata
        host = await self._hosts.look(HostKey(canonical_hostname(tunnel.spec.hostname)))
        view = None
        if tunnel.spec.pool:
            view = await self._pools.view(meta.namespace, tunnel.spec.pool, opened)
        balancer = host.observed if host.observed and is_ours(host.observed.value, self._site.owner) else None
        balanced: Mapping[str, ObservedPool] = {}
        if balancer is not None:
            wanted = balancer.value.pools
            balanced = {one.id: one for one in await opened.cloud.pools() if one.id in wanted}
        record = any(is_ours(one.value, self._site.owner) for one in host.records)
        return TunnelSnapshot(
            namespace=meta.namespace,
            name=meta.name,
            tunnel=tunnel,
            raw=raw,
            slots=slots,
            disruption_budget=budget,
            pools=holding,
            pool=view,
            load_balancer=balancer,
            balanced_pools=balanced,
            record=record,
            derived_left=self._derived_left(tunnel, view, host, opened.account_id, record=record),
        )

    def _derived_left(
        self, tunnel: Tunnel, view: PoolView | None, host: HostSnapshot, account_id: str, *, record: bool
    ) -> tuple[str, ...]:
        """Say what is still there only because of this Tunnel, when it is the last to name it."""
        left = []
        others = [one for one in host.members if one.tunnel.metadata.uid != tunnel.metadata.uid]
        claimed = any(not one.tunnel.deleting for one in others) or any(
            not one.deleting for one in host.load_balancers
        )
        ours = host.observed is not None and is_ours(host.observed.value, self._site.owner)
        if not claimed and (ours or record):
            left.append(f"what answers for '{host.hostname}'")
        if view is not None and view.observed is not None and self._is_last(tunnel, view, account_id):
            left.append(f"pool '{view.name}'")
        return tuple(left)

    def _is_last(self, tunnel: Tunnel, view: PoolView, account_id: str) -> bool:
        """Tell whether nothing but this Tunnel keeps the pool: a winner elsewhere keeps it too."""
        if any(not member.tunnel.deleting for member in view.members):
            return False
        here = tunnel.metadata.namespace
        claims = self._topology.claims(view.name, account_id)
        if claims and claims[0].metadata.namespace != here:
            return False
        return view.lbpool is None or view.lbpool.deleting or not view.is_addresses

    def conflict(self, tunnel: Tunnel) -> Problem | None:
        """Say why a Tunnel may not have its pool or its host name: somebody else was there before."""
        topology, meta = self._topology, tunnel.metadata
        hostname = canonical_hostname(tunnel.spec.hostname)
        rivals = oldest_first((*topology.balancers_at(hostname), *topology.tunnels_at(hostname)))
        if rivals and rivals[0].metadata.namespace != meta.namespace:
            message = f"{rivals[0]} is older and claims hostname '{hostname}'"
            return Problem(Reason.CONFLICT, message, stalled=True)
        if not tunnel.spec.pool:
            return None
        lbpool = topology.lbpool(meta.namespace, tunnel.spec.pool)
        if lbpool is not None and lbpool.spec.origins:
            message = (
                f"LBPool '{tunnel.spec.pool}' has `origins` with addresses, and a pool holds tunnel origins "
                "or address origins, never both: name another pool"
            )
            return Problem(Reason.MIXED_POOL, message, stalled=True)
        key = topology.pool_key(meta.namespace, tunnel.spec.pool, topology.secret_of(tunnel))
        claims = topology.claims(key.name, key.account)
        if claims and claims[0].metadata.namespace != meta.namespace:
            message = f"{claims[0]} is older and claims pool '{key.name}'"
            return Problem(Reason.CONFLICT, message, stalled=True)
        return None
