"""Remains: objects at Cloudflare with our mark whose resource is gone without having waited for them.

A finalizer that was forced, a restored or emptied etcd, definitions that were deleted: one of these is a
slip, many are an accident. The census tells how many there are before the first of them is deleted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from tunnelpool.build.sharing import takes_part
from tunnelpool.build.snapshot import Site
from tunnelpool.domain.keys import HostKey, Key, MonitorKey, PoolKey, TunnelKey
from tunnelpool.domain.ownership import read_tunnel_name
from tunnelpool.domain.remote import Observed, ObservedPool
from tunnelpool.engine.credentials import Credentials
from tunnelpool.engine.sweeper import key_of
from tunnelpool.engine.topology import Topology

FREE: Final = 3
"""So many remains are cleaned up without a question, whatever else there is."""
SHARE: Final = 0.2
"""And so many of all that is ours."""


@dataclass(frozen=True, slots=True)
class Census:
    """How many objects are ours, and how many of them belong to nobody."""

    owned: int
    remains: int

    @property
    def too_many(self) -> bool:
        """Tell whether deleting all of them looks like an accident."""
        return self.remains > max(FREE, SHARE * self.owned)


class Remains:
    """Counts over the listings that are kept; nothing is read for it."""

    def __init__(self, topology: Topology, credentials: Credentials, site: Site) -> None:
        self._topology = topology
        self._credentials = credentials
        self._site = site

    def is_claimed(self, key: Key, observed: Observed[Any] | None = None) -> bool:
        """Tell whether a resource asks for an aggregate, or still has origins in the pool."""
        topology = self._topology
        match key:
            case TunnelKey():
                return topology.store.get("Tunnel", key.namespace, key.name) is not None
            case MonitorKey():
                return topology.store.get("HealthCheck", key.namespace, key.name) is not None
            case HostKey():
                return bool(topology.tunnels_at(key.hostname) or topology.balancers_at(key.hostname))
            case PoolKey():
                return bool(topology.claims(key.name, key.account)) or self._holds_origins(observed)

    async def held(self, key: Key) -> Census | None:
        """Say how many remains there are, if this aggregate is one of too many."""
        census, remains = await self.census()
        lost = not self.is_claimed(key) if isinstance(key, HostKey) else key in remains
        return census if lost and census.too_many else None

    async def census(self) -> tuple[Census, frozenset[Key]]:
        """Count tunnels, pools and monitors of ours in every account, and name the keys of remains."""
        found: Counter[Key] = Counter()
        owned = 0
        for opened in self._credentials.opened():
            cloud = opened.cloud
            listed: list[Observed[Any]] = [*await cloud.tunnels(), *await cloud.pools()]
            for one in [*listed, *await cloud.monitors()]:
                key = key_of(opened.account_id, one) if takes_part(one.value, self._site.owner) else None
                if key is not None:
                    owned += 1
                    found[key] += not self.is_claimed(key, one)
        keys = frozenset(key for key, count in found.items() if count)
        return Census(owned, found.total()), keys

    def _holds_origins(self, observed: Observed[Any] | None) -> bool:
        """Tell whether a Tunnel that has left the pool still has an origin in it."""
        if not isinstance(observed, ObservedPool):
            return False
        names = (read_tunnel_name(origin.name) for origin in observed.value.origins)
        store = self._topology.store
        return any(name and store.get("Tunnel", name.namespace, name.name) is not None for name in names)
