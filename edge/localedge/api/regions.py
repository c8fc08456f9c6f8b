"""Regions: `/accounts/{account}/load_balancers/regions`; the countries of each are left out."""

from __future__ import annotations

from typing import Any, Final

from localedge.api.call import Call, Reply, Route
from localedge.api.problem import not_found
from localedge.documents.regions import REGIONS

_READ: Final = "Load Balancing: Monitors and Pools Read"
_BASE: Final = "/accounts/{account_id}/load_balancers/regions"


def _shown(region: str) -> dict[str, Any]:
    return {"region_code": region, "countries": []}


def _list(call: Call) -> Reply:
    call.query.done()
    return Reply({"regions": [_shown(region) for region in REGIONS]})


def _get(call: Call) -> Reply:
    region = call.path["region_id"]
    if region not in REGIONS:
        raise not_found("region")
    return Reply(_shown(region))


ROUTES: Final = (Route("GET", _BASE, _READ, _list), Route("GET", _BASE + "/{region_id}", _READ, _get))
