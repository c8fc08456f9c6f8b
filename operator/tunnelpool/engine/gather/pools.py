"""What the reconciliation of a pool sees, and what those see who refer to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunnelpool.build.health import serving
from tunnelpool.build.pool import effective
from tunnelpool.build.sharing import takes_part
from tunnelpool.build.snapshot import HealthCheckView, Member, PoolSnapshot, PoolView, Raw, Site
from tunnelpool.crd.v1alpha1 import LBPool
from tunnelpool.domain.errors import MissingPermissionError
from tunnelpool.domain.hostnames import zone_of
from tunnelpool.domain.keys import MonitorKey, PoolKey
from tunnelpool.domain.ownership import read_tunnel_name
from tunnelpool.domain.reasons import Problem
from tunnelpool.domain.remote import LoadBalancer as RemoteLoadBalancer
from tunnelpool.domain.remote import Observed, ObservedPool, Zone, by_age
from tunnelpool.engine.address_keeper import RangesNow
from tunnelpool.engine.credentials import Opened
from tunnelpool.engine.gather.accounts import Accounts
from tunnelpool.engine.gather.monitors import Monitors
from tunnelpool.engine.gather.origins import Origins
from tunnelpool.engine.ports import Cloud
from tunnelpool.engine.topology import Topology, first_claim, place_of


class Pools:
    """Looks at pools, their members, health checks and referrers."""

    def __init__(
        self,
        topology: Topology,
        accounts: Accounts,
        origins: Origins,
        monitors: Monitors,
        site: Site,
        ranges: RangesNow,
    ) -> None:
        self._topology = topology
        self._accounts = accounts
        self._origins = origins
        self._monitors = monitors
        self._site = site
        self._address_ranges = ranges

    async def look(self, key: PoolKey) -> tuple[PoolSnapshot, Cloud | None]:
        """Look at a pool, its members, its health check and the load balancers that refer to it."""
        topology = self._topology
        lbpools = topology.lbpools_called(key.name)
        claims = topology.claims(key.name, key.account)
        namespace, claimant = first_claim(claims)
        mine = tuple(
            sorted(
                (one for one in lbpools if one in claims), key=lambda one: one.metadata.namespace != namespace
            )
        )
        bare = PoolSnapshot(key.name, namespace, claimant, mine)
        raws = {place_of(one): raw for one in mine if (raw := topology.store.get("LBPool", *place_of(one)))}
        left = None if claims else self._accounts.with_id(key.account)
        opened = left or await self._accounts.open_for(claims)
        if isinstance(opened, Problem):
            return replace(bare, raws=raws, problem=opened), None
        if key.account != opened.account_id:
            return PoolSnapshot(key.name), None  # the key of an account that was not known yet
        same = by_age(one for one in await opened.cloud.pools() if one.value.name == key.name)
        observed = same[0] if same else None
        members = await self._members(key.name, namespace, observed, opened)
        spec = effective(bare)
        referrers = await self._referrers(observed, opened, everywhere=not claims)
        snapshot = replace(
            bare,
            raws=raws,
            members=members,
            fleet=self._origins.fleet(await opened.cloud.tunnels(), await opened.cloud.pools()),
            observed=observed,
            duplicates=same[1:],
            services=self._services(spec),
            address_ranges=ranges.all if (ranges := self._address_ranges()) is not None else None,
            health_check=await self._check_view(spec, observed, opened),
            referrers=referrers,
            alternatives=await self._alternatives(observed, referrers, opened),
            serving=await self._serving(referrers, opened),
            used_as_fallback=bool(spec and self._fallback_hosts(spec)),
            ssl_modes=await self._ssl_modes(spec, opened),
        )
        return snapshot, opened.cloud

    def _services(self, spec: LBPool | None) -> Mapping[str, Raw]:
        if spec is None:
            return {}
        names = [one.service_ref.name for one in spec.spec.origins if one.service_ref is not None]
        store = self._topology.store
        return {name: raw for name in names if (raw := store.get("Service", spec.metadata.namespace, name))}

    async def view(self, namespace: str, name: str, opened: Opened) -> PoolView:
        """See a pool as those do who refer to it by the name that resources use."""
        lbpool = self._topology.lbpool(namespace, name)
        remote_name = self._topology.remote_pool_name(namespace, name)
        same = by_age(one for one in await opened.cloud.pools() if one.value.name == remote_name)
        observed = same[0] if same else None
        if observed is not None and not takes_part(observed.value, self._site.owner):
            observed = None
        if lbpool is not None and lbpool.spec.origins:
            return PoolView(remote_name, lbpool, observed)
        remotes = await opened.cloud.tunnels()
        members = tuple(
            self._origins.member(tunnel, remotes, tunnel.spec.hostname_in(local))
            for tunnel, local in self._topology.tunnels_joining(namespace, remote_name)
        )
        return PoolView(remote_name, lbpool, observed, members)

    async def _members(
        self, name: str, namespace: str, observed: ObservedPool | None, opened: Opened
    ) -> tuple[Member, ...]:
        """List the Tunnels of the pool, and those that have left it while their origins are still in it."""
        topology = self._topology
        remotes = await opened.cloud.tunnels()
        here = [one for one in topology.lbpools_called(name) if one.metadata.namespace == namespace]
        address_pool = any(one.spec.origins for one in here if not one.deleting)
        joining = () if address_pool else topology.tunnels_joining(namespace, name)
        members = [self._origins.member(one, remotes, one.spec.hostname_in(local)) for one, local in joining]
        present = {place_of(one.tunnel) for one in members}
        for origin in observed.value.origins if observed else ():
            parts = read_tunnel_name(origin.name)
            if parts is None or not self._site.owner.covers(parts.owner):
                continue
            place = (parts.namespace, parts.name)
            raw = topology.store.get("Tunnel", *place)
            tunnel = topology.typed("Tunnel", raw) if raw else None
            if tunnel is not None and place not in present:
                present.add(place)
                members.append(self._origins.member(tunnel, remotes, all_leave=True))
        return tuple(members)

    async def _check_view(
        self, spec: LBPool | None, observed: ObservedPool | None, opened: Opened
    ) -> HealthCheckView | None:
        if spec is None or spec.spec.health_check_ref is None:
            return None
        name, namespace = spec.spec.health_check_ref.name, spec.metadata.namespace
        found = await self._monitors.marked(MonitorKey(namespace, name), opened)
        monitor_id = min((one.id for one in found), default="")
        pools = {one.value.monitor for one in await opened.cloud.pools()}
        used = sorted(one.id for one in found if one.id in pools)
        check = self._topology.health_check(namespace, name)
        own = used[0] if used else monitor_id
        return HealthCheckView(name, check, await self._monitors.alike(own, observed, opened))

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
        zones = await opened.cloud.zones()
        found = {zone.id: zone for name in self._topology.hostnames() if (zone := zone_of(name, zones))}
        return tuple(found.values())

    async def _alternatives(
        self, observed: ObservedPool | None, referrers: Sequence[Observed[RemoteLoadBalancer]], opened: Opened
    ) -> bool:
        if observed is None or not referrers:
            return False
        others = {one.id: one for one in await opened.cloud.pools() if one.id != observed.id}
        for one in referrers:
            fallback = others.get(one.value.fallback_pool)
            has_fallback = fallback is not None and fallback.value.enabled
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
        namespace, name = place_of(lbpool)
        users = self._topology.lbpools_falling_back_to(namespace, name)
        found = {
            tunnel.spec.hostname_in(user.metadata.name)
            for user in users
            for tunnel in self._topology.tunnels_naming(namespace, user.metadata.name)
        }
        for balancer in self._topology.balancers_naming(namespace, name):
            if name in balancer.spec.fallback_names:
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
