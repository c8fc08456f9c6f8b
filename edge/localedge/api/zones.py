"""Zones and their SSL mode: `/zones`."""

from __future__ import annotations

from typing import Any, Final

from localedge.api.account import Account
from localedge.api.call import Call, Reply, Route, paged
from localedge.api.problem import ProblemError
from localedge.api.stored import reading
from localedge.documents.fields import Field, choice, read_object
from localedge.plan import PlanName
from localedge.state.records import Document

_PLAN_TITLES: Final = {
    PlanName.PRO: "Pro Website",
    PlanName.BUSINESS: "Business Website",
    PlanName.ENTERPRISE: "Enterprise Website",
}
_SSL = {"value": Field(choice("off", "flexible", "full", "strict", absent=("origin_pull",)), required=True)}
_READ_ONLY = frozenset({"id", "editable", "modified_on"})


def new_zone(key: str, name: str, now: str) -> dict[str, Any]:
    """Make the record of a zone; SSL mode `full`, the usual one of a new zone."""
    return {"id": key, "name": name, "ssl": "full", "ssl_modified_on": None, "created_on": now}


def shown(account: Account, zone: Document) -> dict[str, Any]:
    """Render a zone."""
    return {
        "id": zone["id"],
        "name": zone["name"],
        "status": "active",
        "paused": False,
        "type": "full",
        "development_mode": 0,
        "name_servers": [f"ada.{zone['name']}", f"bob.{zone['name']}"],
        "original_name_servers": None,
        "original_registrar": None,
        "original_dnshost": None,
        "created_on": zone["created_on"],
        "modified_on": zone["created_on"],
        "activated_on": zone["created_on"],
        "meta": {"step": 2, "custom_certificate_quota": 0, "page_rule_quota": 20},
        "owner": {"id": account.id, "type": "user", "name": account.name},
        "account": {"id": account.id, "name": account.name},
        "plan": {"name": _PLAN_TITLES[account.plan.name], "legacy_id": account.plan.name.value},
    }


def _list(call: Call) -> Reply:
    name, status = call.query.take("name"), call.query.take("status")
    owner = call.query.take("account.id")
    zones = [
        shown(account, zone)
        for account in call.accounts
        for zone in account.store.state.zones.values()
        if name in {None, zone["name"]} and status in {None, "active"} and owner in {None, account.id}
    ]
    return paged(call, zones, default=20, lowest=5, highest=50)


def _get(call: Call) -> Reply:
    return Reply(shown(call.account, call.zone))


def _shown_ssl(zone: Document) -> dict[str, Any]:
    return {
        "id": "ssl",
        "value": zone["ssl"],
        "editable": True,
        "modified_on": zone["ssl_modified_on"],
        "certificate_status": "active",
    }


def _get_ssl(call: Call) -> Reply:
    return Reply(_shown_ssl(call.zone))


def _patch_ssl(call: Call) -> Reply:
    account = call.account
    value = reading(lambda: read_object("", call.body, _SSL, ignored=_READ_ONLY), _refused)["value"]
    zone = {**call.zone, "ssl": value, "ssl_modified_on": account.clock.timestamp()}
    account.store.commit(account.store.state.with_document("zones", zone["id"], zone))
    return Reply(_shown_ssl(zone))


def _refused(detail: str) -> ProblemError:
    return ProblemError(400, 1007, f"Invalid value for zone setting ssl: {detail}")


ROUTES: Final = (
    Route("GET", "/zones", "Zone Read", _list),
    Route("GET", "/zones/{zone_id}", "Zone Read", _get),
    Route("GET", "/zones/{zone_id}/settings/ssl", "Zone Settings Read", _get_ssl),
    Route("PATCH", "/zones/{zone_id}/settings/ssl", "Zone Settings Write", _patch_ssl),
)
