"""The records of an account. All immutable: a change makes a new record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Document = Mapping[str, Any]
"""An object as the API answers it, without what is computed (`healthy`). Never changed in place."""

DocumentKind = Literal["zones", "monitors", "pools", "load_balancers", "dns_records"]

TUNNEL_SUFFIX = ".cfargotunnel.com"


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A tunnel with its secret and its configuration."""

    id: str
    name: str
    secret: bytes
    created_at: str
    config_src: Literal["local", "cloudflare"] = "local"
    deleted_at: str | None = None
    config: Mapping[str, Any] | None = None
    config_version: int = 0
    config_created_at: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the API has accepted, at one moment."""

    version: int = 0
    zones: Mapping[str, Document] = field(default_factory=dict)
    monitors: Mapping[str, Document] = field(default_factory=dict)
    pools: Mapping[str, Document] = field(default_factory=dict)
    load_balancers: Mapping[str, Document] = field(default_factory=dict)
    dns_records: Mapping[str, Document] = field(default_factory=dict)
    tunnels: Mapping[str, Tunnel] = field(default_factory=dict)

    def documents(self, kind: DocumentKind) -> Mapping[str, Document]:
        """All documents of a kind by id, oldest first."""
        documents: Mapping[str, Document] = getattr(self, kind)
        return documents

    def with_document(self, kind: DocumentKind, key: str, document: Document) -> State:
        """Create or replace a document."""
        changed = {kind: {**self.documents(kind), key: document}}
        return replace(self, version=self.version + 1, **changed)  # type: ignore[arg-type] # the kinds are field names

    def without_document(self, kind: DocumentKind, key: str) -> State:
        """Delete a document."""
        changed = {kind: {k: v for k, v in self.documents(kind).items() if k != key}}
        return replace(self, version=self.version + 1, **changed)  # type: ignore[arg-type] # the kinds are field names

    def with_tunnel(self, tunnel: Tunnel) -> State:
        """Create or replace a tunnel; a deleted one stays, with `deleted_at`."""
        return replace(self, version=self.version + 1, tunnels={**self.tunnels, tunnel.id: tunnel})


def tunnel_of_address(address: str) -> str | None:
    """Tell the tunnel that an origin address or a CNAME's content points to, None if it is not one."""
    lowered = address.lower().rstrip(".")
    return lowered.removesuffix(TUNNEL_SUFFIX) if lowered.endswith(TUNNEL_SUFFIX) else None


def host_of_origin(origin: Document) -> str | None:
    """Tell the Host header that an origin asks for."""
    hosts = (origin.get("header") or {}).get("Host") or ()
    return str(hosts[0]) if hosts else None
