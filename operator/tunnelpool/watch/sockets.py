"""The sockets of a client whose event loop is about to end.

aiohttp closes TLS connections in later turns of the loop. A loop that ends before leaves their sockets open
until somebody collects them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import weakref
from typing import Final

from aiohttp import AddrInfoType

_LOOK_EVERY_S: Final = 0.01


class Sockets:
    """Makes the sockets of a client and tells when all of them are closed."""

    def __init__(self) -> None:
        self._made: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def make(self, address: AddrInfoType) -> socket.socket:
        """Make a socket; to be given to aiohttp's connector."""
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        self._made.add(made)
        return made

    async def closed(self, *, within_s: float) -> None:
        """Wait until all are closed, but no longer than so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while any(one.fileno() != -1 for one in self._made):  # noqa: ASYNC110 - a socket tells nobody
                    await asyncio.sleep(_LOOK_EVERY_S)
