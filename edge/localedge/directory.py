"""What the tunnel terminator is told about tunnels, and whom it tells about connections."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from localedge.api.accounts import Accounts
from localedge.api.configurations import configuration_of
from localedge.clock import Clock
from localedge.state.connections import ConnectionLedger
from localedge.tunnel.interface import ConnectionInfo, TunnelConfiguration

NOT_FOUND = "Unauthorized: Tunnel not found"
WRONG_SECRET = "Unauthorized: Invalid tunnel secret"  # noqa: S105 - a message, not a secret


class Directory:
    """The accounts' side of `localedge.tunnel.interface.TunnelDirectory`."""

    def __init__(self, accounts: Accounts, ledger: ConnectionLedger, clock: Clock) -> None:
        self._accounts = accounts
        self._ledger = ledger
        self._clock = clock

    def authenticate(self, account_tag: str, tunnel_id: str, secret: bytes) -> str | None:
        """Tell why a connector may not register; None if it may."""
        account = self._accounts.find(account_tag)
        tunnel = account.store.state.tunnels.get(tunnel_id) if account is not None else None
        if tunnel is None or tunnel.deleted_at is not None:
            return NOT_FOUND
        return None if hmac.compare_digest(tunnel.secret, secret) else WRONG_SECRET

    def configuration(self, tunnel_id: str) -> TunnelConfiguration | None:
        """Tell what to push; None for a locally managed tunnel."""
        found = self._accounts.of_tunnel(tunnel_id)
        return None if found is None else configuration_of(found[1])

    def connected(self, connection: ConnectionInfo) -> None:
        """Note a connection."""
        self._ledger.connected(connection)

    def disconnected(self, connection: ConnectionInfo, *, graceful: bool) -> None:
        """Note that a connection has gone."""
        self._ledger.disconnected(connection, graceful=graceful)

    def local_configuration(self, tunnel_id: str, config: Mapping[str, Any]) -> None:
        """Keep what a locally managed connector says that it serves."""
        found = self._accounts.of_tunnel(tunnel_id)
        if found is None or found[1].config_src != "local":
            return
        account, tunnel = found
        changed = replace(
            tunnel,
            config=config,
            config_version=tunnel.config_version + 1,
            config_created_at=self._clock.timestamp(),
        )
        account.store.commit(account.store.state.with_tunnel(changed))
