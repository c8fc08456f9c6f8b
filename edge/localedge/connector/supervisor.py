"""Keeps a connector's connections to the edge: the first alone, then the others, each again when it is lost.

The rules are cloudflared's (its `supervisor/`): what ends a connector that has never been connected, which
refusals it retries for ever, how long it waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Coroutine, Sequence

from localedge.connector.backoff import Backoff
from localedge.connector.edge_link import DialError, EdgeLink, LinkError, RefusedError

_log = logging.getLogger(__name__)

_OWN_BASE_S, _SHARED_BASE_S = 1.0, 10.0
_BETWEEN_STARTS_S = 1.0
_DUPLICATE = "EDUPCONN"
_RETRIED_FOR_EVER = "Unauthorized"

Address = tuple[str, int]


class InitialConnectionError(Exception):
    """The first connection failed for a reason that does not go away by itself."""


class Supervisor:
    """Runs up to `ha_connections` connections, and at most as many as there are addresses."""

    def __init__(
        self,
        addresses: Sequence[Address],
        context: ssl.SSLContext,
        make_link: Callable[[int], EdgeLink],
        *,
        ha_connections: int,
        retries: int,
        chance: random.Random,
    ) -> None:
        self._addresses = addresses
        self._context = context
        self._make_link = make_link
        self._count = min(ha_connections, len(addresses))
        if ha_connections > self._count:
            _log.info(
                "You requested %d HA connections but I can give you at most %d.", ha_connections, self._count
            )
        self._slots = list(range(self._count))
        """Address that each connection uses."""
        self._own = [Backoff(retries, _OWN_BASE_S, chance=chance) for _ in self._slots]
        self._shared = Backoff(retries, _SHARED_BASE_S, chance=chance)
        self._links: dict[int, EdgeLink] = {}
        self._registered: set[int] = set()
        self._first_registered = asyncio.Event()
        self._shutdown = asyncio.Event()
        self._round: asyncio.Task[None] | None = None

    @property
    def ready_connections(self) -> int:
        """How many connections are registered and not about to end."""
        return len(self._registered)

    @property
    def running_links(self) -> int:
        """How many connections are dialled or served."""
        return len(self._links)

    def registered(self, index: int) -> None:
        """Hear that a connection was accepted."""
        self._registered.add(index)
        self._own[index].reset()
        if len(self._registered) == self._count:
            self._shared.reset_later()
        self._first_registered.set()

    def unregistering(self, index: int) -> None:
        """Hear that a connection is about to end in order."""
        self._registered.discard(index)

    async def run(self) -> None:
        """Run until `shut_down` was called and the last connection has ended.

        Raises:
            InitialConnectionError: the connector has never been connected and gives up.

        """
        failure: InitialConnectionError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                first = group.create_task(self._keep(0))
                await self._wait_any(self._first_registered.wait(), self._shutdown.wait(), first)
                for index in range(1, self._count):
                    if self._shutdown.is_set() or first.done():
                        break
                    group.create_task(self._keep(index))
                    await self._pause(_BETWEEN_STARTS_S)
        except* InitialConnectionError as failures:
            failure = InitialConnectionError(*failures.exceptions[0].args)
        if failure is not None:
            raise failure

    def shut_down(self) -> None:
        """Say goodbye on every connection and start none any more."""
        self._shutdown.set()
        for link in self._links.values():
            link.shut_down()

    async def _keep(self, index: int) -> None:
        while not self._shutdown.is_set():
            error = await self._attempt(index)
            if error is None:
                return
            _log.error("Connection terminated connIndex=%d error=%r", index, str(error))
            wait = self._own[index].next_wait()
            _log.info("Retrying connection in %.1fs connIndex=%d", wait, index)
            await self._pause(wait)
            if self._first_registered.is_set():
                await self._shared_pause()
            elif not _may_start_again(error):
                _log.error("initial tunnel connection failed error=%r", str(error))
                raise InitialConnectionError(str(error))

    async def _attempt(self, index: int) -> LinkError | None:
        host, port = self._addresses[self._slots[index]]
        link = self._links[index] = self._make_link(index)
        try:
            await link.serve(host, port, self._context, attempts=self._own[index].attempts)
        except LinkError as error:
            if isinstance(error, DialError) or str(error) == _DUPLICATE:
                self._rotate(index)
            return error
        finally:
            self._registered.discard(index)
            del self._links[index]
        return None

    def _rotate(self, index: int) -> None:
        """Take an address that no other connection uses, if there is one."""
        free = [slot for slot in range(len(self._addresses)) if slot not in self._slots]
        if free:
            self._slots[index] = free[0]

    async def _shared_pause(self) -> None:
        """Wait together with all connections that are down: they come back in one round."""
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._pause(self._shared.next_wait()))
        await asyncio.wait({self._round})

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._shutdown.wait()
        except TimeoutError:
            pass

    @staticmethod
    async def _wait_any(*conditions: asyncio.Task[None] | Coroutine[None, None, object]) -> None:
        tasks = [c if isinstance(c, asyncio.Task) else asyncio.create_task(c) for c in conditions]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task, condition in zip(tasks, conditions, strict=True):
            if task is not condition:
                task.cancel()


def _may_start_again(error: LinkError) -> bool:
    """Tell whether a connector that has never been connected tries again."""
    if isinstance(error, RefusedError):
        return _RETRIED_FOR_EVER in str(error) or str(error) == _DUPLICATE
    return isinstance(error, DialError)
