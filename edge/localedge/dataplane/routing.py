"""From a visitor's request to an answer: the name, the choice, the way, and one more try where allowed."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from localedge.balance.health import VerdictOf
from localedge.balance.steering import Choice, choose, choose_beside
from localedge.balance.topology import LoadBalancer, Origin, Record, Topology
from localedge.dataplane import pages
from localedge.dataplane.address_leg import AddressLeg, OriginUnreachableError, Scheme, Upstream
from localedge.dataplane.answer import Answer
from localedge.dataplane.header_fields import HeaderList
from localedge.dataplane.pages import Page
from localedge.dataplane.sight import Sight
from localedge.dataplane.tunnel_leg import TunnelLeg
from localedge.dataplane.upgrade import SWITCHING, VisitorBytes, upgrade_at_address
from localedge.tunnel.interface import NoConnectionError, StreamFailedError, TunnelRequest

FAILOVER_STATUSES = frozenset({521, 522, 523, 525, 526})
"""Zero-downtime failover: these only. 530 and 502 of tunnels are not among them."""

ORIGIN_TIMEOUT_S = 100.0


@dataclass(frozen=True, slots=True)
class Visit:
    """A visitor's request, header fields already made for the origin."""

    scheme: Scheme
    host: str
    method: str
    path: str
    headers: HeaderList
    body: AsyncIterator[bytes] | None
    client_ip: str
    websocket: VisitorBytes | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """What a request came to, and by which way."""

    result: Answer | Page
    choice: Choice | None = None
    tunnel_id: str | None = None
    tries: int = 1

    @property
    def status(self) -> int:
        """The status that the visitor sees."""
        return self.result.status


class Router:
    """Answers visits by the configuration that it is handed."""

    def __init__(
        self, tunnels: TunnelLeg, addresses: AddressLeg, verdict: VerdictOf, chance: random.Random
    ) -> None:
        self._tunnels = tunnels
        self._addresses = addresses
        self._verdict = verdict
        self._chance = chance

    async def route(self, sight: Sight, visit: Visit) -> Routed:
        """Find who answers the name and let them."""
        match sight.lookup(visit.host):
            case topology, LoadBalancer() as balancer:
                return await self._balance(topology, balancer, visit)
            case topology, Record(tunnel_id=str(tunnel_id)):
                result = await self._tunnel(topology, tunnel_id, visit.host, visit)
                return Routed(result, tunnel_id=tunnel_id)
            case _, Record(kind=kind):
                return Routed(pages.not_emulated(f"a proxied {kind} record without a tunnel"))
            case _:
                return Routed(pages.UNKNOWN_HOST)

    async def _balance(self, topology: Topology, balancer: LoadBalancer, visit: Visit) -> Routed:
        choice = choose(balancer, self._verdict, self._chance, visit.client_ip)
        if choice is None:
            return Routed(pages.NO_ORIGIN)
        routed = await self._to_origin(topology, balancer, choice, visit)
        if not (isinstance(routed.result, Page) and routed.status in FAILOVER_STATUSES):
            return routed
        other = self._elsewhere(balancer, choice, visit)
        return (
            routed
            if other is None
            else replace(await self._to_origin(topology, balancer, other, visit), tries=2)
        )

    def _elsewhere(self, balancer: LoadBalancer, failed: Choice, visit: Visit) -> Choice | None:
        tried = frozenset({failed.origin.address})
        beside = choose_beside(failed, self._verdict, self._chance, visit.client_ip, tried)
        if beside is not None or not balancer.failover_across_pools:
            return beside
        return choose(balancer, self._verdict, self._chance, visit.client_ip, tried=tried)

    async def _to_origin(
        self, topology: Topology, balancer: LoadBalancer, choice: Choice, visit: Visit
    ) -> Routed:
        origin = choice.origin
        if (tunnel_id := origin.tunnel_id) is not None:
            result = await self._tunnel(topology, tunnel_id, origin.host or visit.host, visit)
        else:
            upstream = upstream_of(origin, topology.ssl_mode(balancer.zone_id), visit)
            result = await self._address(upstream, visit)
        return Routed(result, choice, tunnel_id)

    async def _tunnel(self, topology: Topology, tunnel_id: str, host: str, visit: Visit) -> Answer | Page:
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


def upstream_of(origin: Origin, ssl_mode: str, visit: Visit) -> Upstream:
    """Decide how to speak to an address origin by the zone's SSL mode.

    `off` and `flexible` never use TLS; `full` and `strict` use the visitor's scheme, and `strict`
    checks the certificate.
    """
    scheme: Scheme = visit.scheme if ssl_mode in {"full", "strict"} else "http"
    return Upstream(
        scheme, origin.address, origin.port, origin.host or visit.host, verify=ssl_mode == "strict"
    )
