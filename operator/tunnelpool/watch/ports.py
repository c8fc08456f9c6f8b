"""What the feed needs from outside: where objects go, how the API is listed and how it is reached."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from tunnelpool.domain.kinds import Kind


class Sink(Protocol):
    """Where the objects go. Called in the event loop that runs the feed; must neither fail nor wait."""

    def put(self, kind: str, raw: Mapping[str, Any], /) -> None:
        """Take in a version of an object; an older one than is there already must be ignored."""

    def remove(self, kind: str, namespace: str, name: str, uid: str, /) -> None:
        """Forget an object; another uid of that name stays."""

    def distrust(self, kind: str, /) -> None:
        """Take the next version of each object for newer: the cluster's versions have begun anew."""

    def all(self, kind: str, /) -> Iterator[Mapping[str, Any]]:
        """Go through what is there of a kind."""

    def mark_synced(self, kind: str, /) -> None:
        """Note that every object of the kind that exists has been put in."""


class Lister(Protocol):
    """Lists a kind by pages of JSON objects; raises `tunnelpool.domain.errors.ApiError` only."""

    def __call__(self, kind: Kind, namespace: str = "", /) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """List a namespace, or all of them if it is empty."""


class Access(Protocol):
    """How the API server is reached."""

    server: str
    ssl: ssl.SSLContext
    proxy: str | None

    async def authorization(self) -> str | None:
        """Give the Authorization header as of now; None if there is none."""


Connect: TypeAlias = Callable[[], Awaitable[Access]]
"""Reads how the API server is reached. Called in kopf's own thread and event loop."""
