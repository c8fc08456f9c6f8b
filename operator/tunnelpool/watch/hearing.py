"""When each watch was last heard, by the bytes of its HTTP stream.

kopf hands bookmarks to nobody, so its handlers cannot tell a quiet watch from a dead one. The stream
can: the API server sends a bookmark each minute, and kopf opens a new stream if 70 s bring nothing.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from tunnelpool.domain.kinds import Kind

SILENT_AFTER_S: Final = 75.0
"""An age above this means that a watch is silent: no bookmark came, and reopening it has failed."""

_OK: Final = 200


class Hearing:
    """Ages of the watches. Written in kopf's thread and read in others: each entry is one assignment."""

    def __init__(
        self,
        kinds: Sequence[Kind],
        namespaces: Sequence[str],
        reopened: Callable[[Kind], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`reopened` is told when a watch begins after a listing: deletions before it were not seen."""
        self._monotonic = monotonic
        self._reopened = reopened
        self._kinds = {kind.path(namespace): kind for kind in kinds for namespace in (namespaces or ("",))}
        self._begun = monotonic()
        self._heard: dict[str, float] = {}
        self._listed: set[str] = set()

    def ages(self) -> Mapping[str, float]:
        """Seconds of silence by kind; with several namespaces that of the most silent one."""
        now = self._monotonic()
        ages: dict[str, float] = {}
        for path, kind in self._kinds.items():
            age = now - self._heard.get(path, self._begun)
            ages[kind.name] = max(age, ages.get(kind.name, 0.0))
        return ages

    def unheard(self) -> tuple[str, ...]:
        """Name the kinds whose watches have not begun, in all namespaces."""
        return tuple(
            dict.fromkeys(kind.name for path, kind in self._kinds.items() if path not in self._heard)
        )

    async def listen(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Pass a request of kopf through (an aiohttp client middleware) and hear its answer."""
        response = await handler(request)
        kind = self._kinds.get(request.url.path)
        if kind is None or response.status != _OK:
            return response
        path = request.url.path
        if request.url.query.get("watch") != "true":
            self._listed.add(path)
            return response
        self._hear(path)
        content: Any = _HeardStream(response.content, lambda: self._hear(path))
        response.content = content
        if path in self._listed:
            self._listed.discard(path)
            self._reopened(kind)
        return response

    def _hear(self, path: str) -> None:
        self._heard[path] = self._monotonic()


class _HeardStream:
    """A response's content that tells of each piece that is read from it."""

    def __init__(self, stream: aiohttp.StreamReader, heard: Callable[[], None]) -> None:
        self._stream = stream
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for piece in self._stream.iter_chunked(size):
            self._heard()
            yield piece
