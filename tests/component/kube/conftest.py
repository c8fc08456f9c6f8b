from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tunnelpool.kube.client import KubeClient

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """A request as the API server has seen it."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    authorization: str
    body: Any


@dataclass
class ScriptedApi:
    """An API server that gives the answers it was told to, in their order, and then 200 with `{}`."""

    kubeconfig: Path
    answers: list[tuple[int, Any] | Handler] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def write_kubeconfig(self, token: str) -> None:
        """Let clients find the server and this token."""
        self.kubeconfig.write_text(
            f"""
apiVersion: v1
kind: Config
current-context: x
contexts: [{{name: x, context: {{cluster: x, user: x}}}}]
clusters: [{{name: x, cluster: {{server: "{self.url}"}}}}]
users: [{{name: x, user: {{token: "{token}"}}}}]
"""
        )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Note the request and give the next answer."""
        self.asked.append(
            Asked(
                request.method,
                request.path,
                dict(request.query),
                request.content_type,
                request.headers.get("Authorization", ""),
                await request.json() if request.can_read_body else None,
            )
        )
        answer = self.answers.pop(0) if self.answers else (200, {})
        if callable(answer):
            return await answer(request)
        status, body = answer
        return web.json_response(body, status=status)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ScriptedApi]:
    scripted = ScriptedApi(tmp_path / "kubeconfig")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    scripted.write_kubeconfig("first")
    yield scripted
    await runner.cleanup()


@pytest.fixture
async def client(api: ScriptedApi) -> AsyncIterator[KubeClient]:
    connected = await KubeClient.connect(str(api.kubeconfig), total_s=0.5)
    yield connected
    await connected.close()
