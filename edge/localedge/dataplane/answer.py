"""What comes back from an origin, whichever way it was reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from localedge.dataplane.header_fields import HeaderList


@dataclass(slots=True)
class Answer:
    """An answer whose body is still to be read; `close` must be called when it is, or is not wanted."""

    status: int
    headers: HeaderList
    body: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
    source: str
    """`origin`, or `cloudflared` when that could not reach the origin."""
    connector: str | None = None
    """UUID of the connector that answered, None for an address origin."""
