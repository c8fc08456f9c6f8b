"""A host name: the load balancer that answers for it, or the CNAME of a Tunnel without a pool.

A load balancer silently beats a DNS record of the same name, so it comes only when something can answer,
and never over a record that is not ours (law 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tunnelpool.build.balancer import load_balancer
from tunnelpool.build.intent import HostIntent
from tunnelpool.build.ownership import disowned, foreign, is_ours, is_unowned
from tunnelpool.build.shared_balancer import barred, in_company
from tunnelpool.build.sharing import takes_part
from tunnelpool.build.snapshot import HostSnapshot, Member, PoolView, Site, Slot
from tunnelpool.crd.v1alpha1 import LoadBalancer, Tunnel
from tunnelpool.domain.ownership import Mark
from tunnelpool.domain.reasons import Problem, Reason, suspended
from tunnelpool.domain.remote import DnsRecord, tunnel_address

ADDRESS_RECORDS: Final = frozenset({"A", "AAAA", "CNAME"})
"""Types of DNS records that answer for a host name."""


def build(snapshot: HostSnapshot, site: Site) -> HostIntent:
    """Decide what shall answer for the host name."""
    owner = winner(snapshot)
    return in_company(_alone(snapshot, owner, site), snapshot, owner, site)


def _alone(snapshot: HostSnapshot, owner: LoadBalancer | None, site: Site) -> HostIntent:
    """Decide what shall answer as far as this cluster is concerned."""
    names, _ = pool_names(snapshot)
    live = [member for member in snapshot.members if _live(member)]
    pooled = [member for member in live if member.pool and _counts(snapshot, member)]
    plain = [member for member in live if not member.pool]
    if owner is None and not pooled and not plain:
        return _let_go(snapshot, site) if _retained(snapshot) else HostIntent()
    refused = snapshot.refusals.get(snapshot.namespace)
    if refused is not None and not _one_leaves(snapshot, pooled):
        return HostIntent(hold=True, problem=refused)
    if snapshot.zone is None:
        return HostIntent(hold=True, problem=_no_zone(snapshot.hostname))
    adopts = _adopts(owner, pooled or plain[:1])
    strange = _foreign(snapshot, owner, site, adopts=adopts, balanced=owner is not None or bool(pooled))
    if strange is not None:
        return HostIntent(hold=True, problem=strange)
    resting = _resting(snapshot, owner, pooled, plain)
    if resting is not None:
        return HostIntent(hold=True, problem=suspended(resting))
    if owner is None and not pooled:
        return replace(_cname(snapshot, plain[0], site), adopt=adopts)
    if not names:
        return HostIntent(hold=True, problem=_mixed(pooled[0]))
    return replace(_balanced(snapshot, owner, site), adopt=adopts)


def _adopts(owner: LoadBalancer | None, sources: Sequence[Member]) -> bool:
    """Tell whether what answers now may be taken over."""
    return owner.adopts if owner is not None else any(member.tunnel.adopts for member in sources)


def pool_names(snapshot: HostSnapshot) -> tuple[tuple[str, ...], str | None]:
    """Tell the pools in failover order and the fallback, by the names that the resources use.

    Derived from Tunnels: every pool that they name, in the order of the Tunnels' age; the fallback is the
    first pool's `fallbackRef`, else that pool.
    """
    owner = winner(snapshot)
    if owner is not None:
        if owner.spec.fallback_ref is not None:
            return owner.spec.pools, owner.spec.fallback_ref.name
        pools: tuple[str, ...] = owner.spec.pools
    else:
        named = dict.fromkeys(
            m.pool for m in snapshot.members if _live(m) and m.pool and _counts(snapshot, m)
        )
        # A pool of addresses takes no Tunnel in, so it does not answer for one either.
        pools = tuple(
            name for name in named if name not in snapshot.pools or snapshot.pools[name].takes_tunnels
        )
    first = snapshot.pools.get(pools[0]) if pools else None
    ref = first.lbpool.spec.fallback_ref if first is not None and first.lbpool is not None else None
    return pools, ref.name if ref else None


def winner(snapshot: HostSnapshot) -> LoadBalancer | None:
    """Take the LoadBalancer that describes the host name: the oldest of the namespace that stays."""
    here = (one for one in snapshot.load_balancers if one.metadata.namespace == snapshot.namespace)
    return next((one for one in here if not one.deleting), None)


def _live(member: Member) -> bool:
    return not member.tunnel.deleting


def _retained(snapshot: HostSnapshot) -> bool:
    """Tell whether one of those that go leaves behind what answers; whoever stays has been asked before."""
    here = [one for one in snapshot.load_balancers if one.metadata.namespace == snapshot.namespace]
    return any(one.retains for one in (*here, *(member.tunnel for member in snapshot.members)))


def _let_go(snapshot: HostSnapshot, site: Site) -> HostIntent:
    """Take our mark off what answers, and leave it."""
    balancer, record = snapshot.observed, _own_record(snapshot, site)
    return HostIntent(
        load_balancer=disowned(balancer.value, balancer.id, site.owner) if balancer else None,
        record=disowned(record, "", site.owner) if record else None,
    )


def _resting(
    snapshot: HostSnapshot, owner: LoadBalancer | None, pooled: Sequence[Member], plain: Sequence[Member]
) -> LoadBalancer | Tunnel | None:
    """Find who keeps the host name as it is: what describes it, or all Tunnels that it is derived from."""
    if owner is not None:
        return owner if owner.suspended else None
    if _one_leaves(snapshot, pooled):
        return None
    sources = [member.tunnel for member in pooled or plain[:1]]
    return sources[0] if all(tunnel.suspended for tunnel in sources) else None


def _one_leaves(snapshot: HostSnapshot, pooled: Sequence[Member]) -> bool:
    """Tell whether a Tunnel goes while others stay: its pool has to leave the load balancer in any case."""
    return bool(pooled) and any(member.tunnel.deleting for member in snapshot.members)


def _counts(snapshot: HostSnapshot, member: Member) -> bool:
    """Tell whether a Tunnel has a say: a suspended one brings nothing new, and keeps what it has brought."""
    view = snapshot.pools.get(member.pool or "")
    if not member.tunnel.suspended or view is None:
        return True
    there = snapshot.observed.value.pools if snapshot.observed else frozenset()
    return view.observed is not None and view.observed.id in there


def _no_zone(hostname: str) -> Problem:
    return Problem(
        Reason.ZONE_NOT_FOUND,
        f"no zone that the API token can see holds hostname '{hostname}': correct the hostname, add "
        "the zone to the account, or give the token Zone Read for it",
        stalled=True,
    )


def _mixed(member: Member) -> Problem:
    return Problem(
        Reason.MIXED_POOL,
        f"LBPool '{member.pool}' has `origins` with addresses, and a pool holds tunnel origins "
        "or address origins, never both: name another pool",
        stalled=True,
    )


def _foreign(
    snapshot: HostSnapshot, owner: LoadBalancer | None, site: Site, *, adopts: bool, balanced: bool
) -> Problem | None:
    if snapshot.observed is not None and not (adopts and is_unowned(snapshot.observed.value)):
        strange = barred(snapshot, owner, site, balanced=balanced)
        if strange is not None:
            return strange
    addresses = [record for record in snapshot.records if record.value.type in ADDRESS_RECORDS]
    for record in addresses:
        if adopts and len(addresses) == 1 and is_unowned(record.value):
            continue  # a CNAME takes its place; a load balancer beats it, and it stays
        if not is_ours(record.value, site.owner):
            what = f"a DNS record {record.value.type} '{snapshot.hostname}' to '{record.value.content}'"
            return foreign(record, site.owner, what, reason=Reason.HOSTNAME_IN_USE)
    return None


def _cname(snapshot: HostSnapshot, member: Member, site: Site) -> HostIntent:
    if all(slot.leaving for slot in member.slots):
        return HostIntent(problem=Problem(Reason.NO_ORIGINS, "no connector shall run: nothing answers"))
    slot = _pointed_at(snapshot, member, site)
    answered = any(is_ours(record.value, site.owner) for record in snapshot.records)
    ready = slot is not None and slot.connected and slot.configured
    if slot is None or slot.remote is None or not (ready or answered):
        message = f"no connector of Tunnel '{member.tunnel.metadata.name}' has registered yet"
        return HostIntent(hold=True, problem=Problem(Reason.WAITING_FOR_CONNECTORS, message))
    record = DnsRecord(
        name=snapshot.hostname,
        type="CNAME",
        content=tunnel_address(slot.remote.id),
        comment=str(Mark(site.owner)),
    )
    return HostIntent(record=record)


def _pointed_at(snapshot: HostSnapshot, member: Member, site: Site) -> Slot | None:
    """Choose the tunnel that the CNAME points to: the one that it has, as long as that is connected.

    A record holds one tunnel. Where each replica is one of its own (another hostname of the Tunnel joins
    a pool), another takes over when neither its pods nor Cloudflare call the present one connected.
    """
    staying = [slot for slot in member.slots if not slot.leaving and slot.remote is not None]
    record = _own_record(snapshot, site)
    now = [s for s in staying if record and s.remote and tunnel_address(s.remote.id) == record.content]
    usable = [slot for slot in (*now, *staying) if slot.connected and slot.configured]
    return next(iter((*usable, *now, *staying)), None)


def _balanced(snapshot: HostSnapshot, owner: LoadBalancer | None, site: Site) -> HostIntent:
    names, fallback_name = pool_names(snapshot)
    refused = _unknown(snapshot, owner, names, fallback_name) or _unproxied(snapshot, owner)
    if refused is not None:
        return HostIntent(hold=True, problem=refused)
    usable = {
        name: view for name, view in snapshot.pools.items() if view.observed is not None and view.staying
    }
    fallback = usable.get(fallback_name) if fallback_name else None
    default = tuple(usable[name] for name in names if name in usable)
    ours = snapshot.observed is not None and takes_part(snapshot.observed.value, site.owner)
    if not default and fallback is None:
        # A CNAME that answers stays until the load balancer can take its place (law 4).
        record = _own_record(snapshot, site) if _expected(snapshot, names) else None
        # So does a load balancer on the pool that a Tunnel leaves, until the new pool has an origin.
        hold = ours and _expected(snapshot, names) > 0
        return HostIntent(problem=_nothing(snapshot, names), record=record, hold=hold)
    chosen = default or tuple(filter(None, [fallback]))
    if not ours and not (default or _expected(snapshot, names) == 0):
        return HostIntent(hold=True, problem=_not_yet(default))
    if not ours and not any(_answers(view) for view in chosen):
        return HostIntent(hold=True, problem=_not_yet(chosen))
    balancer = load_balancer(snapshot.hostname, owner, chosen, fallback or chosen[0], usable, site)
    named = owner.spec.pool_names if owner is not None else names
    missing = next((name for name in named if name not in usable), None)
    waiting = Problem(Reason.WAITING_FOR_POOL, f"pool '{missing}' has no origin yet") if missing else None
    return HostIntent(load_balancer=balancer, problem=waiting)


def _own_record(snapshot: HostSnapshot, site: Site) -> DnsRecord | None:
    ours = (one.value for one in snapshot.records if is_ours(one.value, site.owner))
    return next(ours, None)


def _unknown(
    snapshot: HostSnapshot, owner: LoadBalancer | None, names: tuple[str, ...], fallback: str | None
) -> Problem | None:
    """Find a pool or a fallback that is named, anywhere in the LoadBalancer, and defined by nothing."""
    for name in owner.spec.pool_names if owner is not None else names:
        view = snapshot.pools.get(name)
        if view is None or (view.lbpool is None and not view.members):
            message = (
                f"pool '{name}' must be defined: apply an LBPool of that name, or a Tunnel with that `pool`"
            )
            return Problem(Reason.POOL_NOT_FOUND, message)
    further = owner.spec.fallback_names if owner is not None else ()
    for last in (*((fallback,) if fallback else ()), *further):
        view = snapshot.pools.get(last)
        if view is None or view.lbpool is None:
            message = f"LBPool '{last}' must exist in the same namespace: apply it or change `fallbackRef`"
            return Problem(Reason.FALLBACK_NOT_FOUND, message)
    return None


def _unproxied(snapshot: HostSnapshot, owner: LoadBalancer | None) -> Problem | None:
    """Find a pool of Tunnels where only DNS is answered: a tunnel has no address that a visitor can reach."""
    if owner is None or owner.spec.proxied:
        return None
    named = (*owner.spec.pool_names, *owner.spec.fallback_names)
    behind = next((name for name in named if not snapshot.pools[name].is_addresses), None)
    if behind is None:
        return None
    return Problem(
        Reason.PROXY_REQUIRED,
        f"pool '{behind}' holds tunnel origins, which visitors reach only through Cloudflare: set `proxied` "
        "to 'true', or name pools of `origins` with addresses only",
        stalled=True,
    )


def _answers(view: PoolView) -> bool:
    """Tell whether a pool can answer now: an origin is connected, and healthy if the pool is monitored."""
    if view.observed is None:
        return False
    pool, health = view.observed.value, view.observed.health
    connected = {
        slot.remote.value.name
        for member in view.members
        for slot in member.slots
        if slot.remote is not None and slot.connected and not slot.leaving
    }
    return any(
        origin.enabled
        and (view.is_addresses or origin.name in connected)
        and (not pool.monitor or health.origins.get(origin.name) is True)
        for origin in pool.origins
    )


def _not_yet(default: tuple[PoolView, ...]) -> Problem:
    for view in default:
        if view.observed is not None and view.observed.value.monitor:
            message = (
                f"no origin of pool '{view.name}' has passed its health check yet: the load balancer is made "
                "once one has, so that it does not take the place of what answers now"
            )
            return Problem(Reason.WAITING_FOR_HEALTH, message)
    return Problem(Reason.WAITING_FOR_CONNECTORS, "no connector has registered yet")


def _expected(snapshot: HostSnapshot, names: tuple[str, ...]) -> int:
    """Count the tunnel origins that are in these pools or shall come into them."""
    return sum(
        not slot.leaving for name in names for member in snapshot.pools[name].members for slot in member.slots
    )


def _nothing(snapshot: HostSnapshot, names: tuple[str, ...]) -> Problem:
    if _expected(snapshot, names):
        return Problem(Reason.WAITING_FOR_CONNECTORS, "no connector has registered yet")
    return Problem(Reason.NO_ORIGINS, "no pool of the load balancer has an origin, so nothing answers")
