"""Accounts that are read from Cloudflare and written in memory: `Cloud` and `Clouds` of the engine's ports.

Each listing is read once. What a step would change is changed in that copy, so that later steps see it; ids
that Cloudflare would give are stand-ins. New origins are taken to pass their health check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from tunnelpool.domain.errors import NotFoundError, StillReferencedError, UnavailableError
from tunnelpool.domain.json import FrozenJson
from tunnelpool.domain.remote import (
    KIND_OF,
    DnsRecord,
    LoadBalancer,
    Monitor,
    Observed,
    ObservedPool,
    ObservedTunnel,
    Pool,
    PoolHealth,
    RemoteKind,
    Tunnel,
    Zone,
)
from tunnelpool.engine.ports import Account, Changed, Clock, Cloud, Clouds
from tunnelpool.plan.steps import Create, Delete, RemoteStep, Update
from tunnelpool.preview.names import Names


class SimulatedClouds:
    """Every account behind its simulation."""

    def __init__(self, real: Clouds, names: Names, clock: Clock) -> None:
        self._real = real
        self._names = names
        self._clock = clock
        self._accounts: dict[Account, SimulatedCloud] = {}

    def account(self, account: Account) -> SimulatedCloud:
        """Hand out the account's view."""
        if account not in self._accounts:
            real = self._real.account(account)
            self._accounts[account] = SimulatedCloud(real, self._names, self._clock)
        return self._accounts[account]


class SimulatedCloud:
    """One account. Reads pass through once; no write ever does."""

    def __init__(self, real: Cloud, names: Names, clock: Clock) -> None:
        self._real = real
        self._names = names
        self._clock = clock
        self._shelves: dict[tuple[RemoteKind, str], dict[str, Observed[Any]]] = {}

    async def verify(self) -> None:
        """Check the token."""
        await self._real.verify()

    async def zones(self) -> Sequence[Zone]:
        """List the zones."""
        return await self._real.zones()

    async def ssl_mode(self, zone_id: str) -> str:
        """Read the SSL mode of a zone."""
        return await self._real.ssl_mode(zone_id)

    async def tunnels(self, *, fresh: bool = False, within_s: float = 0) -> Sequence[ObservedTunnel]:
        """List the tunnels; what was read once stands, `fresh` or not."""
        del fresh, within_s
        return cast("Sequence[ObservedTunnel]", await self._list(RemoteKind.TUNNEL))

    async def monitors(self, *, fresh: bool = False) -> Sequence[Observed[Monitor]]:
        """List the monitors."""
        del fresh
        return await self._list(RemoteKind.MONITOR)

    async def pools(self, *, fresh: bool = False, within_s: float = 0) -> Sequence[ObservedPool]:
        """List the pools."""
        del fresh, within_s
        return cast("Sequence[ObservedPool]", await self._list(RemoteKind.POOL))

    async def load_balancers(
        self, zone_id: str, *, fresh: bool = False, within_s: float = 0
    ) -> Sequence[Observed[LoadBalancer]]:
        """List the load balancers of a zone."""
        del fresh, within_s
        return await self._list(RemoteKind.LOAD_BALANCER, zone_id)

    async def look_again(self, kind: RemoteKind, id_: str, zone_id: str = "") -> None:
        """Do nothing: what was read once stands."""
        del kind, id_, zone_id

    async def dns_records(self, zone_id: str, *, fresh: bool = False) -> Sequence[Observed[DnsRecord]]:
        """List the DNS records of a zone."""
        del fresh
        return await self._list(RemoteKind.DNS_RECORD, zone_id)

    async def token(self, tunnel_id: str) -> str:
        """Refuse: no secret is needed for a preview.

        Raises:
            UnavailableError: always.

        """
        raise UnavailableError(f"a preview reads no token, so not that of tunnel {tunnel_id}")

    def configuration(self, tunnel_id: str) -> FrozenJson:
        """Answer that no configuration was looked at."""
        del tunnel_id
        return None

    async def look_at_configuration(self, tunnel_id: str) -> None:
        """Do nothing: there are no rounds in a preview."""

    async def at_hostnames(self, zone_id: str) -> Sequence[Observed[LoadBalancer | DnsRecord]]:
        """List what answers for the host names of a zone."""
        return [*await self.load_balancers(zone_id), *await self.dns_records(zone_id)]

    async def sweep(self) -> Sequence[Changed]:
        """Answer that nothing has changed: what was read once stands."""
        return ()

    async def execute(self, step: RemoteStep) -> None:
        """Change the copy as Cloudflare would change the object.

        Raises:
            StillReferencedError: something refers to what is to be deleted.
            NotFoundError: there is nothing to change.

        """
        match step:
            case Create(value=value, zone_id=zone_id):
                shelf = await self._shelf(KIND_OF[type(value)], zone_id)
                made = self._observed(self._names.invent(), value, zone_id)
                shelf[made.id] = made
                self._names.learn(made)
            case Update(id=id_, value=value, changes=changes, zone_id=zone_id):
                shelf = await self._shelf(KIND_OF[type(value)], zone_id)
                if id_ not in shelf:
                    raise NotFoundError(f"no {KIND_OF[type(value)]} {id_}")
                different = {change.field: change.after for change in changes}
                shelf[id_] = self._changed(shelf[id_], different)
            case Delete(kind=kind, id=id_, zone_id=zone_id):
                self._check_unreferenced(kind, id_)
                (await self._shelf(kind, zone_id)).pop(id_, None)
            case _:
                return  # configurations, connections and secrets stand in no listing

    def _observed(self, id_: str, value: Any, zone_id: str) -> Observed[Any]:
        if isinstance(value, Tunnel):
            return ObservedTunnel(id_, value)
        if isinstance(value, Pool):
            return self._assumed(ObservedPool(id_, value))
        return Observed(id_, value, zone_id)

    def _changed(self, there: Observed[Any], different: Mapping[str, Any]) -> Observed[Any]:
        after = replace(there, value=replace(there.value, **different))
        return self._assumed(after) if isinstance(after, ObservedPool) else after

    def _assumed(self, pool: ObservedPool) -> ObservedPool:
        """Take an origin without verdict for healthy, and note when one was disabled."""
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        known = pool.health
        monitored = bool(pool.value.monitor)
        verdicts = {
            origin.name: True if known.origins.get(origin.name) is None else known.origins[origin.name]
            for origin in pool.value.origins
            if origin.enabled and monitored
        }
        disabled = {
            origin.name: known.disabled_at.get(origin.name, now)
            for origin in pool.value.origins
            if not origin.enabled
        }
        return replace(pool, health=PoolHealth(known.healthy, verdicts, disabled))

    def _check_unreferenced(self, kind: RemoteKind, id_: str) -> None:
        for (shelf_kind, _), shelf in self._shelves.items():
            for one in shelf.values():
                value = one.value
                if (kind is RemoteKind.MONITOR and isinstance(value, Pool) and value.monitor == id_) or (
                    kind is RemoteKind.POOL and isinstance(value, LoadBalancer) and id_ in value.pools
                ):
                    raise StillReferencedError(f"{shelf_kind} '{one.title}' still refers to it", code=1005)

    async def _list(self, kind: RemoteKind, zone_id: str = "") -> Sequence[Observed[Any]]:
        return tuple((await self._shelf(kind, zone_id)).values())

    async def _shelf(self, kind: RemoteKind, zone_id: str = "") -> dict[str, Observed[Any]]:
        if (kind, zone_id) not in self._shelves:
            found = {one.id: one for one in await self._read(kind, zone_id)}
            for one in found.values():
                self._names.learn(one)
            self._shelves.setdefault((kind, zone_id), found)
        return self._shelves[kind, zone_id]

    async def _read(self, kind: RemoteKind, zone_id: str) -> Sequence[Observed[Any]]:
        match kind:
            case RemoteKind.TUNNEL:
                return await self._real.tunnels()
            case RemoteKind.MONITOR:
                return await self._real.monitors()
            case RemoteKind.POOL:
                return [self._assumed(one) for one in await self._real.pools()]
            case RemoteKind.LOAD_BALANCER:
                return await self._real.load_balancers(zone_id)
            case RemoteKind.DNS_RECORD:
                return await self._real.dns_records(zone_id)
