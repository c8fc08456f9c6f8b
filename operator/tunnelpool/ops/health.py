"""The HTTP server for the kubelet and Prometheus: `/livez`, `/readyz`, `/metrics`.

Neither check may depend on Cloudflare: an outage there must not restart operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

Check: TypeAlias = Callable[[], str | None]
"""Tells what is wrong, in a sentence; None if nothing is."""

_SHUTDOWN_S: Final = 2.0


class HealthServer:
    """Answers 200 if all checks of an endpoint pass, else 503 with one line for each that does not.

    That `/livez` answers at all shows that the event loop runs; its checks add what only the parts know
    (do the workers live, has a key waited for too long).
    """

    def __init__(
        self, *, live: Mapping[str, Check], ready: Mapping[str, Check], metrics: Callable[[], bytes]
    ) -> None:
        self._live = live
        self._ready = ready
        self._metrics = metrics
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; port 0 chooses a free one. Answers with the address that is listened on.

        Raises:
            OSError: the address is taken or is not ours.

        """
        app = web.Application()
        app.router.add_get("/livez", self._answer_live)
        app.router.add_get("/readyz", self._answer_ready)
        app.router.add_get("/metrics", self._answer_metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self.stop()
            raise
        bound: tuple[str, int] = self._runner.addresses[0][:2]
        return bound

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer_live(self, _: web.Request) -> web.Response:
        return _verdict(self._live)

    async def _answer_ready(self, _: web.Request) -> web.Response:
        return _verdict(self._ready)

    async def _answer_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _verdict(checks: Mapping[str, Check]) -> web.Response:
    found = {name: check() for name, check in checks.items()}
    lines = [f"{name}: {problem or 'ok'}" for name, problem in found.items()]
    failing = any(problem is not None for problem in found.values())
    return web.Response(
        status=503 if failing else 200, text="\n".join([*lines, "failed" if failing else "ok", ""])
    )
