"""What the tunnel terminator is told about tunnels, and whom it tells about connections."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from localedge.api.configurations import configuration_of
from localedge.clock import Clock
from localedge.state.connections import ConnectionLedger
from localedge.state.store import Store
from localedge.tunnel.interface import ConnectionInfo, TunnelConfiguration

NOT_FOUND = "Unauthorized: Tunnel not found"
WRONG_SECRET = "Unauthorized: Invalid tunnel secret"  # noqa: S105 - a message, not a secret


class Directory:
    """The account's side of `localedge.tunnel.interface.TunnelDirectory`."""

    def __init__(self, account_id: str, store: Store, ledger: ConnectionLedger, clock: Clock) -> None:
        self._account_id = account_id
        self._store = store
        self._ledger = ledger
        self._clock = clock

    def authenticate(self, account_tag: str, tunnel_id: str, secret: bytes) -> str | None:
        """Tell why a connector may not register; None if it may."""
        tunnel = self._store.state.tunnels.get(tunnel_id)
        if tunnel is None or tunnel.deleted_at is not None or account_tag != self._account_id:
            return NOT_FOUND
        return None if hmac.compare_digest(tunnel.secret, secret) else WRONG_SECRET

    def configuration(self, tunnel_id: str) -> TunnelConfiguration | None:
        """Tell what to push; None for a locally managed tunnel."""
        tunnel = self._store.state.tunnels.get(tunnel_id)
        return None if tunnel is None else configuration_of(tunnel)

    def connected(self, connection: ConnectionInfo) -> None:
        """Note a connection."""
        self._ledger.connected(connection)

    def disconnected(self, connection: ConnectionInfo, *, graceful: bool) -> None:
        """Note that a connection has gone."""
        self._ledger.disconnected(connection, graceful=graceful)

    def local_configuration(self, tunnel_id: str, config: Mapping[str, Any]) -> None:
        """Keep what a locally managed connector says that it serves."""
        tunnel = self._store.state.tunnels.get(tunnel_id)
        if tunnel is None or tunnel.config_src != "local":
            return
        changed = replace(
            tunnel,
            config=config,
            config_version=tunnel.config_version + 1,
            config_created_at=self._clock.timestamp(),
        )
        self._store.commit(self._store.state.with_tunnel(changed))
