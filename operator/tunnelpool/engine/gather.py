"""Snapshots for the builders: resources from the store, remote objects from the listings.

Everything that waits is here; what comes out is immutable. A problem that keeps Cloudflare from being
asked stands in the snapshot instead of an exception, so that status can still be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tunnelpool.build.health import serving
from tunnelpool.build.host import pool_names
from tunnelpool.build.manifests import SLOT_LABEL, wanted_slots
from tunnelpool.build.ownership import is_ours
from tunnelpool.build.pool import effective
from tunnelpool.build.snapshot import (
    HealthCheckView,
    HostSnapshot,
    Member,
    MonitorSnapshot,
    PoolSnapshot,
    PoolView,
    Raw,
    Site,
    Slot,
    TunnelSnapshot,
)
from tunnelpool.crd.v1alpha1 import LBPool, LoadBalancer, Tunnel
from tunnelpool.domain.errors import MissingPermissionError
from tunnelpool.domain.hostnames import canonical_hostname, zone_of
from tunnelpool.domain.keys import HostKey, MonitorKey, PoolKey, TunnelKey
from tunnelpool.domain.ownership import read_mark, read_tunnel_name
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.domain.remote import LoadBalancer as RemoteLoadBalancer
from tunnelpool.domain.remote import Monitor, Observed, ObservedPool, ObservedTunnel, Zone
from tunnelpool.engine.connectors import Connectors
from tunnelpool.engine.credentials import Credentials, Opened
from tunnelpool.engine.ports import Cloud
from tunnelpool.engine.topology import Topology, oldest_first


class Gatherer:
    """Builds one snapshot for each kind of key."""

    def __init__(
        self, topology: Topology, connectors: Connectors, credentials: Credentials, site: Site
    ) -> None:
        self._topology = topology
        self._connectors = connectors
        self._credentials = credentials
        self._site = site

    async def open_for(self, resources: Iterable[Tunnel | LBPool | LoadBalancer]) -> Opened | Problem:
        """Open the account of the first of these resources; the default one if there is none."""
        first = next(iter(resources), None)
        secret = self._topology.secret_of(first) if first else self._credentials.ref("", None)
        return await self._credentials.open(secret)

    def _opened(self, account_id: str) -> Opened | None:
        """Find an account by its id: what nobody claims any more names no Secret."""
        return next((one for one in self._credentials.opened() if one.account_id == account_id), None)

    async def _holder(self, name: str) -> Opened | None:
        """Find the account that holds a tunnel or a monitor whose resource is gone, by its name or mark."""
        for opened in self._credentials.opened():
            tunnels = [one.value.name for one in await opened.cloud.tunnels()]
            marks = [one.value.description for one in await opened.cloud.monitors()]
            if any(name in text for text in (*tunnels, *marks)):
                return opened
        return None

    async def _zone_holder(self, hostname: str) -> Opened | None:
        """Find the account whose zone holds a host name that nobody claims any more."""
        for opened in self._credentials.opened():
            if zone_of(hostname, await opened.cloud.zones()) is not None:
                return opened
        return None

    # -- tunnels --------------------------------------------------------------------------------

    async def tunnel(self, key: TunnelKey) -> tuple[TunnelSnapshot, Cloud | None]:
        """Look at a Tunnel, its origins, its pool and its host name."""
        store = self._topology.store
        raw = store.get("Tunnel", key.namespace, key.name)
        tunnel = self._topology.typed("Tunnel", raw) if raw else None
        budget = store.get("PodDisruptionBudget", key.namespace, f"{key.name}-connectors")
        left = await self._holder(f"_{key.namespace}_{key.name}_") if tunnel is None else None
        opened = left or await self.open_for([tunnel] if tunnel else [])
        if isinstance(opened, Problem):
            slots = self._slots(key.namespace, key.name, tunnel, ())
            return TunnelSnapshot(key.namespace, key.name, tunnel, raw, slots, budget, problem=opened), None
        cloud = opened.cloud
        slots = self._slots(key.namespace, key.name, tunnel, await cloud.tunnels())
        names = {slot.remote.value.name for slot in slots if slot.remote}
        holding: tuple[ObservedPool, ...] = ()
        if names or (tunnel is not None and tunnel.spec.pool):
            pools = await cloud.pools()
            holding = tuple(one for one in pools if any(o.name in names for o in one.value.origins))
        if tunnel is None:
            snapshot = TunnelSnapshot(key.namespace, key.name, None, raw, slots, budget, holding)
            return snapshot, cloud
        return await self._whole_tunnel(tunnel, raw, slots, budget, holding, opened), cloud

    async def _whole_tunnel(
        self,
        tunnel: Tunnel,
        raw: Raw | None,
        slots: tuple[Slot, ...],
        budget: Raw | None,
        holding: tuple[ObservedPool, ...],
        opened: Opened,
    ) -> TunnelSnapshot:
        meta = tunnel.metadata
        host = await self.host(HostKey(canonical_hostname(tunnel.spec.hostname)))
        view = None
        if tunnel.spec.pool:
            view = await self._view(meta.namespace, tunnel.spec.pool, opened)
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

    def _slots(
        self, namespace: str, name: str, tunnel: Tunnel | None, remotes: Sequence[ObservedTunnel]
    ) -> tuple[Slot, ...]:
        """Put together what Cloudflare and the cluster hold of each origin of a Tunnel."""
        found: dict[int, list[ObservedTunnel]] = {}
        for remote in remotes:
            parts = read_tunnel_name(remote.value.name)
            if parts and (parts.owner, parts.namespace, parts.name) == (self._site.owner, namespace, name):
                found.setdefault(parts.slot, []).append(remote)
        place = f"{namespace}/{name}"
        children: dict[str, dict[int, Raw]] = {}
        for kind in ("Deployment", "Secret", "Pod"):
            raws = self._topology.store.by(f"{kind}-by-tunnel", place)
            children[kind] = {index: raw for raw in raws if (index := _slot_of(raw)) is not None}
        wanted = 0 if tunnel is None or tunnel.deleting else wanted_slots(tunnel)
        indices = sorted({*range(wanted), *found, *(index for kind in children.values() for index in kind)})
        slots = []
        for index in indices:
            same = sorted(found.get(index, ()), key=lambda one: one.id)
            seen = self._connectors.look(namespace, name, index)
            slots.append(
                Slot(
                    index=index,
                    leaving=index >= wanted,
                    remote=same[0] if same else None,
                    duplicates=tuple(same[1:]),
                    deployment=children["Deployment"].get(index),
                    secret=children["Secret"].get(index),
                    pods=seen.pods,
                    ready_pods=seen.ready,
                    running=seen.running,
                    running_for_s=seen.for_s,
                )
            )
        return tuple(slots)

    # -- monitors -------------------------------------------------------------------------------

    async def monitor(self, key: MonitorKey) -> tuple[MonitorSnapshot, Cloud | None]:
        """Look at a HealthCheck, its monitor and those who use it."""
        raw = self._topology.store.get("HealthCheck", key.namespace, key.name)
        check = self._topology.typed("HealthCheck", raw) if raw else None
        secret = self._topology.secret_of(check) if check else self._credentials.ref("", None)
        used_by = self._topology.lbpools_checked_by(key.namespace, key.name)
        left = await self._holder(f"of={key}") if check is None else None
        opened = left or await self._credentials.open(secret)
        if isinstance(opened, Problem):
            return MonitorSnapshot(key.namespace, key.name, check, raw, problem=opened, used_by=used_by), None
        hostnames = frozenset(
            tunnel.spec.hostname
            for pool in used_by
            for tunnel in self._topology.tunnels_naming(key.namespace, pool.metadata.name)
        )
        snapshot = MonitorSnapshot(
            namespace=key.namespace,
            name=key.name,
            health_check=check,
            raw=raw,
            observed=await self._monitors(key, opened),
            used_by=used_by,
            in_use=frozenset(one.value.monitor for one in await opened.cloud.pools() if one.value.monitor),
            tunnel_hostnames=hostnames,
        )
        return snapshot, opened.cloud

    async def _monitors(self, key: MonitorKey, opened: Opened) -> tuple[Observed[Monitor], ...]:
        found = []
        for one in await opened.cloud.monitors():
            mark = read_mark(one.value.description)
            if mark and mark.owner == self._site.owner and mark.of == str(key):
                found.append(one)
        return tuple(found)

    # -- pools ----------------------------------------------------------------------------------

    async def pool(self, key: PoolKey) -> tuple[PoolSnapshot, Cloud | None]:
        """Look at a pool, its members, its health check and the load balancers that refer to it."""
        topology = self._topology
        lbpools = topology.lbpools_called(key.name)
        claims = topology.claims(key.name, key.account)
        namespace, claimant = _first(claims)
        mine = tuple(
            sorted(
                (one for one in lbpools if one in claims), key=lambda one: one.metadata.namespace != namespace
            )
        )
        bare = PoolSnapshot(key.name, namespace, claimant, mine)
        raws = {_place(one): raw for one in mine if (raw := topology.store.get("LBPool", *_place(one)))}
        left = None if claims else self._opened(key.account)
        opened = left or await self.open_for(claims)
        if isinstance(opened, Problem):
            return replace(bare, raws=raws, problem=opened), None
        if key.account != opened.account_id:
            return PoolSnapshot(key.name), None  # the key of an account that was not known yet
        observed = await self._observed_pool(key.name, opened)
        members = await self._members(key.name, namespace, observed, opened)
        spec = effective(bare)
        referrers = await self._referrers(observed, opened, everywhere=not claims)
        snapshot = replace(
            bare,
            raws=raws,
            members=members,
            observed=observed,
            health_check=await self._check_view(spec, opened),
            referrers=referrers,
            alternatives=await self._alternatives(observed, referrers, opened),
            serving=await self._serving(referrers, opened),
            used_as_fallback=bool(spec and self._fallback_hosts(spec)),
            ssl_modes=await self._ssl_modes(spec, opened),
        )
        return snapshot, opened.cloud

    async def _observed_pool(self, name: str, opened: Opened) -> ObservedPool | None:
        return next((one for one in await opened.cloud.pools() if one.value.name == name), None)

    async def _members(
        self, name: str, namespace: str, observed: ObservedPool | None, opened: Opened
    ) -> tuple[Member, ...]:
        """List the Tunnels of the pool, and those that have left it while their origins are still in it."""
        topology = self._topology
        tunnels: list[Tunnel] = []
        here = [one for one in topology.lbpools_called(name) if one.metadata.namespace == namespace]
        for local in {*(one.metadata.name for one in here), name}:
            if topology.remote_pool_name(namespace, local) == name:
                tunnels += topology.tunnels_naming(namespace, local)
        remotes = await opened.cloud.tunnels()
        address_pool = any(one.spec.origins for one in here if not one.deleting)
        members = [] if address_pool else [self._member(one, remotes) for one in oldest_first(tunnels)]
        present = {_place(one.tunnel) for one in members}
        for origin in observed.value.origins if observed else ():
            parts = read_tunnel_name(origin.name)
            if parts is None or parts.owner != self._site.owner:
                continue
            place = (parts.namespace, parts.name)
            raw = topology.store.get("Tunnel", *place)
            tunnel = topology.typed("Tunnel", raw) if raw else None
            if tunnel is not None and place not in present:
                present.add(place)
                members.append(self._member(tunnel, remotes, all_leave=True))
        return tuple(members)

    def _member(
        self, tunnel: Tunnel, remotes: Sequence[ObservedTunnel], *, all_leave: bool = False
    ) -> Member:
        slots = self._slots(tunnel.metadata.namespace, tunnel.metadata.name, tunnel, remotes)
        if all_leave:
            slots = tuple(replace(slot, leaving=True) for slot in slots)
        return Member(tunnel, slots)

    async def _check_view(self, spec: LBPool | None, opened: Opened) -> HealthCheckView | None:
        if spec is None or spec.spec.health_check_ref is None:
            return None
        name, namespace = spec.spec.health_check_ref.name, spec.metadata.namespace
        found = await self._monitors(MonitorKey(namespace, name), opened)
        monitor_id = min((one.id for one in found), default="")
        pools = {one.value.monitor for one in await opened.cloud.pools()}
        used = sorted(one.id for one in found if one.id in pools)
        check = self._topology.health_check(namespace, name)
        return HealthCheckView(name, check, used[0] if used else monitor_id)

    async def _referrers(
        self, observed: ObservedPool | None, opened: Opened, *, everywhere: bool
    ) -> tuple[Observed[RemoteLoadBalancer], ...]:
        """List the load balancers that refer to a pool; `everywhere` if no resource tells their zones."""
        if observed is None:
            return ()
        zones = await opened.cloud.zones() if everywhere else await self._zones_in_use(opened)
        found = [
            balancer
            for zone in zones
            for balancer in await opened.cloud.load_balancers(zone.id)
            if observed.id in balancer.value.pools
        ]
        return tuple(sorted(found, key=lambda one: one.value.name))

    async def _zones_in_use(self, opened: Opened) -> tuple[Zone, ...]:
        """List the zones that hold a host name of ours: others need not be listed."""
        store = self._topology.store
        zones = await opened.cloud.zones()
        hostnames = {
            str(raw["spec"]["hostname"]) for kind in ("Tunnel", "LoadBalancer") for raw in store.all(kind)
        }
        found = {zone.id: zone for name in hostnames if (zone := zone_of(name, zones))}
        return tuple(found.values())

    async def _alternatives(
        self, observed: ObservedPool | None, referrers: Sequence[Observed[RemoteLoadBalancer]], opened: Opened
    ) -> bool:
        if observed is None or not referrers:
            return False
        others = {one.id: one for one in await opened.cloud.pools() if one.id != observed.id}
        for one in referrers:
            has_fallback = one.value.fallback_pool in others
            if not has_fallback and serving(one.value, others).on_fallback:
                return False
        return True

    async def _serving(
        self, referrers: Sequence[Observed[RemoteLoadBalancer]], opened: Opened
    ) -> frozenset[str]:
        if not referrers:
            return frozenset()
        pools = {one.id: one for one in await opened.cloud.pools()}
        return frozenset(pool for one in referrers for pool in serving(one.value, pools).pools)

    def _fallback_hosts(self, lbpool: LBPool) -> tuple[str, ...]:
        """List the host names whose fallback this pool is."""
        namespace, name = _place(lbpool)
        users = self._topology.lbpools_falling_back_to(namespace, name)
        found = {
            tunnel.spec.hostname
            for user in users
            for tunnel in self._topology.tunnels_naming(namespace, user.metadata.name)
        }
        for balancer in self._topology.balancers_naming(namespace, name):
            if balancer.spec.fallback_ref is not None and balancer.spec.fallback_ref.name == name:
                found.add(balancer.spec.hostname)
        return tuple(sorted(found))

    async def _ssl_modes(self, spec: LBPool | None, opened: Opened) -> Mapping[str, str | None]:
        if spec is None or not spec.spec.origins or spec.spec.require_tls is False:
            return {}
        zones = await opened.cloud.zones()
        modes: dict[str, str | None] = {}
        for hostname in self._fallback_hosts(spec):
            zone = zone_of(hostname, zones)
            if zone is None or zone.name in modes:
                continue
            try:
                modes[zone.name] = await opened.cloud.ssl_mode(zone.id)
            except MissingPermissionError:
                modes[zone.name] = None
        return modes

    # -- hosts ----------------------------------------------------------------------------------

    async def host(self, key: HostKey) -> HostSnapshot:
        """Look at a host name: who claims it, what answers for it, and the pools that may."""
        snapshot, _ = await self.host_and_cloud(key)
        return snapshot

    async def host_and_cloud(self, key: HostKey) -> tuple[HostSnapshot, Cloud | None]:
        """Look at a host name, and hand out the account that it is in."""
        topology = self._topology
        balancers, tunnels = topology.balancers_at(key.hostname), topology.tunnels_at(key.hostname)
        claims: tuple[Tunnel | LoadBalancer, ...] = oldest_first((*balancers, *tunnels))
        raws = {_place(b): raw for b in balancers if (raw := topology.store.get("LoadBalancer", *_place(b)))}
        namespace, claimant = _first(claims)
        bare = HostSnapshot(key.hostname, namespace, claimant, balancers, raws)
        left = None if claims else await self._zone_holder(key.hostname)
        opened = left or await self.open_for(claims)
        if isinstance(opened, Problem):
            return replace(bare, problem=opened), None
        cloud = opened.cloud
        zone = zone_of(key.hostname, await cloud.zones())
        if zone is None:
            return replace(bare, members=tuple(Member(tunnel, ()) for tunnel in tunnels)), cloud
        remotes = await cloud.tunnels()
        members = tuple(
            self._member(tunnel, remotes) for tunnel in tunnels if tunnel.metadata.namespace == namespace
        )
        balancer = next(
            (one for one in await cloud.load_balancers(zone.id) if one.value.name == key.hostname), None
        )
        records = tuple(one for one in await cloud.dns_records(zone.id) if one.value.name == key.hostname)
        pools: dict[str, PoolView] = {}
        snapshot = replace(
            bare,
            members=members,
            zone=zone,
            observed=balancer,
            referred=await self._referred(balancer, opened),
            records=records,
            pools=pools,
        )
        for name in self._names(snapshot):
            pools[name] = await self._view(namespace, name, opened)
        _, fallback = pool_names(snapshot)  # a derived one is known only once the first pool is
        if fallback and fallback not in pools:
            pools[fallback] = await self._view(namespace, fallback, opened)
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
            spec = balancer.spec
            for places in (spec.region_pools, spec.country_pools, spec.pop_pools):
                for pools in (places or {}).values():
                    further |= dict.fromkeys(pools)
        return tuple(further)

    async def _view(self, namespace: str, name: str, opened: Opened) -> PoolView:
        lbpool = self._topology.lbpool(namespace, name)
        remote_name = self._topology.remote_pool_name(namespace, name)
        observed = await self._observed_pool(remote_name, opened)
        if observed is not None and not is_ours(observed.value, self._site.owner):
            observed = None
        tunnels = self._topology.tunnels_naming(namespace, name)
        if lbpool is not None and lbpool.spec.origins:
            return PoolView(remote_name, lbpool, observed)
        remotes = await opened.cloud.tunnels()
        members = tuple(self._member(tunnel, remotes) for tunnel in tunnels)
        return PoolView(remote_name, lbpool, observed, members)

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


def _slot_of(raw: Raw) -> int | None:
    text = (raw["metadata"].get("labels") or {}).get(SLOT_LABEL, "")
    return int(text) if text.isdigit() else None


def _first(claims: Sequence[Tunnel | LBPool | LoadBalancer]) -> tuple[str, str]:
    """Name the namespace of the oldest claim, and the claim in words; empty if there is none."""
    return (claims[0].metadata.namespace, str(claims[0])) if claims else ("", "")


def _place(resource: Tunnel | LBPool | LoadBalancer) -> tuple[str, str]:
    return resource.metadata.namespace, resource.metadata.name
