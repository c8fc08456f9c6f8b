"""Pools: `/accounts/{account}/load_balancers/pools`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from localedge.api.account import Account
from localedge.api.call import Call, Crud, Reply, Route, whole
from localedge.api.problem import not_found, not_unique, referenced, validation_failed
from localedge.api.stored import create, delete, find, reading, replace
from localedge.balance.health import listed_health, pool_health
from localedge.balance.model import pool_from
from localedge.documents.fields import merge
from localedge.documents.load_balancers import pools_of
from localedge.documents.pools import READ_ONLY, read_pool
from localedge.documents.regions import PLACES
from localedge.probe.verdict import OriginHealth
from localedge.state.records import Document

_PERMISSION: Final = "Load Balancing: Monitors and Pools"
_READ: Final = f"{_PERMISSION} Read"
_BASE: Final = "/accounts/{account_id}/load_balancers/pools"
_ONE: Final = _BASE + "/{pool_id}"


def shown(account: Account, pool: Document) -> dict[str, Any]:
    """Render a pool with `healthy`, which no published schema has and real answers carry."""
    typed = pool_from(pool)
    origins = []
    for origin in pool["origins"]:
        # The probes learn of a disabled origin with a lag; who has just written it does not read a verdict.
        known = account.book.health(pool["id"], origin["address"]).healthy
        verdict = known if origin["enabled"] else None
        origins.append(origin if verdict is None else {**origin, "healthy": verdict})
    return {**pool, "origins": origins, "healthy": listed_health(typed, account.book.verdict)}


def create_pool(account: Account, body: Any) -> Document:
    """Create a pool.

    Raises:
        ProblemError: invalid, a name that exists, or more than the plan allows.

    """
    fields = _read(account, body, None)
    if len(account.store.state.pools) >= account.plan.pools:
        raise validation_failed(f"the account is limited to {account.plan.pools} pools")
    return create(account, "pools", fields)


def change_pool(account: Account, before: Document, body: Any) -> Document:
    """Replace a pool by what a whole body says.

    Raises:
        ProblemError: as for a creation.

    """
    return replace(account, "pools", before, _read(account, body, before))


def merged(pool: Document, patch: Any) -> Any:
    """Merge a PATCH into a pool; what the server computes is no part of it."""
    editable = {name: value for name, value in pool.items() if name not in READ_ONLY}
    return merge(editable, patch)


def _read(account: Account, body: Any, before: Document | None) -> dict[str, Any]:
    state = account.store.state
    fields = reading(lambda: read_pool(body, account.plan, [z["name"] for z in state.zones.values()]))
    own = before["id"] if before else None
    others = [pool for key, pool in state.pools.items() if key != own]
    if any(pool["name"] == fields["name"] for pool in others):
        raise not_unique("A pool with that name already exists")
    if fields.get("monitor") and fields["monitor"] not in state.monitors:
        raise validation_failed(f"monitor {fields['monitor']} does not exist")
    total = len(fields["origins"]) + sum(len(pool["origins"]) for pool in others)
    if total > account.plan.origins:
        raise validation_failed(f"the account is limited to {account.plan.origins} origins")
    _stamp_disabled(fields, before, account.clock.timestamp())
    return fields


def _stamp_disabled(fields: dict[str, Any], before: Document | None, now: str) -> None:
    if not fields["enabled"]:
        fields["disabled_at"] = (before or {}).get("disabled_at", now)
    since = {origin["name"]: origin.get("disabled_at") for origin in (before or {}).get("origins", ())}
    for origin in fields["origins"]:
        if not origin["enabled"]:
            origin["disabled_at"] = since.get(origin["name"]) or now


def _found(call: Call) -> Document:
    return find(call.account, "pools", call.path["pool_id"], "pool")


def _list(call: Call) -> Reply:
    monitor = call.query.take("monitor")
    pools: Iterable[Document] = call.account.store.state.pools.values()
    if monitor is not None:
        pools = [pool for pool in pools if pool.get("monitor") == monitor]
    return whole(call, [shown(call.account, pool) for pool in pools])


def _create(call: Call) -> Reply:
    return Reply(shown(call.account, create_pool(call.account, call.body)))


def _get(call: Call) -> Reply:
    return Reply(shown(call.account, _found(call)))


def _put(call: Call) -> Reply:
    return Reply(shown(call.account, change_pool(call.account, _found(call), call.body)))


def _patch(call: Call) -> Reply:
    before = _found(call)
    return Reply(shown(call.account, change_pool(call.account, before, merged(before, call.body))))


def _users(call: Call) -> list[Document]:
    key = _found(call)["id"]
    return [b for b in call.account.store.state.load_balancers.values() if key in pools_of(b)]


def _delete(call: Call) -> Reply:
    if _users(call):
        raise referenced()
    return Reply(delete(call.account, "pools", call.path["pool_id"]))


def _references(call: Call) -> Reply:
    pool = _found(call)
    found = [
        {
            "reference_type": "referrer",
            "resource_type": "load_balancer",
            "resource_id": balancer["id"],
            "resource_name": balancer["name"],
        }
        for balancer in _users(call)
    ]
    if pool.get("monitor"):
        monitor = call.account.store.state.monitors[pool["monitor"]]
        found.append(
            {
                "reference_type": "referral",
                "resource_type": "monitor",
                "resource_id": monitor["id"],
                "resource_name": monitor["description"],
            }
        )
    return whole(call, found)


def _health(call: Call) -> Reply:
    pool = _found(call)
    book = call.account.book
    known = {
        origin["address"]: book.health(pool["id"], origin["address"])
        for origin in pool["origins"]
        if origin["enabled"]
    }
    if not any(health.last for health in known.values()):
        raise not_found("Health info unavailable: health info")
    typed = pool_from(pool)
    healthy = pool_health(typed, book.verdict) != "critical"
    # The edge probes once for all places: each selected region tells the same.
    places = [PLACES[region] for region in typed.check_regions if region in PLACES] or list(PLACES.values())
    verdict = {"healthy": healthy, "origins": [_origin_health(known)]}
    return Reply({"pool_id": pool["id"], "pop_health": dict.fromkeys(places, verdict)})


def _origin_health(known: Mapping[str, OriginHealth]) -> dict[str, Any]:
    return {
        address: {
            "healthy": bool(health.healthy),
            "rtt": f"{health.last.rtt_s * 1000:.1f}ms",
            "failure_reason": health.last.failure or "No failures",
            "response_code": health.last.response_code,
        }
        for address, health in known.items()
        if health.last is not None
    }


ROUTES: Final = (
    *Crud(_list, _create, _get, _put, _patch, _delete).routes(_BASE, _ONE, _PERMISSION),
    Route("GET", _ONE + "/health", _READ, _health),
    Route("GET", _ONE + "/references", _READ, _references),
)
