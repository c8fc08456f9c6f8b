import asyncio
import json
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from tunnelpool.domain.errors import UnavailableError
from tunnelpool.domain.kinds import SECRET, TUNNEL, Kind

KINDS = (TUNNEL, SECRET)


@dataclass
class WatchedApi:
    """As much of an API server as a list and a watch need: discovery, lists, streams that tests feed."""

    url: str = ""
    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    streams: dict[str, list[asyncio.Queue[dict[str, Any] | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    discovered: set[str] = field(default_factory=lambda: {kind.plural for kind in KINDS})
    requests: list[tuple[str, Mapping[str, str], str]] = field(default_factory=list)
    listings: list[str] = field(default_factory=list)
    unavailable: int = 0
    version: int = 10

    def put(
        self, kind: Kind, name: str, *, unseen: bool = False, labels: Mapping[str, str] | None = None
    ) -> None:
        """Make or change an object; `unseen` means that no stream tells of it."""
        self.version += 1
        before = self.objects[kind.path()].get(name)
        meta = {"name": name, "namespace": "a", "uid": f"uid-{kind.name}-{name}", "managedFields": [{}]}
        raw = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {**meta, "labels": labels or {}, "resourceVersion": str(self.version)},
        }
        self.objects[kind.path()][name] = raw
        if not unseen:
            self.say(kind, {"type": "MODIFIED" if before else "ADDED", "object": raw})

    def delete(self, kind: Kind, name: str, *, unseen: bool = False) -> None:
        """Delete an object; `unseen` means that no stream tells of it."""
        raw = self.objects[kind.path()].pop(name)
        if not unseen:
            self.say(kind, {"type": "DELETED", "object": raw})

    def say(self, kind: Kind, event: dict[str, Any] | None) -> None:
        """Send an event on the streams of a kind; None ends them."""
        for stream in self.streams[kind.path()]:
            stream.put_nowait(event)

    def bookmark(self, kind: Kind) -> None:
        """Send what an API server sends each minute."""
        meta = {"resourceVersion": str(self.version)}
        self.say(kind, {"type": "BOOKMARK", "object": {"kind": kind.name, "metadata": meta}})

    def expire(self, kind: Kind) -> None:
        """Tell the watchers of a kind that their version is too old, and end their streams."""
        self.say(kind, {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})
        self.say(kind, None)

    async def lister(self, kind: Kind, _: str = "", /) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """List a kind as the operator's own client does."""
        self.listings.append(kind.name)
        if self.unavailable:
            self.unavailable -= 1
            raise UnavailableError("the API server is not there yet")
        yield list(self.objects[kind.path()].values())

    async def serve_objects(self, request: web.Request) -> web.StreamResponse:
        """Answer a list or a watch of kopf."""
        path = request.path
        self.requests.append((path, dict(request.query), request.headers.get("Authorization", "")))
        if request.query.get("watch") != "true":
            meta = {"resourceVersion": str(self.version)}
            return web.json_response({"metadata": meta, "items": list(self.objects[path].values())})
        stream: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        response = web.StreamResponse()
        await response.prepare(request)
        self.streams[path].append(stream)
        try:
            while (event := await stream.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self.streams[path].remove(stream)
        return response

    async def serve_discovery(self, request: web.Request) -> web.Response:
        """Answer what kopf asks about the API."""
        ours = [_resource(kind) for kind in KINDS if kind.plural in self.discovered]
        core = {
            "name": "namespaces",
            "singularName": "",
            "kind": "Namespace",
            "namespaced": False,
            "verbs": [],
        }
        answers: dict[str, Any] = {
            "/api": {"versions": ["v1"]},
            "/api/v1": {"resources": [core, *(r for r in ours if r["name"] == "secrets")]},
            "/apis": {"groups": [_GROUP]},
            "/apis/tunnelpool.dev/v1alpha1": {"resources": [r for r in ours if r["name"] == "tunnels"]},
        }
        return web.json_response(answers[request.path])


_VERSION = {"groupVersion": "tunnelpool.dev/v1alpha1", "version": "v1alpha1"}
_GROUP = {"name": "tunnelpool.dev", "versions": [_VERSION], "preferredVersion": _VERSION}


def _resource(kind: Kind) -> dict[str, Any]:
    verbs = ["list", "watch", "patch"]
    return {"name": kind.plural, "singularName": "", "kind": kind.name, "namespaced": True, "verbs": verbs}


class _Access:
    ssl = ssl.create_default_context()
    proxy = None

    def __init__(self, server: str) -> None:
        self.server = server
        self._asked = 0

    async def authorization(self) -> str | None:
        self._asked += 1
        return f"Bearer number-{self._asked}"


@pytest.fixture
async def api() -> AsyncIterator[WatchedApi]:
    watched = WatchedApi()
    app = web.Application()
    for path in ("/api", "/api/v1", "/apis", "/apis/tunnelpool.dev/v1alpha1"):
        app.router.add_get(path, watched.serve_discovery)
    for kind in KINDS:
        app.router.add_get(kind.path(), watched.serve_objects)
        app.router.add_get(kind.path("NS").replace("NS", "{namespace}"), watched.serve_objects)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    watched.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield watched
    await runner.cleanup()


@pytest.fixture
def connect(api: WatchedApi) -> Callable[[], Any]:
    access = _Access(api.url)

    async def connect() -> _Access:
        return access

    return connect
