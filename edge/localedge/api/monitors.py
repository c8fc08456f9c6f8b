"""Monitors: `/accounts/{account}/load_balancers/monitors`."""

from __future__ import annotations

from typing import Any, Final

from localedge.api.call import Call, Crud, Reply, Route, whole
from localedge.api.problem import referenced, validation_failed
from localedge.api.stored import create, delete, find, reading, replace
from localedge.documents.fields import merge
from localedge.documents.monitors import read_monitor
from localedge.state.records import Document

_PERMISSION: Final = "Load Balancing: Monitors and Pools"
_READ: Final = f"{_PERMISSION} Read"
_BASE: Final = "/accounts/{account_id}/load_balancers/monitors"
_ONE: Final = _BASE + "/{monitor_id}"


def _list(call: Call) -> Reply:
    return whole(call, list(call.account.store.state.monitors.values()))


def _create(call: Call) -> Reply:
    account = call.account
    fields = reading(lambda: read_monitor(call.body, account.plan))
    if len(account.store.state.monitors) >= account.plan.monitors:
        raise validation_failed(f"the account is limited to {account.plan.monitors} monitors")
    return Reply(create(account, "monitors", fields))


def _found(call: Call) -> Document:
    return find(call.account, "monitors", call.path["monitor_id"], "monitor")


def _get(call: Call) -> Reply:
    return Reply(_found(call))


def _write(call: Call, body: Any) -> Reply:
    before = _found(call)
    fields = reading(lambda: read_monitor(body, call.account.plan))
    return Reply(replace(call.account, "monitors", before, fields))


def _put(call: Call) -> Reply:
    return _write(call, call.body)


def _patch(call: Call) -> Reply:
    return _write(call, merge(_found(call), call.body))


def _users(call: Call) -> list[Document]:
    key = _found(call)["id"]
    return [pool for pool in call.account.store.state.pools.values() if pool.get("monitor") == key]


def _delete(call: Call) -> Reply:
    if _users(call):
        raise referenced()
    return Reply(delete(call.account, "monitors", call.path["monitor_id"]))


def _references(call: Call) -> Reply:
    referrers = [
        {
            "reference_type": "referrer",
            "resource_type": "pool",
            "resource_id": pool["id"],
            "resource_name": pool["name"],
        }
        for pool in _users(call)
    ]
    return whole(call, referrers)


ROUTES: Final = (
    *Crud(_list, _create, _get, _put, _patch, _delete).routes(_BASE, _ONE, _PERMISSION),
    Route("GET", _ONE + "/references", _READ, _references),
)
