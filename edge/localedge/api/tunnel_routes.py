"""`cloudflared tunnel route lb|dns` and `--lb-pool`: `PUT /zones/{zone}/tunnels/{tunnel}/routes`."""

from __future__ import annotations

from typing import Any, Final

from localedge.api import dns_records, load_balancers, pools, tunnels
from localedge.api.call import Call, Reply, Route
from localedge.api.problem import ProblemError
from localedge.api.stored import reading
from localedge.documents.fields import Field, boolean, choice, merge, read_object, text
from localedge.documents.hostnames import hostname
from localedge.documents.load_balancers import pools_of
from localedge.state.records import TUNNEL_SUFFIX, Document

_ROUTE = {
    "type": Field(choice("dns", "lb"), required=True),
    "user_hostname": Field(hostname),
    "overwrite_existing": Field(boolean, default=False),
    "lb_name": Field(hostname),
    "lb_pool": Field(text(255)),
}


def _refused(detail: str) -> ProblemError:
    return ProblemError(400, 1002, f"Bad route: {detail}")


def _put(call: Call) -> Reply:
    tunnel = tunnels.found(call)
    route = reading(lambda: read_object("", call.body, _ROUTE), _refused)
    target = f"{tunnel.id}{TUNNEL_SUFFIX}"
    needed = ("user_hostname",) if route["type"] == "dns" else ("lb_name", "lb_pool")
    for name in needed:
        if name not in route:
            raise _refused(f"{name} is required")
    if route["type"] == "dns":
        return Reply(_route_dns(call, route, target))
    pool, pool_change = _extend_pool(call, route["lb_pool"], tunnel.name, target, route["lb_name"])
    return Reply({"pool": pool_change, "load_balancer": _extend_balancer(call, route["lb_name"], pool)})


def _route_dns(call: Call, route: dict[str, Any], target: str) -> dict[str, str]:
    account, name = call.account, route["user_hostname"]
    body = {"type": "CNAME", "name": name, "content": target, "proxied": True}
    existing = [
        record
        for record in account.store.state.dns_records.values()
        if record["name"] == name and record["type"] in {"A", "AAAA", "CNAME"}
    ]
    if any(record["content"] == target and record["proxied"] for record in existing):
        return {"cname": "unchanged", "name": name}
    if existing and route["overwrite_existing"]:
        dns_records.change_dns_record(account, call.zone, existing[0], body)
        return {"cname": "updated", "name": name}
    dns_records.create_dns_record(account, call.zone, body)
    return {"cname": "new", "name": name}


def _extend_pool(call: Call, name: str, origin_name: str, target: str, host: str) -> tuple[str, str]:
    account = call.account
    origin = {"name": origin_name, "address": target, "header": {"Host": [host]}}
    pool = next((p for p in account.store.state.pools.values() if p["name"] == name), None)
    if pool is None:
        body = {"name": name, "origins": [origin], "check_regions": ["WNAM"]}
        return pools.create_pool(account, body)["id"], "new"
    if any(o["address"] == target for o in pool["origins"]):
        return pool["id"], "unchanged"
    patch = {"origins": [*pool["origins"], origin]}
    return pools.change_pool(account, pool, pools.merged(pool, patch))["id"], "updated"


def _extend_balancer(call: Call, name: str, pool: str) -> str:
    account = call.account
    balancer: Document | None = next(
        (b for b in account.store.state.load_balancers.values() if b["name"] == name), None
    )
    if balancer is None:
        body = {"name": name, "default_pools": [pool], "fallback_pool": pool, "proxied": True}
        load_balancers.create_load_balancer(account, call.zone, body)
        return "new"
    if pool in pools_of(balancer):
        return "unchanged"
    patch = {"default_pools": [*balancer["default_pools"], pool]}
    whole = merge(load_balancers.merged(balancer, {}), patch)
    load_balancers.change_load_balancer(account, call.zone, balancer, whole)
    return "updated"


ROUTES: Final = (Route("PUT", "/zones/{zone_id}/tunnels/{tunnel_id}/routes", tunnels.WRITE, _put),)
