"""What the public DNS would answer: `/_edge/dns?name=`."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

from aiohttp import web

from localedge.balance.names import resolve
from localedge.balance.steering import Chooser
from localedge.balance.visitor import UNKNOWN_COUNTRY, Location, Visitor
from localedge.control.answer import BASE, answering
from localedge.dataplane.sight import Sight
from localedge.documents.hostnames import hostname


class NameService:
    """Serves lookups by the configuration that the data plane sees."""

    def __init__(self, sight: Sight, chooser: Chooser, *, edge_address: str, colo: str) -> None:
        self._sight = sight
        self._chooser = chooser
        self._edge_address = edge_address
        self._colo = colo

    def attach(self, app: web.Application) -> None:
        """Add the route to an application."""
        app.router.add_get(f"{BASE}/dns", answering(self._answer))

    async def _answer(self, request: web.Request, _body: Any) -> Any:
        query = request.query
        location = Location(
            query.get("colo", self._colo), query.get("country", UNKNOWN_COUNTRY), query.get("region", "")
        )
        visitor = Visitor(request.remote or "127.0.0.1", location)
        return await self.lookup(hostname("name", query.get("name")), visitor)

    async def lookup(self, name: str, visitor: Visitor) -> dict[str, Any]:
        """Tell the answers to A, AAAA and CNAME at once."""
        topology, found = self._sight.authority(name)
        if topology is None:
            return {"name": name, "status": "NXDOMAIN", "answers": []}
        told = resolve(topology, found, name, self._chooser, visitor, self._edge_address)
        addresses = list(told.addresses)
        for host in told.hostnames:
            addresses += await _addresses(host)
        answers = [{"type": _type(a), "content": a, "ttl": told.ttl_s} for a in addresses]
        answers += [{"type": "CNAME", "content": a, "ttl": told.ttl_s} for a in told.aliases]
        return {"name": name, "status": "NOERROR" if told.known else "NXDOMAIN", "answers": answers}


async def _addresses(host: str) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return []
    return list(dict.fromkeys(str(address[4][0]) for address in found))


def _type(address: str) -> str:
    return "A" if ipaddress.ip_address(address).version == 4 else "AAAA"  # noqa: PLR2004 - of two versions
