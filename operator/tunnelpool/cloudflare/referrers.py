"""Who refers to an object that cannot be deleted: asked only then, since the listings have not shown it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tunnelpool.cloudflare import routes
from tunnelpool.cloudflare.routes import Route
from tunnelpool.cloudflare.transport import Session
from tunnelpool.domain.errors import ApiError
from tunnelpool.domain.remote import RemoteKind

_ROUTES: Final[Mapping[RemoteKind, Route]] = {
    kind: Route(f"{routes.ITEMS[kind].template}/references", routes.ITEMS[kind].group)
    for kind in (RemoteKind.MONITOR, RemoteKind.POOL)
}
_UNKNOWN: Final = "other objects at Cloudflare still refer to it"


async def told_referrers(session: Session, account_id: str, kind: RemoteKind, id_: str) -> str:
    """Say who still refers to an object; in general words where Cloudflare does not tell."""
    route = _ROUTES.get(kind)
    if route is None:
        return _UNKNOWN
    try:
        answer = await session.call("GET", route.at(account=account_id, id=id_))
    except ApiError:
        return _UNKNOWN
    found = answer.result if isinstance(answer.result, list) else []
    names = sorted(filter(None, map(_named, found)))
    if not names:
        return _UNKNOWN
    return f"{', '.join(names)} at Cloudflare still refers to it: delete or change that first"


def _named(reference: Any) -> str:
    """Name a referrer; empty for what the object itself refers to."""
    if not isinstance(reference, dict) or reference.get("reference_type") == "referral":
        return ""
    kind = str(reference.get("resource_type", "object")).replace("_", " ")
    return f"{kind} '{reference.get('resource_name') or reference.get('resource_id')}'"
