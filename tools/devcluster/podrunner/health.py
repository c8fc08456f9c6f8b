"""The probes of one running container, and what follows from them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from devcluster.podrunner.probes import check_once, watch_health

if TYPE_CHECKING:
    from devcluster.podrunner.container import Container
    from devcluster.podrunner.context import PodContext

Json = dict[str, Any]


class Health:
    """Startup first; once that has succeeded, liveness and readiness."""

    def __init__(self, spec: Json, context: "PodContext", container: "Container") -> None:
        self._spec = spec
        self._context = context
        self._container = container

    def at_start(self) -> tuple[bool, bool]:
        """Tell (started, ready) of a program just started: what no probe denies is true."""
        started = "startupProbe" not in self._spec
        return started, started and "readinessProbe" not in self._spec

    async def watch(self) -> None:
        """Probe until cancelled."""
        if startup := self._spec.get("startupProbe"):
            await self._wait_until_started(startup)
            self._container.set_health(started=True, ready="readinessProbe" not in self._spec)
        async with asyncio.TaskGroup() as group:
            if liveness := self._spec.get("livenessProbe"):
                group.create_task(
                    watch_health(liveness, self._check(liveness), self._restart_on_failure(liveness))
                )
            if readiness := self._spec.get("readinessProbe"):
                group.create_task(watch_health(readiness, self._check(readiness), self._set_ready))

    async def _wait_until_started(self, probe: Json) -> None:
        started = asyncio.Event()
        restart = self._restart_on_failure(probe)

        def on_change(healthy: bool, problem: str) -> None:
            if healthy:
                started.set()
            else:
                restart(healthy, problem)

        probing = asyncio.create_task(watch_health(probe, self._check(probe), on_change))
        try:
            await started.wait()
        finally:
            probing.cancel()

    def _check(self, probe: Json) -> Callable[[], Awaitable[str | None]]:
        async def check() -> str | None:
            try:
                return await check_once(probe, self._spec, self._context.pod_ip, self._container.execute)
            except ValueError as error:
                return str(error)

        return check

    def _restart_on_failure(self, probe: Json) -> Callable[[bool, str], None]:
        pod_grace = self._context.pod["spec"].get("terminationGracePeriodSeconds", 30)
        grace_s = probe.get("terminationGracePeriodSeconds", pod_grace)

        def on_change(healthy: bool, _: str) -> None:
            if not healthy:
                self._container.restart_unhealthy(grace_s)

        return on_change

    def _set_ready(self, healthy: bool, _: str) -> None:
        self._container.set_health(ready=healthy)
