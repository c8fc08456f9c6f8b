"""A load balancer in company: what becomes of what we want of it while other clusters are in it as well."""

from __future__ import annotations

from dataclasses import replace

from tunnelpool.build.intent import HostIntent
from tunnelpool.build.ownership import cluster_name_taken, foreign
from tunnelpool.build.sharing import is_open, join_balancer, leave_balancer, others, takes_part
from tunnelpool.build.snapshot import HostSnapshot, Site
from tunnelpool.crd.v1alpha1 import LoadBalancer
from tunnelpool.domain.ownership import mark_of
from tunnelpool.domain.reasons import Problem, Reason


def wants_sharing(owner: LoadBalancer | None) -> bool:
    """Tell whether other clusters may be in the load balancer; one that is derived is for all."""
    return owner is None or owner.spec.sharing == "Shared"


def barred(
    snapshot: HostSnapshot, owner: LoadBalancer | None, site: Site, *, balanced: bool
) -> Problem | None:
    """Say why a load balancer that is there must not be touched; None if it is ours, or open to us.

    `balanced` tells that a load balancer is wanted, and not a CNAME.
    """
    there = snapshot.observed
    what = f"a load balancer for hostname '{snapshot.hostname}'"
    namesakes = (mark.owner for mark in others(there.value, site.owner)) if there else ()
    namesake = next((one for one in namesakes if site.owner.is_namesake(one)), None)
    if namesake is not None:
        return cluster_name_taken(what, namesake, site.owner)
    shares = wants_sharing(owner) if balanced else None
    if there is None or (shares and is_open(there.value, site.owner)):
        return None
    return foreign(there, site.owner, what, reason=Reason.HOSTNAME_IN_USE, shares=shares)


def in_company(
    intent: HostIntent, snapshot: HostSnapshot, owner: LoadBalancer | None, site: Site
) -> HostIntent:
    """Turn what shall answer here into what shall answer for all clusters of the host name."""
    there = snapshot.observed.value if snapshot.observed else None
    if there is None or intent.hold or not (wants_sharing(owner) or others(there, site.owner)):
        return intent
    wish = intent.load_balancer
    if wish is None and not takes_part(there, site.owner):
        return intent
    if wish is None:
        return replace(intent, load_balancer=leave_balancer(there, site.owner))
    if mark_of(wish.description, site.owner) is None:
        return intent  # retained: only our mark goes
    joined = join_balancer(wish, there, site.owner, wishes=owner is not None)
    return replace(intent, load_balancer=joined)
