"""Steps for a Tunnel: for each origin a remote tunnel, its configuration, its Secret, its Deployment.

A plan holds what can be done now: the id of a tunnel that is yet to be made is not known, so what needs
it follows in the next pass. Removal goes through the pool first (law 6): as long as a pool holds the
origin nothing of it is touched here.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunnelpool.build.companion import Companion
from tunnelpool.build.manifests import (
    CONFIG_ANNOTATION,
    HASH_ANNOTATION,
    ROTATED_ANNOTATION,
    TUNNEL_ID_ANNOTATION,
    deployment,
    disruption_budget,
    fingerprint,
    ingress,
    rotation_asked,
    secret,
)
from tunnelpool.build.ownership import disowned
from tunnelpool.build.sharing import takes_part
from tunnelpool.build.snapshot import FINALIZER, Raw, Site, Slot, TunnelSnapshot
from tunnelpool.crd.v1alpha1 import Tunnel
from tunnelpool.domain.configuration import canonical_configuration
from tunnelpool.domain.json import FrozenObject, thaw
from tunnelpool.domain.ownership import TunnelName
from tunnelpool.domain.remote import RemoteKind
from tunnelpool.domain.remote import Tunnel as RemoteTunnel
from tunnelpool.plan.diff import covers, update
from tunnelpool.plan.finalizer import add_finalizer, remove_finalizer
from tunnelpool.plan.steps import (
    ApplyObject,
    CloseConnections,
    Create,
    CreateObject,
    Delete,
    DeleteObject,
    ObjectRef,
    PutConfiguration,
    RotateSecret,
    Step,
    WriteConnectorSecret,
)


def plan(snapshot: TunnelSnapshot, site: Site, *, begins: bool = True) -> tuple[Step, ...]:
    """Plan a Tunnel. The finalizer comes before the first remote object, and goes after the last.

    `begins`: whether origins may be made that do not exist yet. What exists is kept in order all the same.
    """
    tunnel, raw = snapshot.tunnel, snapshot.raw
    if tunnel is not None and tunnel.suspended:
        return ()
    if tunnel is not None and raw is not None and not tunnel.deleting:
        protect = add_finalizer("Tunnel", raw, FINALIZER)
        if protect is not None:
            return (protect,)
    if tunnel is not None and raw is not None and tunnel.retains:
        return _let_go(snapshot, raw, site)
    slots = [slot for slot in snapshot.slots if begins or slot.leaving or slot.remote is not None]
    steps = [step for slot in slots for step in _slot(snapshot, slot, site)]
    if tunnel is not None and not tunnel.deleting and (begins or slots):
        steps += _apply(disruption_budget(tunnel), snapshot.disruption_budget)
    if not steps and _gone(snapshot) and raw is not None:
        release = remove_finalizer("Tunnel", raw, FINALIZER)
        if release is not None:
            return (release,)
    return tuple(steps)


def _let_go(snapshot: TunnelSnapshot, raw: Raw, site: Site) -> tuple[Step, ...]:
    """Take our mark off what stays, the tunnels last: until then their names say whose origins those are."""
    if snapshot.derived_left or any(takes_part(pool.value, site.owner) for pool in snapshot.pools):
        return ()
    remotes = [slot.remote for slot in snapshot.slots if slot.remote is not None]
    renames = [update(disowned(one.value, one.id, site.owner), one) for one in remotes]
    steps: list[Step] = [step for step in renames if step is not None]
    if not steps:
        release = remove_finalizer("Tunnel", raw, FINALIZER)
        steps = [release] if release else []
    return tuple(steps)


def _gone(snapshot: TunnelSnapshot) -> bool:
    tunnel = snapshot.tunnel
    return tunnel is not None and tunnel.deleting and not snapshot.slots and not snapshot.derived_left


def _slot(snapshot: TunnelSnapshot, slot: Slot, site: Site) -> Iterator[Step]:
    in_pools = {origin.name for pool in snapshot.pools for origin in pool.value.origins}
    for spare in slot.duplicates:
        renamed = slot.remote is not None and spare.value.name != slot.remote.value.name
        if renamed and spare.value.name in in_pools:
            continue  # of a cluster that is taken over: its origin leaves the pool first
        yield Delete(RemoteKind.TUNNEL, spare.id, spare.value.name)
    if slot.leaving:
        yield from _remove(snapshot, slot)
    elif snapshot.tunnel is not None:
        yield from _provide(snapshot.tunnel, slot, site, snapshot.followed)


def _provide(tunnel: Tunnel, slot: Slot, site: Site, followed: Companion | None) -> Iterator[Step]:
    name = str(TunnelName(site.owner, tunnel.metadata.namespace, tunnel.metadata.name, slot.index))
    if slot.remote is None:
        yield Create(RemoteTunnel(name))
        return
    tunnel_id = slot.remote.id
    config = ingress(tunnel)
    written = _annotations(slot.secret)
    current = written.get(TUNNEL_ID_ANNOTATION) == tunnel_id
    # The annotation on the Secret says which configuration was put: there is no listing of them.
    put = current and written.get(CONFIG_ANNOTATION) == fingerprint(thaw(config))
    changed = slot.shown is not None and slot.shown != canonical_configuration(thaw(config))
    if changed or not put:
        yield PutConfiguration(tunnel_id, name, config)
    done = written.get(ROTATED_ANNOTATION, "")
    rotated = rotation_asked(tunnel) or done
    if current and rotated != done:
        yield RotateSecret(tunnel_id, name)
    wish = secret(tunnel, slot.index, tunnel_id, site.connector.ca, rotated)
    if not current or not _is_applied(wish, slot.secret):
        yield WriteConnectorSecret(wish, tunnel_id, exists=slot.secret is not None)
    there = slot.deployment
    connector = deployment(
        tunnel, slot.index, tunnel_id, site.connector, rotated, followed=followed, there=there
    )
    yield from _apply(connector, there)


def _remove(snapshot: TunnelSnapshot, slot: Slot) -> Iterator[Step]:
    name = slot.remote.value.name if slot.remote else ""
    if any(origin.name == name for pool in snapshot.pools for origin in pool.value.origins):
        return  # the pool disables it, lets it drain and drops it first
    if slot.remote is not None and slot.remote.id in snapshot.pointed_at and not _deleting(snapshot):
        return  # the CNAME turns to another of the Tunnel's tunnels first
    for kind, raw in (("Deployment", slot.deployment), ("Secret", slot.secret)):
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            continue
        if snapshot.tunnel is not None or raw["metadata"].get("ownerReferences"):
            # Without owner it was orphaned on purpose; with one the cluster would take it away as well.
            yield DeleteObject(_ref(kind, raw))
    if slot.remote is not None and slot.deployment is None and slot.pods == 0:
        yield CloseConnections(slot.remote.id, name)
        yield Delete(RemoteKind.TUNNEL, slot.remote.id, name)


def _deleting(snapshot: TunnelSnapshot) -> bool:
    return snapshot.tunnel is None or snapshot.tunnel.deleting


def _apply(wish: FrozenObject, there: Raw | None) -> list[Step]:
    if there is None:
        return [CreateObject(wish)]
    return [] if _is_applied(wish, there) else [ApplyObject(wish)]


def _is_applied(wish: FrozenObject, there: Raw | None) -> bool:
    """Compare by the hash, which knows what was asked, and by content, which sees other people's edits."""
    if there is None:
        return False
    manifest = thaw(wish)
    same = _annotations(there).get(HASH_ANNOTATION) == manifest["metadata"]["annotations"][HASH_ANNOTATION]
    return same and covers(there, manifest)


def _annotations(raw: Raw | None) -> dict[str, str]:
    return dict(raw["metadata"].get("annotations") or {}) if raw else {}


def _ref(kind: str, raw: Raw) -> ObjectRef:
    meta = raw["metadata"]
    return ObjectRef(kind, meta["namespace"], meta["name"], meta.get("uid", ""))
