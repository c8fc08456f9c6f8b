"""One round of a monitor on one origin: the request, its retries, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from localedge.balance.model import Origin
from localedge.dataplane.address_leg import AddressLeg, OriginUnreachableError, Scheme, Upstream
from localedge.dataplane.tunnel_leg import TunnelLeg
from localedge.probe.expectation import BODY_BYTES, Expectation
from localedge.probe.verdict import ProbeResult
from localedge.state.records import Document
from localedge.tunnel.interface import NoConnectionError, StreamFailedError, TunnelRequest

_UNREACHABLE_REASONS = {
    521: "TCP connection failed",
    522: "TCP Timeout",
    523: "Network Unreachable",
    525: "TLS Handshake Failure",
    526: "TLS untrusted certificate error",
    530: "DNS Unknown Host",
}
NO_CONNECTION_STATUS = 530
BAD_GATEWAY_STATUS = 502


@dataclass(frozen=True, slots=True)
class Target:
    """What is probed: one origin of one pool by one monitor."""

    pool_id: str
    pool_name: str
    origin: Origin
    monitor: Document
    foreign: bool = False
    """A tunnel that the account has not: nobody reaches it."""

    @property
    def host(self) -> str:
        """The Host of the probe: the origin's own, else the monitor's, else the address."""
        hosts = next((v for k, v in self.monitor.get("header", {}).items() if k.lower() == "host"), ())
        return self.origin.host or (hosts[0] if hosts else None) or self.origin.address

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The header fields of the probe besides Host."""
        agent = (
            "Mozilla/5.0 (compatible; Cloudflare-Traffic-Manager/1.0; "
            f"+https://www.cloudflare.com/traffic-manager/; pool-id: {self.pool_id[:16]})"
        )
        own = [
            (name.lower(), value)
            for name, values in self.monitor.get("header", {}).items()
            for value in values
            if name.lower() != "host"
        ]
        return [*own, ("user-agent", agent), ("accept-encoding", "identity")]


class Prober:
    """Runs single rounds; knows both ways to an origin."""

    def __init__(self, tunnels: TunnelLeg, addresses: AddressLeg) -> None:
        self._tunnels = tunnels
        self._addresses = addresses

    async def round(self, target: Target) -> ProbeResult:
        """Probe once, and again at once for each retry as long as it is time-outs that fail it."""
        result = await self._once(target)
        for _ in range(target.monitor["retries"]):
            if not result.timed_out:
                break
            result = await self._once(target)
        return result

    async def _once(self, target: Target) -> ProbeResult:
        started = time.monotonic()
        try:
            async with asyncio.timeout(target.monitor["timeout"]):
                failure, code = await self._attempt(target)
        except TimeoutError:
            tcp = target.monitor["type"] == "tcp"
            reason = "TCP Timeout" if tcp else "HTTP timeout occurred"
            return ProbeResult(reason, time.monotonic() - started, timed_out=True)
        return ProbeResult(failure, time.monotonic() - started, code)

    async def _attempt(self, target: Target) -> tuple[str | None, int]:
        tunnel_id = target.origin.tunnel_id
        if target.monitor["type"] == "tcp":
            # Cloudflare does not support tcp monitors on tunnels: such an origin never becomes healthy.
            return ("TCP connection failed", 0) if tunnel_id else (await self._connect(target), 0)
        if tunnel_id is not None and target.foreign:
            status, body = NO_CONNECTION_STATUS, b""
        elif tunnel_id is not None:
            status, body = await self._through_tunnel(target, tunnel_id)
        else:
            try:
                status, body = await self._to_address(target)
            except OriginUnreachableError as error:
                return _UNREACHABLE_REASONS.get(error.status, "HTTP Invalid Response"), 0
        return Expectation.of(target.monitor).failure(status, body), status

    async def _through_tunnel(self, target: Target, tunnel_id: str) -> tuple[int, bytes]:
        request = TunnelRequest(target.monitor["method"], target.host, target.monitor["path"], target.headers)
        try:
            response = await self._tunnels.request(tunnel_id, request)
            return response.status, await _beginning(response.body)
        except NoConnectionError:
            return NO_CONNECTION_STATUS, b""
        except StreamFailedError:
            return BAD_GATEWAY_STATUS, b""

    async def _to_address(self, target: Target) -> tuple[int, bytes]:
        monitor = target.monitor
        scheme: Scheme = monitor["type"]
        upstream = Upstream(
            scheme,
            target.origin.address,
            monitor["port"] or target.origin.port,
            target.host,
            verify=not monitor["allow_insecure"],
        )
        response = await self._addresses.request(
            upstream, monitor["method"], monitor["path"], target.headers, timeout_s=monitor["timeout"]
        )
        try:
            return response.status, await _beginning(response.body)
        finally:
            response.close()

    async def _connect(self, target: Target) -> str | None:
        try:
            _, writer = await asyncio.open_connection(target.origin.address, target.monitor["port"])
        except OSError:
            return "TCP connection failed"
        writer.close()
        return None


async def _beginning(body: AsyncIterator[bytes]) -> bytes:
    kept = b""
    try:
        async for chunk in body:
            kept += chunk
            if len(kept) >= BODY_BYTES:
                break
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()
    return kept
