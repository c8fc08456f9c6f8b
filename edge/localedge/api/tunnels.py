"""Tunnels: `/accounts/{account}/cfd_tunnel`, with their tokens, connections and configurations."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from localedge.api.account import Account
from localedge.api.call import Call, Reply, Route, paged, whole
from localedge.api.problem import ProblemError, tunnel_not_found
from localedge.api.stored import reading
from localedge.clock import rfc3339
from localedge.documents.tunnels import read_new_tunnel, read_tunnel_change
from localedge.state.records import Tunnel
from localedge.tunnel.interface import ConnectionInfo

READ: Final = "Cloudflare Tunnel Read"
WRITE: Final = "Cloudflare Tunnel Write"
BASE: Final = "/accounts/{account_id}/cfd_tunnel"
ONE: Final = BASE + "/{tunnel_id}"
_NAME_TAKEN = (
    "You already have a tunnel with this name. Delete the existing tunnel, "
    "or choose a different name for your new tunnel."
)
_CONNECTED = (
    "This tunnel has active connections. Please stop all cloudflared replicas, "
    "or wait a few minutes for connections to close, then try again."
)


def shown(account: Account, tunnel: Tunnel) -> dict[str, Any]:
    """Render a tunnel. `connections` is not in it: Cloudflare removed them on 2026-10-05."""
    activity = account.ledger.activity(tunnel.id)
    count = len(activity.connections)
    since = rfc3339(activity.since) if activity.since is not None else tunnel.created_at
    if not activity.ran:
        status = "inactive"
    elif count == 0:
        status = "down"
    else:
        status = "healthy" if count >= account.healthy_connections else "degraded"
    remote = tunnel.config_src == "cloudflare" and tunnel.deleted_at is None
    return {
        "id": tunnel.id,
        "account_tag": account.id,
        "name": tunnel.name,
        "created_at": tunnel.created_at,
        "deleted_at": tunnel.deleted_at,
        "conns_active_at": since if count else None,
        "conns_inactive_at": None if count else since,
        "tun_type": "cfd_tunnel",
        "metadata": {},
        "status": status,
        "remote_config": remote,
        **({} if tunnel.deleted_at else {"config_src": tunnel.config_src}),
    }


def token_of(account: Account, tunnel: Tunnel) -> str:
    """Make the token with which a connector runs the tunnel."""
    secret = base64.b64encode(tunnel.secret).decode()
    parts = {"a": account.id, "t": tunnel.id, "s": secret}
    return base64.b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode()


def found(call: Call, *, deleted_too: bool = False) -> Tunnel:
    """Look the tunnel of the path up.

    Raises:
        ProblemError: 404, for a deleted one too unless asked for.

    """
    tunnel = call.account.store.state.tunnels.get(call.path["tunnel_id"])
    if tunnel is None or (tunnel.deleted_at is not None and not deleted_too):
        raise tunnel_not_found()
    return tunnel


def _refused(detail: str) -> ProblemError:
    return ProblemError(400, 1002, f"Bad request: {detail}")


def _check_name(account: Account, name: str, own: str | None) -> None:
    tunnels = account.store.state.tunnels.values()
    if any(t.name == name and t.deleted_at is None and t.id != own for t in tunnels):
        raise ProblemError(409, 1013, _NAME_TAKEN)


def _create(call: Call) -> Reply:
    account = call.account
    fields = reading(lambda: read_new_tunnel(call.body), _refused)
    _check_name(account, fields["name"], None)
    tunnel = Tunnel(
        id=account.identifiers.uuid(),
        name=fields["name"],
        secret=fields.get("tunnel_secret") or account.identifiers.secret(),
        created_at=account.clock.timestamp(),
        config_src=fields["config_src"],
    )
    account.store.commit(account.store.state.with_tunnel(tunnel))
    credentials = {
        "AccountTag": account.id,
        "TunnelID": tunnel.id,
        "TunnelName": tunnel.name,
        "TunnelSecret": base64.b64encode(tunnel.secret).decode(),
    }
    created = {
        **shown(account, tunnel),
        "connections": [],
        "credentials_file": credentials,
        "token": token_of(account, tunnel),
    }
    return Reply(created)


def _list(call: Call) -> Reply:
    query = call.query
    name, uuid, status = query.take("name"), query.take("uuid"), query.take("status")
    prefix, without = query.take("include_prefix"), query.take("exclude_prefix")
    # Since 2025-12-01 no `is_deleted` means "not deleted".
    deleted = query.flag("is_deleted") or False
    tunnels = [
        tunnel
        for tunnel in call.account.store.state.tunnels.values()
        if (tunnel.deleted_at is not None) == deleted
        and name in {None, tunnel.name}
        and uuid in {None, tunnel.id}
        and (prefix is None or tunnel.name.startswith(prefix))
        and (without is None or not tunnel.name.startswith(without))
        and (status is None or shown(call.account, tunnel)["status"] == status)
    ]
    return paged(
        call,
        tunnels,
        default=1000,
        lowest=1,
        highest=1000,
        render=lambda tunnel: shown(call.account, tunnel),
    )


def _get(call: Call) -> Reply:
    return Reply(shown(call.account, found(call, deleted_too=True)))


def _patch(call: Call) -> Reply:
    tunnel = found(call)
    fields = reading(lambda: read_tunnel_change(call.body), _refused)
    name = fields.get("name", tunnel.name)
    _check_name(call.account, name, tunnel.id)
    # Running connectors keep their connections: the secret is asked for at registration only.
    changed = replace(tunnel, name=name, secret=fields.get("tunnel_secret", tunnel.secret))
    call.account.store.commit(call.account.store.state.with_tunnel(changed))
    return Reply(shown(call.account, changed))


def _delete(call: Call) -> Reply:
    account, tunnel = call.account, found(call)
    cascade = call.query.flag("cascade")
    call.query.done()
    if not cascade and (account.ledger.activity(tunnel.id).connections or account.ledger.live(tunnel.id)):
        raise ProblemError(400, 1022, _CONNECTED)
    deleted = replace(tunnel, deleted_at=account.clock.timestamp())
    account.store.commit(account.store.state.with_tunnel(deleted))
    account.ledger.forget(tunnel.id)
    account.background(account.tunnels.disconnect(tunnel.id))
    return Reply(shown(account, deleted))


def _token(call: Call) -> Reply:
    return Reply(token_of(call.account, found(call)))


def _connections(call: Call) -> Reply:
    tunnel = found(call)
    clients: dict[str, list[ConnectionInfo]] = {}
    for connection in call.account.ledger.activity(tunnel.id).connections:
        clients.setdefault(connection.client_id, []).append(connection)
    return whole(call, [_client(call.account, tunnel, key, conns) for key, conns in clients.items()])


def _client(
    account: Account, tunnel: Tunnel, client_id: str, connections: list[ConnectionInfo]
) -> Mapping[str, Any]:
    first = min(connections, key=lambda connection: connection.opened_at)
    applied = account.tunnels.applied_version(client_id)
    return {
        "id": client_id,
        "version": first.version,
        "arch": first.arch,
        "features": list(first.features),
        "run_at": rfc3339(first.opened_at),
        "config_version": tunnel.config_version if applied is None else applied,
        "ha_status": None,
        "conns": [
            {
                "id": c.id,
                "uuid": c.id,
                "client_id": c.client_id,
                "client_version": c.version,
                "colo_name": c.colo,
                "is_pending_reconnect": False,
                "opened_at": rfc3339(c.opened_at),
                "origin_ip": c.origin_ip,
            }
            for c in sorted(connections, key=lambda connection: connection.index)
        ],
    }


def _connector(call: Call) -> Reply:
    wanted = call.path["connector_id"]
    for client in _connections(call).result:
        if client["id"] == wanted:
            return Reply(client)
    raise ProblemError(404, 1003, "Connector not found")


def _clean_up(call: Call) -> Reply:
    tunnel, client = found(call), call.query.take("client_id")
    call.query.done()
    call.account.ledger.forget(tunnel.id, client)
    call.account.background(call.account.tunnels.disconnect(tunnel.id, client))
    return Reply({})


ROUTES: Final = (
    Route("GET", BASE, READ, _list),
    Route("POST", BASE, WRITE, _create),
    Route("GET", ONE, READ, _get),
    Route("PATCH", ONE, WRITE, _patch),
    Route("DELETE", ONE, WRITE, _delete),
    Route("GET", ONE + "/token", WRITE, _token),
    Route("GET", ONE + "/connections", READ, _connections),
    Route("DELETE", ONE + "/connections", WRITE, _clean_up),
    Route("GET", ONE + "/connectors/{connector_id}", READ, _connector),
)
