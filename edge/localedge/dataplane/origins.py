"""The two ways to an origin, and how many requests are on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from localedge.balance.model import Origin
from localedge.balance.steering import Choice
from localedge.balance.topology import Topology
from localedge.dataplane import pages
from localedge.dataplane.address_leg import AddressLeg, OriginUnreachableError, Scheme, Upstream
from localedge.dataplane.answer import Answer
from localedge.dataplane.pages import Page
from localedge.dataplane.tunnel_leg import TunnelLeg
from localedge.dataplane.upgrade import SWITCHING, upgrade_at_address
from localedge.dataplane.visit import Visit
from localedge.tunnel.interface import NoConnectionError, StreamFailedError, TunnelRequest

ORIGIN_TIMEOUT_S = 100.0


class Origins:
    """Passes requests on; counts those whose answer has not ended."""

    def __init__(self, tunnels: TunnelLeg, addresses: AddressLeg) -> None:
        self._tunnels = tunnels
        self._addresses = addresses
        self._outstanding: Counter[tuple[str, str]] = Counter()

    def outstanding(self, pool_id: str, address: str) -> int:
        """Count the requests under way at an origin of a pool."""
        return self._outstanding[pool_id, address]

    async def reach(self, topology: Topology, zone_id: str, choice: Choice, visit: Visit) -> Answer | Page:
        """Ask an origin of a pool."""
        origin, key = choice.origin, (choice.pool.id, choice.origin.address)
        self._outstanding[key] += 1
        result: Answer | Page | None = None
        try:
            if (tunnel_id := origin.tunnel_id) is not None:
                result = await self.tunnel(topology, tunnel_id, origin.host or visit.host, visit)
            else:
                upstream = upstream_of(origin, topology.ssl_mode(zone_id), visit)
                result = await self._address(upstream, visit)
        finally:
            if not isinstance(result, Answer):
                self._left(key)
        if isinstance(result, Answer):
            result.close = self._leaving(key, result.close)
        return result

    async def tunnel(self, topology: Topology, tunnel_id: str, host: str, visit: Visit) -> Answer | Page:
        """Ask whatever is behind a tunnel."""
        if tunnel_id not in topology.state.tunnels:
            # A tunnel of another account is no more to be reached than one that never was.
            return pages.NO_TUNNEL
        websocket = visit.websocket
        request = TunnelRequest(
            visit.method,
            host,
            visit.path,
            visit.headers,
            aiter(websocket) if websocket is not None else visit.body or b"",
            websocket=websocket is not None,
        )
        try:
            response = await self._tunnels.request(tunnel_id, request, timeout_s=ORIGIN_TIMEOUT_S)
        except NoConnectionError:
            return pages.NO_TUNNEL
        except StreamFailedError:
            return pages.BAD_GATEWAY
        except TimeoutError:
            return pages.ORIGIN_TIMEOUT
        upgraded = websocket is not None and any(n == "sec-websocket-accept" for n, _ in response.headers)

        async def close() -> None:
            end = getattr(response.body, "aclose", None)
            if end is not None:
                await end()

        return Answer(
            SWITCHING if upgraded else response.status,
            response.headers,
            response.body,
            close,
            response.source,
            response.connection.client_id,
        )

    async def _address(self, upstream: Upstream, visit: Visit) -> Answer | Page:
        try:
            if visit.websocket is not None:
                return await upgrade_at_address(
                    self._addresses, upstream, visit.path, visit.headers, visit.websocket
                )
            response = await self._addresses.request(
                upstream, visit.method, visit.path, visit.headers, visit.body, timeout_s=ORIGIN_TIMEOUT_S
            )
        except OriginUnreachableError as error:
            return pages.unreachable_origin(error.status)
        except TimeoutError:
            return pages.ORIGIN_TIMEOUT

        async def close() -> None:
            response.close()

        return Answer(response.status, response.headers, response.body, close, "origin")

    def _leaving(
        self, key: tuple[str, str], close: Callable[[], Awaitable[None]]
    ) -> Callable[[], Awaitable[None]]:
        async def leave() -> None:
            self._left(key)
            await close()

        return leave

    def _left(self, key: tuple[str, str]) -> None:
        self._outstanding[key] -= 1
        if not self._outstanding[key]:
            del self._outstanding[key]


def upstream_of(origin: Origin, ssl_mode: str, visit: Visit) -> Upstream:
    """Decide how to speak to an address origin by the zone's SSL mode.

    `off` and `flexible` never use TLS; `full` and `strict` use the visitor's scheme, and `strict`
    checks the certificate.
    """
    scheme: Scheme = visit.scheme if ssl_mode in {"full", "strict"} else "http"
    return Upstream(
        scheme, origin.address, origin.port, origin.host or visit.host, verify=ssl_mode == "strict"
    )
