"""From a visitor's request to who answers: the name decides."""

from __future__ import annotations

from localedge.balance.model import LoadBalancer, Record
from localedge.dataplane import pages
from localedge.dataplane.balancing import Balancing
from localedge.dataplane.origins import Origins
from localedge.dataplane.sight import Sight
from localedge.dataplane.visit import Routed, Visit


class Router:
    """Answers visits by the configuration that it is handed."""

    def __init__(self, origins: Origins, balancing: Balancing) -> None:
        self._origins = origins
        self._balancing = balancing

    async def route(self, sight: Sight, visit: Visit) -> Routed:
        """Find who answers the name and let them."""
        match sight.lookup(visit.host):
            case topology, LoadBalancer(proxied=True) as balancer:
                return await self._balancing.answer(topology, balancer, visit)
            case topology, Record(tunnel_id=str(tunnel_id)):
                result = await self._origins.tunnel(topology, tunnel_id, visit.host, visit)
                return Routed(result, tunnel_id=tunnel_id)
            case _, Record(kind=kind):
                return Routed(pages.not_emulated(f"a proxied {kind} record without a tunnel"))
            case _:
                # A name that only DNS answers is none of the edge's either.
                return Routed(pages.UNKNOWN_HOST)
