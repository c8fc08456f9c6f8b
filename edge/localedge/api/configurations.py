"""Tunnel configurations: `/accounts/{account}/cfd_tunnel/{tunnel}/configurations`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from localedge.api import tunnels
from localedge.api.account import Account
from localedge.api.call import Call, Reply, Route
from localedge.api.problem import ProblemError, not_emulated
from localedge.api.stored import reading
from localedge.documents.tunnels import read_configuration
from localedge.state.records import Tunnel
from localedge.tunnel.interface import TunnelConfiguration

_NO_RULES: Final = {"ingress": [], "warp-routing": {"enabled": False}}
_PATH: Final = tunnels.ONE + "/configurations"


def configuration_of(tunnel: Tunnel) -> TunnelConfiguration | None:
    """Tell what connectors of a tunnel are sent; None if it is managed locally.

    Before the first PUT that is version 0 without rules: connectors answer 503.
    """
    if tunnel.config_src != "cloudflare":
        return None
    return TunnelConfiguration(tunnel.config_version, tunnel.config or _NO_RULES)


def _shown(account: Account, tunnel: Tunnel) -> dict[str, Any]:
    return {
        "account_id": account.id,
        "tunnel_id": tunnel.id,
        "version": tunnel.config_version,
        "config": tunnel.config,
        "source": tunnel.config_src,
        "created_at": tunnel.config_created_at or tunnel.created_at,
    }


def _found(call: Call) -> Tunnel:
    tunnel = tunnels.found(call, deleted_too=True)
    if tunnel.deleted_at is not None:
        raise ProblemError(404, 1055, "Configuration for tunnel not found")
    return tunnel


def _refused(detail: str) -> ProblemError:
    return ProblemError(400, 1056, f"Bad Configuration: {detail}")


def _get(call: Call) -> Reply:
    return Reply(_shown(call.account, _found(call)))


def _put(call: Call) -> Reply:
    account, tunnel = call.account, _found(call)
    config = reading(lambda: read_configuration(call.body), _refused)
    if tunnel.config_src != "cloudflare":
        raise not_emulated(
            "moving a locally managed tunnel to a remote configuration is not emulated by the local edge"
        )
    changed = replace(
        tunnel,
        config=config,
        config_version=tunnel.config_version + 1,
        config_created_at=account.clock.timestamp(),
    )
    account.store.commit(account.store.state.with_tunnel(changed))
    configuration = configuration_of(changed)
    if configuration is not None:
        account.background(account.tunnels.push(tunnel.id, configuration))
    return Reply(_shown(account, changed))


ROUTES: Final = (
    Route("GET", _PATH, tunnels.READ, _get),
    Route("PUT", _PATH, tunnels.WRITE, _put),
)
