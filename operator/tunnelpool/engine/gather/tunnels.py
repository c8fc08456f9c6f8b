"""What the reconciliation of a Tunnel sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tunnelpool.build.ownership import is_ours
from tunnelpool.build.sharing import takes_part
from tunnelpool.build.snapshot import FurtherHost, HostSnapshot, PoolView, Raw, Site, Slot, TunnelSnapshot
from tunnelpool.crd.v1alpha1 import Tunnel
from tunnelpool.domain.hostnames import canonical_hostname
from tunnelpool.domain.keys import HostKey, PoolKey, TunnelKey
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.domain.remote import ObservedPool, tunnel_address
from tunnelpool.engine.credentials import Opened
from tunnelpool.engine.gather.accounts import Accounts
from tunnelpool.engine.gather.hosts import Hosts
from tunnelpool.engine.gather.namesakes import tunnel_of_namesake
from tunnelpool.engine.gather.origins import Origins
from tunnelpool.engine.gather.pools import Pools
from tunnelpool.engine.ports import Cloud
from tunnelpool.engine.topology import Topology


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
            followed = self._origins.followed(tunnel, ()) if tunnel else None
            return TunnelSnapshot(
                key.namespace, key.name, tunnel, raw, slots, budget, followed, problem=opened
            ), None
        cloud = opened.cloud
        found = self._origins.slots(key.namespace, key.name, tunnel, await cloud.tunnels())
        slots = tuple(
            replace(slot, shown=cloud.configuration(slot.remote.id)) if slot.remote else slot
            for slot in found
        )
        taken = tunnel_of_namesake(key, slots, await cloud.tunnels(), self._site.owner)
        if taken is not None:
            return TunnelSnapshot(key.namespace, key.name, tunnel, raw, slots, budget, problem=taken), cloud
        names = {one.value.name for slot in slots for one in (slot.remote, *slot.duplicates) if one}
        holding: tuple[ObservedPool, ...] = ()
        if names or (tunnel is not None and any(tunnel.spec.hosts.values())):
            pools = await cloud.pools()
            holding = tuple(one for one in pools if any(o.name in names for o in one.value.origins))
        if tunnel is None:
            snapshot = TunnelSnapshot(key.namespace, key.name, None, raw, slots, budget, pools=holding)
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
        left: list[str] = []
        pointed_at: set[str] = set()
        seen: list[FurtherHost] = []
        for hostname, pool in tunnel.spec.hosts.items():
            host = await self._hosts.look(HostKey(canonical_hostname(hostname)))
            view = await self._pools.view(meta.namespace, pool, opened) if pool else None
            one = await self._answering(host, view, opened)
            seen.append(one)
            left += self._derived_left(tunnel, view, host, opened.account_id, record=one.record)
            if one.record:
                contents = {record.value.content for record in host.records}
                pointed_at |= {
                    s.remote.id for s in slots if s.remote and tunnel_address(s.remote.id) in contents
                }
        own, *further = seen
        return TunnelSnapshot(
            namespace=meta.namespace,
            name=meta.name,
            tunnel=tunnel,
            raw=raw,
            slots=slots,
            disruption_budget=budget,
            followed=self._origins.followed(tunnel, await opened.cloud.tunnels()),
            pools=holding,
            pool=own.pool,
            load_balancer=own.load_balancer,
            balanced_pools=own.balanced_pools,
            record=own.record,
            further=tuple(further),
            pointed_at=frozenset(pointed_at),
            derived_left=tuple(left),
        )

    async def _answering(self, host: HostSnapshot, view: PoolView | None, opened: Opened) -> FurtherHost:
        """See what answers for one hostname."""
        there = host.observed
        balancer = there if there and takes_part(there.value, self._site.owner) else None
        balanced: Mapping[str, ObservedPool] = {}
        if balancer is not None:
            wanted = balancer.value.pools
            balanced = {one.id: one for one in await opened.cloud.pools() if one.id in wanted}
        record = any(is_ours(one.value, self._site.owner) for one in host.records)
        return FurtherHost(host.hostname, view, balancer, balanced, record)

    def _derived_left(
        self, tunnel: Tunnel, view: PoolView | None, host: HostSnapshot, account_id: str, *, record: bool
    ) -> Iterator[str]:
        """Say what is still there only because of this Tunnel, when it is the last to name it."""
        others = [one for one in host.members if one.tunnel.metadata.uid != tunnel.metadata.uid]
        claimed = any(not one.tunnel.deleting for one in others) or any(
            not one.deleting for one in host.load_balancers
        )
        ours = host.observed is not None and takes_part(host.observed.value, self._site.owner)
        if not claimed and (ours or record):
            yield f"what answers for '{host.hostname}'"
        if view is not None and view.observed is not None and self._is_last(tunnel, view, account_id):
            yield f"pool '{view.name}'"

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
        refused = self._topology.refusal(tunnel, *tunnel.spec.hosts)
        if refused is not None:
            return refused
        joined: dict[PoolKey, str] = {}
        for hostname, pool in tunnel.spec.hosts.items():
            problem = self._conflict_at(tunnel, canonical_hostname(hostname), pool, joined)
            if problem is not None:
                return problem
        return None

    def _conflict_at(
        self, tunnel: Tunnel, hostname: str, pool: str | None, joined: dict[PoolKey, str]
    ) -> Problem | None:
        """Look at one hostname; `joined` holds the pools of those before, by hostname."""
        topology, meta = self._topology, tunnel.metadata
        rivals = topology.claims_at(hostname)
        if rivals and rivals[0].metadata.namespace != meta.namespace:
            message = f"{rivals[0]} is older and claims hostname '{hostname}'"
            return Problem(Reason.CONFLICT, message, stalled=True)
        if not pool:
            return None
        lbpool = topology.lbpool(meta.namespace, pool)
        if lbpool is not None and lbpool.spec.origins and not lbpool.deleting:
            message = (
                f"LBPool '{pool}' has `origins` with addresses, and a pool holds tunnel origins "
                "or address origins, never both: name another pool"
            )
            return Problem(Reason.MIXED_POOL, message, stalled=True)
        key = topology.pool_key(meta.namespace, pool, topology.secret_of(tunnel))
        claims = topology.claims(key.name, key.account)
        if claims and claims[0].metadata.namespace != meta.namespace:
            message = f"{claims[0]} is older and claims pool '{key.name}'"
            return Problem(Reason.CONFLICT, message, stalled=True)
        first = joined.setdefault(key, hostname)
        if first != hostname:
            message = (
                f"hostnames '{first}' and '{hostname}' both join pool '{key.name}' at Cloudflare, which "
                "cannot hold one tunnel twice: name a pool for each"
            )
            return Problem(Reason.POOL_NAMED_TWICE, message, stalled=True)
        return None
