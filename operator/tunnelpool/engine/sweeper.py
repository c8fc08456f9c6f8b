"""Looks at Cloudflare again, by listings only, and wakes what has changed there or belongs to nobody.

No object has a timer of its own: one listing of each kind tells about all (law 3).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Final

from tunnelpool.build.sharing import takes_part
from tunnelpool.domain.errors import ApiError, CredentialsError, MissingPermissionError
from tunnelpool.domain.keys import HostKey, Key, MonitorKey, PoolKey, TunnelKey
from tunnelpool.domain.ownership import Owner, read_mark, read_tunnel_name
from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Monitor, Observed, Pool, Tunnel
from tunnelpool.engine.backoff import Backoff
from tunnelpool.engine.credentials import Credentials, Opened
from tunnelpool.engine.queue import Lane, WorkQueue
from tunnelpool.engine.rounds import Rounds

_log: Final = logging.getLogger(__name__)
TICK_S: Final = 2.0
"""How often it is looked whether a listing or a Secret is due."""
SEARCH_AGAIN_S: Final = 15.0
"""How soon the search for what is ours begins again after it has failed; the pauses grow from there."""

HOSTNAMES_AFTER_S: Final = 60.0
"""How much later zones are searched: by then the listings of those in use are there, and cost nothing."""


class Sweeper:
    """Ticks; each listing is read again when it has reached its age."""

    def __init__(
        self,
        credentials: Credentials,
        queue: WorkQueue[Key],
        owner: Owner,
        neighbours: Callable[[Key], AbstractSet[Key]],
    ) -> None:
        self._credentials = credentials
        self._queue = queue
        self._owner = owner
        self._neighbours = neighbours
        self._stages: Counter[str] = Counter()
        """How far the search for what is ours has come, by account."""
        self._rounds = Rounds(owner)
        self._backoff = Backoff()
        self._search_at: dict[str, float] = {}

    async def run(self) -> None:
        """Tick until cancelled."""
        await self._credentials.open(self._credentials.ref("", None))
        while True:
            await self.tick()
            await asyncio.sleep(TICK_S)

    async def tick(self) -> None:
        """Do what is due."""
        await self._credentials.open(self._credentials.ref("", None))  # even if no resource is left
        await self._credentials.refresh()
        for opened in self._credentials.opened():
            try:
                await self._search(opened)
                for changed in await opened.cloud.sweep():
                    self._wake(opened, changed.objects)
                    await self._wake_referred(opened, changed.objects)
                searched = self._stages[opened.account_id] > 0
                looked_at = await self._rounds.look(opened) if searched else None
                if looked_at is not None:
                    self._queue.add(looked_at, Lane.SWEEP)
            except ApiError as error:
                if isinstance(error, CredentialsError):
                    self._credentials.doubt(opened.account_id)  # one that rests would not notice
                _log.warning("sweep: %s", error.message, extra={"account": opened.account_id})

    async def _search(self, opened: Opened) -> None:
        """Look once after the start for all that carries our mark; longer and longer pauses if it fails."""
        account, now = opened.account_id, asyncio.get_running_loop().time()
        stages = (self._find_ours, self._find_at_hostnames)
        stage = self._stages[account]
        if stage == len(stages) or now < self._search_at.get(account, now):
            return
        try:
            await stages[stage](opened)
        except ApiError:
            self._search_at[account] = now + max(self._backoff.next(account), SEARCH_AGAIN_S)
            raise
        self._backoff.reset(account)
        self._stages[account] = stage + 1
        self._search_at[account] = now + HOSTNAMES_AFTER_S

    async def _find_ours(self, opened: Opened) -> None:
        """Wake, once after the start, whatever carries our mark: a resource may have gone meanwhile."""
        cloud = opened.cloud
        self._wake(opened, [*await cloud.tunnels(), *await cloud.pools(), *await cloud.monitors()])

    async def _find_at_hostnames(self, opened: Opened) -> None:
        """Wake what answers for hostnames, in zones that no resource of ours names any more as well."""
        for zone in await opened.cloud.zones():
            try:
                found = await opened.cloud.at_hostnames(zone.id)
            except MissingPermissionError:
                continue  # a zone in which nothing of ours can be
            self._wake(opened, [one for one in found if takes_part(one.value, self._owner)])

    async def _wake_referred(self, opened: Opened, objects: Iterable[Observed[Any]]) -> None:
        """Wake the pools that a load balancer refers to, or did: one of ours may wait for a foreign one."""
        ids = {id_ for one in objects if isinstance(one.value, LoadBalancer) for id_ in one.value.pools}
        for pool in await opened.cloud.pools() if ids else ():
            if pool.id in ids:
                self._queue.add(PoolKey(opened.account_id, pool.value.name), Lane.SWEEP)

    def _wake(self, opened: Opened, objects: Iterable[Observed[Any]]) -> None:
        for observed in objects:
            if takes_part(observed.value, self._owner):
                key = key_of(opened.account_id, observed)
                if key is not None:
                    # A pool's health stands in its Tunnels' status; a tunnel's state decides in the pool.
                    for concerned in {key, *self._neighbours(key)}:
                        self._queue.add(concerned, Lane.SWEEP)
            elif isinstance(observed.value, (LoadBalancer, DnsRecord)):
                # A foreign object at a host name of ours may be what that one waits for.
                self._queue.add(HostKey(observed.value.name), Lane.SWEEP)
            elif isinstance(observed.value, Pool):
                self._queue.add(PoolKey(opened.account_id, observed.value.name), Lane.SWEEP)


def key_of(account_id: str, observed: Observed[Any]) -> Key | None:
    """Find the aggregate of an object of ours by its mark or name."""
    value = observed.value
    match value:
        case Pool():
            return PoolKey(account_id, value.name)
        case LoadBalancer() | DnsRecord():
            return HostKey(value.name)
        case Tunnel():
            parts = read_tunnel_name(value.name)
            return TunnelKey(parts.namespace, parts.name) if parts else None
        case Monitor():
            mark = read_mark(value.description)
            match mark.of.split("/") if mark else []:
                case ["monitor", namespace, name]:
                    return MonitorKey(namespace, name)
                case _:
                    return None
        case _:
            return None
