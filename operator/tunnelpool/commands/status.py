"""`tunnelpool status`: list our resources, and look again when asked to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from tunnelpool.commands.reach import Reach, list_resources, readable
from tunnelpool.domain.kinds import HEALTH_CHECK, LB_POOL, LOAD_BALANCER, TUNNEL
from tunnelpool.overview.tree import Overview, overview


async def look(there: Reach, namespace: str) -> Overview:
    """Read the resources of a namespace, or of all if it is empty.

    Raises:
        ApiError: they cannot be listed.

    """
    kinds = (TUNNEL, LB_POOL, HEALTH_CHECK, LOAD_BALANCER)
    return overview(readable(await list_resources(there.cluster, kinds, namespace)))


async def watch(
    there: Reach,
    namespace: str,
    every_s: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Overview]:
    """Look for ever; hand out each view that differs from the one before.

    Raises:
        ApiError: they cannot be listed.

    """
    last: Overview | None = None
    while True:
        seen = await look(there, namespace)
        if seen != last:
            yield seen
            last = seen
        await sleep(every_s)
