"""Keys of the work queue: one for each remote aggregate, so each remote object has one writer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, order=True)
class TunnelKey:
    """A Tunnel: its remote tunnels, their configurations and its connectors in the cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Write the key as it stands in logs."""
        return f"tunnel/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class MonitorKey:
    """A HealthCheck's monitor."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Write the key as it stands in logs and in marks."""
        return f"monitor/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class PoolKey:
    """A pool by its remote name in an account (or in a Secret whose account is not known yet)."""

    account: str
    name: str

    def __str__(self) -> str:
        """Write the key as it stands in logs."""
        return f"pool/{self.account}/{self.name}"

    @property
    def mark(self) -> str:
        """Name of the aggregate in marks; the account goes without saying there."""
        return f"pool/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class HostKey:
    """A host name: the load balancer or the CNAME that answers for it."""

    hostname: str

    def __str__(self) -> str:
        """Write the key as it stands in logs and in marks."""
        return f"host/{self.hostname}"


Key: TypeAlias = TunnelKey | MonitorKey | PoolKey | HostKey
