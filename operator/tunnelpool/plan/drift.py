"""`driftPolicy: Report`: what somebody has changed at Cloudflare is named, and left as it is.

What serves traffic is no drift and is written all the same: the origins of Tunnels, the operator's own mark,
the Host header that follows from the Tunnels.
"""

from __future__ import annotations

from dataclasses import replace

from tunnelpool.build.ownership import is_ours
from tunnelpool.build.sharing import is_shared
from tunnelpool.domain.json import FrozenJson, freeze, thaw
from tunnelpool.domain.ownership import Owner, marked, read_marks, unmarked
from tunnelpool.domain.remote import LoadBalancer, Monitor, Observed, Pool, RemoteValue, Tunnel
from tunnelpool.plan.diff import changes, update
from tunnelpool.plan.steps import Update


def hold_back(
    step: Update, observed: Observed[RemoteValue], owner: Owner
) -> tuple[Update | None, tuple[str, ...]]:
    """Take what is drift out of a change; answer with what is left of it, and the fields that differ."""
    kept = _kept(step.value, observed.value, owner)
    drifted = tuple(change.field for change in changes(step.value, kept))
    return update(kept, observed), drifted


def _kept(desired: RemoteValue, there: RemoteValue, owner: Owner) -> RemoteValue:
    match desired, there:
        case Pool(), Pool():
            return _kept_pool(desired, there, owner)
        case Monitor(), Monitor():
            described = _kept_text(desired.description, there.description)
            return replace(there, description=described, header=_kept_header(desired, there))
        case LoadBalancer(), LoadBalancer():
            return _kept_balancer(desired, there)
        case _:
            return desired


def _kept_pool(desired: Pool, there: Pool, owner: Owner) -> Pool:
    """Keep settings and origins made by hand; the origins of Tunnels are as their Tunnels want them."""
    tunnels = [origin for origin in desired.origins if is_ours(Tunnel(origin.name), owner)]
    others = [origin for origin in there.origins if not is_ours(Tunnel(origin.name), owner)]
    # In a shared pool the origins of other clusters, and those made by hand, are in what is desired.
    origins = desired.origins if is_shared(there) else (*tunnels, *others)
    switched = any(mark.out for one in (there, desired) for mark in read_marks(one.description))
    return replace(
        there,
        origins=tuple(sorted(origins, key=lambda origin: origin.name)),
        description=_kept_text(desired.description, there.description),
        enabled=desired.enabled if switched else there.enabled,
    )


def _kept_balancer(desired: LoadBalancer, there: LoadBalancer) -> LoadBalancer:
    """Keep everything; but in a shared one each cluster's own pools are no drift."""
    described = _kept_text(desired.description, there.description)
    pools = desired.default_pools if is_shared(there) else there.default_pools
    return replace(there, description=described, default_pools=pools)


def _kept_text(desired: str, there: str) -> str:
    marks = read_marks(desired)
    return marked(unmarked(there), *marks) if marks else there


def _kept_header(desired: Monitor, there: Monitor) -> FrozenJson:
    wanted = dict(thaw(desired.header) or {})
    header = {name: value for name, value in (thaw(there.header) or {}).items() if name != "Host"}
    return freeze({**header, **{name: value for name, value in wanted.items() if name == "Host"}})
