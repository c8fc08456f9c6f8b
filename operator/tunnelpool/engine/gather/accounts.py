"""Which account to look into: that of a claim, or where the remains of a resource are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from tunnelpool.crd.v1alpha1 import HealthCheck, LBPool, LoadBalancer, Tunnel
from tunnelpool.domain.hostnames import zone_of
from tunnelpool.domain.reasons import Problem
from tunnelpool.engine.credentials import Credentials, Opened
from tunnelpool.engine.topology import Topology

Claimant: TypeAlias = Tunnel | LBPool | LoadBalancer | HealthCheck


class Accounts:
    """Opens accounts by what is known: resources, an id, the name of a remote object."""

    def __init__(self, topology: Topology, credentials: Credentials) -> None:
        self._topology = topology
        self._credentials = credentials

    async def open_for(self, resources: Iterable[Claimant]) -> Opened | Problem:
        """Open the account of the first of these resources; the default one if there is none."""
        first = next(iter(resources), None)
        secret = self._topology.secret_of(first) if first else self._credentials.ref("", None)
        opened = await self._credentials.open(secret)
        deleted_at = first.metadata.deletion_timestamp if first else None
        if isinstance(opened, Problem) and deleted_at is not None:
            return self._credentials.last_opened(secret, deleted_at.timestamp()) or opened
        return opened

    def with_id(self, account_id: str) -> Opened | None:
        """Find an account by its id: what nobody claims any more names no Secret."""
        return next((one for one in self._credentials.opened() if one.account_id == account_id), None)

    async def holding(self, name: str) -> Opened | None:
        """Find the account that holds a tunnel or a monitor whose resource is gone, by its name or mark."""
        for opened in self._credentials.opened():
            tunnels = [one.value.name for one in await opened.cloud.tunnels()]
            marks = [one.value.description for one in await opened.cloud.monitors()]
            if any(name in text for text in (*tunnels, *marks)):
                return opened
        return None

    async def with_zone_of(self, hostname: str) -> Opened | None:
        """Find the account whose zone holds a host name that nobody claims any more."""
        for opened in self._credentials.opened():
            if zone_of(hostname, await opened.cloud.zones()) is not None:
                return opened
        return None
