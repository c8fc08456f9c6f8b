"""Load balancers of a zone: `/zones/{zone}/load_balancers`."""

from __future__ import annotations

from typing import Any, Final

from localedge.api.account import Account
from localedge.api.call import Call, Crud, Reply, whole
from localedge.api.problem import not_found, not_unique, validation_failed
from localedge.api.stored import create, delete, find, reading, replace
from localedge.documents.fields import merge
from localedge.documents.load_balancers import READ_ONLY, pools_of, read_load_balancer
from localedge.state.records import Document

_PERMISSION: Final = "Load Balancers"
_BASE: Final = "/zones/{zone_id}/load_balancers"
_ONE: Final = _BASE + "/{load_balancer_id}"
_INTERNAL: Final = frozenset({"zone_id"})


def shown(balancer: Document) -> dict[str, Any]:
    """Render a load balancer."""
    return {name: value for name, value in balancer.items() if name not in _INTERNAL}


def create_load_balancer(account: Account, zone: Document, body: Any) -> Document:
    """Create a load balancer.

    Raises:
        ProblemError: invalid, a name that exists, a pool that does not, or more than the plan allows.

    """
    fields = _read(account, zone, body, None)
    if len(account.store.state.load_balancers) >= account.plan.load_balancers:
        raise validation_failed(f"the account is limited to {account.plan.load_balancers} load balancers")
    return create(account, "load_balancers", fields)


def change_load_balancer(account: Account, zone: Document, before: Document, body: Any) -> Document:
    """Replace a load balancer by what a whole body says.

    Raises:
        ProblemError: as for a creation.

    """
    return replace(account, "load_balancers", before, _read(account, zone, body, before))


def merged(balancer: Document, patch: Any) -> Any:
    """Merge a PATCH into a load balancer."""
    hidden = READ_ONLY | _INTERNAL
    return merge({name: value for name, value in balancer.items() if name not in hidden}, patch)


def _read(account: Account, zone: Document, body: Any, before: Document | None) -> dict[str, Any]:
    state = account.store.state
    fields = reading(lambda: read_load_balancer(body, account.plan, zone["name"]))
    own = before["id"] if before else None
    if any(b["name"] == fields["name"] for key, b in state.load_balancers.items() if key != own):
        raise not_unique("A load balancer with that name already exists")
    for pool in pools_of(fields):
        if pool not in state.pools:
            raise validation_failed(f"pool {pool} does not exist")
    return {**fields, "zone_id": zone["id"], "zone_name": zone["name"]}


def _found(call: Call) -> Document:
    balancer = find(call.account, "load_balancers", call.path["load_balancer_id"], "load balancer")
    if balancer["zone_id"] != call.zone["id"]:
        raise not_found("load balancer")
    return balancer


def _list(call: Call) -> Reply:
    balancers = call.account.store.state.load_balancers.values()
    return whole(call, [shown(b) for b in balancers if b["zone_id"] == call.zone["id"]])


def _create(call: Call) -> Reply:
    return Reply(shown(create_load_balancer(call.account, call.zone, call.body)))


def _get(call: Call) -> Reply:
    return Reply(shown(_found(call)))


def _put(call: Call) -> Reply:
    return Reply(shown(change_load_balancer(call.account, call.zone, _found(call), call.body)))


def _patch(call: Call) -> Reply:
    before = _found(call)
    return Reply(shown(change_load_balancer(call.account, call.zone, before, merged(before, call.body))))


def _delete(call: Call) -> Reply:
    return Reply(delete(call.account, "load_balancers", _found(call)["id"]))


ROUTES: Final = Crud(_list, _create, _get, _put, _patch, _delete).routes(_BASE, _ONE, _PERMISSION)
