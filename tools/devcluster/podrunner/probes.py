"""Startup, liveness and readiness probes: HTTP, TCP and exec."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

Json = dict[str, Any]
Execute = Callable[[list[str], float], Awaitable[int]]

USER_AGENT = "kube-probe/1.37"


@dataclass(frozen=True)
class Settings:
    """When a probe runs and what decides, with Kubernetes' defaults. Seconds."""

    delay_s: float
    period_s: float
    timeout_s: float
    successes: int
    failures: int

    @classmethod
    def of(cls, probe: Json) -> "Settings":
        """As the API server has defaulted them."""
        return cls(
            probe.get("initialDelaySeconds", 0),
            probe.get("periodSeconds", 10),
            probe.get("timeoutSeconds", 1),
            probe.get("successThreshold", 1),
            probe.get("failureThreshold", 3),
        )


class Verdict:
    """Counts results in a row. `healthy` is None until a threshold has been reached."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: bool | None = None
        self._row = 0
        self.healthy: bool | None = None

    def take(self, success: bool) -> bool:
        """Note a result; True if `healthy` changed."""
        self._row = self._row + 1 if success == self._last else 1
        self._last = success
        if self._row < (self._settings.successes if success else self._settings.failures):
            return False
        changed = self.healthy != success
        self.healthy = success
        return changed


async def watch_health(
    probe: Json, check: Callable[[], Awaitable[str | None]], on_change: Callable[[bool, str], None]
) -> None:
    """Probe until cancelled. `check` gives None or what is wrong; `on_change(healthy, what is wrong)`."""
    settings = Settings.of(probe)
    verdict = Verdict(settings)
    loop = asyncio.get_running_loop()
    await asyncio.sleep(settings.delay_s)
    while True:
        begin = loop.time()
        try:
            problem = await asyncio.wait_for(check(), settings.timeout_s)
        except TimeoutError:
            problem = f"no answer within {settings.timeout_s:g} s"
        if verdict.take(problem is None):
            on_change(problem is None, problem or "")
        await asyncio.sleep(max(0.0, begin + settings.period_s - loop.time()))


async def check_once(probe: Json, container: Json, pod_ip: str, execute: Execute) -> str | None:
    """One attempt, without time limit: None if it succeeds, else what is wrong."""
    if action := probe.get("httpGet"):
        return await http_get(action, container, pod_ip)
    if action := probe.get("tcpSocket"):
        return await _tcp_connect(action, container, pod_ip)
    code = await execute(probe["exec"]["command"], Settings.of(probe).timeout_s)
    return f"command ended with {code}" if code else None


async def http_get(action: Json, container: Json, pod_ip: str) -> str | None:
    """GET as probes and hooks do: any answer below 400 is a success, certificates are not verified."""
    scheme = action.get("scheme", "HTTP").lower()
    host = action.get("host") or pod_ip
    path = action.get("path") or "/"
    url = f"{scheme}://{host}:{port_number(action['port'], container)}/{path.removeprefix('/')}"
    headers = {"User-Agent": USER_AGENT}
    headers.update({header["name"]: header["value"] for header in action.get("httpHeaders", ())})
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, force_close=True)) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            return f"{url} answered {response.status}" if response.status >= HTTPStatus.BAD_REQUEST else None
    except (aiohttp.ClientError, OSError) as error:
        return f"{url}: {error}"


async def _tcp_connect(action: Json, container: Json, pod_ip: str) -> str | None:
    host, port = action.get("host") or pod_ip, port_number(action["port"], container)
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return f"{host}:{port}: {error}"
    writer.close()
    return None


def port_number(port: int | str, container: Json) -> int:
    """Return a port by number or by its name in the container. Raises ValueError for a name it lacks."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for declared in container.get("ports", ()):
        if declared.get("name") == port:
            return int(declared["containerPort"])
    raise ValueError(f"container {container['name']} has no port named {port}")
