"""The engine's small cluster behind HTTP, as far as the command line needs it. Every write is noted."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from small_cluster import SmallCluster

from tunnelpool.domain.kinds import KINDS, Kind

CLUSTER_UID = "0123abcd-0000-4000-8000-000000000000"


@dataclass
class ClusterApi:
    """An API server for one test: it lists, gets, and takes merge patches of metadata."""

    cluster: SmallCluster
    kubeconfig: Path
    refused: set[str] = field(default_factory=set)
    """Plurals that may not be listed in all namespaces."""
    unknown: set[str] = field(default_factory=set)
    """Plurals that the server does not know."""
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Requests other than GET."""
        return [one for one in self.asked if one[0] != "GET"]

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request."""
        self.asked.append((request.method, request.path))
        parts = request.path.strip("/").split("/")
        parts = parts[2:] if parts[0] == "api" else parts[3:]
        if parts == ["namespaces", "kube-system"]:
            return web.json_response({"metadata": {"name": "kube-system", "uid": CLUSTER_UID}})
        namespace = ""
        if parts[0] == "namespaces":
            namespace, parts = parts[1], parts[2:]
        kind = next((one for one in KINDS.values() if one.plural == parts[0]), None)
        if kind is None or kind.plural in self.unknown:
            return _refusal(404, "NotFound", "the server could not find the requested resource")
        if len(parts) == 1:
            return self._list(kind, namespace)
        return await self._one(request, kind, namespace, parts[1])

    def _list(self, kind: Kind, namespace: str) -> web.Response:
        if not namespace and kind.plural in self.refused:
            return _refusal(
                403, "Forbidden", f"{kind.plural} is forbidden: User cannot list at the cluster scope"
            )
        found = [
            raw for raw in self.cluster.all(kind.name) if namespace in {"", raw["metadata"]["namespace"]}
        ]
        return web.json_response({"metadata": {}, "items": found})

    async def _one(self, request: web.Request, kind: Kind, namespace: str, name: str) -> web.Response:
        if kind.name == "Secret" and (namespace, name) in self.cluster.secrets:
            data = self.cluster.secrets[namespace, name]
            encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
            return web.json_response({"data": encoded})
        raw = self.cluster.get(kind.name, name, namespace)
        if raw is None:
            return _refusal(404, "NotFound", f'{kind.plural} "{name}" not found')
        if request.method == "PATCH":
            meta = (await request.json())["metadata"]
            if meta["resourceVersion"] != raw["metadata"]["resourceVersion"]:
                return _refusal(409, "Conflict", "the object has been modified")
            raw = {**raw, "metadata": {**raw["metadata"], "finalizers": meta["finalizers"] or []}}
            self.cluster.write(raw)
            return web.json_response(raw)
        return web.json_response(raw)


@contextmanager
def serving(api: ClusterApi) -> Iterator[None]:
    """Serve from a thread of its own, since the command line has an event loop of its own too."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", api.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    api.kubeconfig.write_text(
        f"""
apiVersion: v1
kind: Config
current-context: x
contexts: [{{name: x, context: {{cluster: x, user: x, namespace: default}}}}]
clusters: [{{name: x, cluster: {{server: "{url}"}}}}]
users: [{{name: x, user: {{token: a-token-of-the-cluster}}}}]
"""
    )
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def _refusal(status: int, reason: str, message: str) -> web.Response:
    body: dict[str, Any] = {"kind": "Status", "status": "Failure", "reason": reason, "message": message}
    return web.json_response({**body, "code": status}, status=status)
