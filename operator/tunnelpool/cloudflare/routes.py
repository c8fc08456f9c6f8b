"""The routes that are used, and the permission that each needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from tunnelpool.domain.remote import RemoteKind


@dataclass(frozen=True, slots=True)
class Route:
    """A route by its template, which is also its name in metrics, and the permission group behind it."""

    template: str
    group: str = ""
    """As Cloudflare calls it, without the level; empty where any token will do."""
    guarded: bool = False
    """Whether reading needs the level that may write: the answer is a secret."""

    def at(self, **ids: str) -> Target:
        """Fill in the ids."""
        return Target(self, self.template.format(**{name: quote(id_, safe="") for name, id_ in ids.items()}))

    def permission(self, method: str) -> str:
        """Name the permission that a call needs."""
        if not self.group:
            return ""
        reads = method == "GET" and not self.guarded
        return f"{self.group} {'Read' if reads else 'Write'}"


@dataclass(frozen=True, slots=True)
class Target:
    """A route with its ids filled in."""

    route: Route
    path: str


_POOLS_GROUP: Final = "Load Balancing: Monitors and Pools"
_BALANCERS_GROUP: Final = "Load Balancers"
_TUNNEL_GROUP: Final = "Cloudflare Tunnel"

ADDRESS_RANGES: Final = Route("/ips")
USER_TOKEN: Final = Route("/user/tokens/verify")
ACCOUNT_TOKEN: Final = Route("/accounts/{account}/tokens/verify")
ZONES: Final = Route("/zones", "Zone")
SSL_MODE: Final = Route("/zones/{zone}/settings/ssl", "Zone Settings")
TUNNEL_TOKEN: Final = Route("/accounts/{account}/cfd_tunnel/{id}/token", _TUNNEL_GROUP, guarded=True)
TUNNEL_CONFIGURATION: Final = Route("/accounts/{account}/cfd_tunnel/{id}/configurations", _TUNNEL_GROUP)
TUNNEL_CONNECTIONS: Final = Route("/accounts/{account}/cfd_tunnel/{id}/connections", _TUNNEL_GROUP)

COLLECTIONS: Final[Mapping[RemoteKind, Route]] = {
    RemoteKind.MONITOR: Route("/accounts/{account}/load_balancers/monitors", _POOLS_GROUP),
    RemoteKind.POOL: Route("/accounts/{account}/load_balancers/pools", _POOLS_GROUP),
    RemoteKind.LOAD_BALANCER: Route("/zones/{zone}/load_balancers", _BALANCERS_GROUP),
    RemoteKind.TUNNEL: Route("/accounts/{account}/cfd_tunnel", _TUNNEL_GROUP),
    RemoteKind.DNS_RECORD: Route("/zones/{zone}/dns_records", "DNS"),
}
"""Where objects of a kind are listed and created; both ids are given and one is used."""

ITEMS: Final[Mapping[RemoteKind, Route]] = {
    kind: Route(f"{route.template}/{{id}}", route.group) for kind, route in COLLECTIONS.items()
}
"""Where one object of a kind is changed and deleted."""
