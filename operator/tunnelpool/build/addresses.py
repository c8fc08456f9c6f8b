"""The origins of a pool of addresses, some of which are those of Services.

The address of a Service is followed: the one that the pool has, as long as the Service still has it, else the
first. A Service that has lost its address for the moment keeps its origin, since a cloud that rebuilds a load
balancer must not empty the pool; a Service that is gone does not, since the cloud may give its address to
somebody else. What would be the last origin of a pool that is referred to is switched off instead, because a
pool cannot be empty at Cloudflare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tunnelpool.build.snapshot import PoolSnapshot
from tunnelpool.crd.v1alpha1 import LBPool
from tunnelpool.crd.v1alpha1.lbpool import AddressOrigin
from tunnelpool.domain.canonical import canonical_address
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.domain.remote import Origin

_HTTPS: Final = 443


@dataclass(frozen=True, slots=True)
class Addressed:
    """The origins that the pool shall have, and why it lacks one or keeps one that is out of date."""

    origins: tuple[Origin, ...]
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """Where an origin is reached; `address` is empty if it is left out."""

    address: str
    problem: Problem | None = None


def addressed(snapshot: PoolSnapshot, spec: LBPool, *, requires_tls: bool) -> Addressed:
    """Translate the origins that have an address, and those that take it from a Service."""
    present = {one.name: one for one in snapshot.observed.value.origins} if snapshot.observed else {}
    found: list[Origin] = []
    problems: list[Problem] = []
    for wish in spec.spec.origins:
        where = _where(snapshot, wish, present.get(wish.name))
        twin = next((one.name for one in found if where.address and one.address == where.address), None)
        if twin is not None:
            where = _Found("", _twice(wish.name, twin, where.address))
        if where.problem is not None:
            problems.append(where.problem)
        if where.address:
            found.append(_origin(wish, where.address, requires_tls=requires_tls))
    if not found and snapshot.referrers:
        found = [replace(one, enabled=False) for one in _wished(spec, present)]
    stalled = [one for one in problems if one.stalled]
    return Addressed(tuple(found), next(iter((*stalled, *problems)), None))


def _wished(spec: LBPool, present: Mapping[str, Origin]) -> Iterator[Origin]:
    for wish in spec.spec.origins:
        if wish.name in present:
            yield present[wish.name]


def _origin(wish: AddressOrigin, address: str, *, requires_tls: bool) -> Origin:
    return Origin(
        name=wish.name,
        address=address,
        enabled=wish.enabled,
        weight=wish.weight,
        port=wish.port or (_HTTPS if requires_tls else 0),
        host=wish.host_header or "",
        flatten_cname=wish.flatten_cname,
    )


def _where(snapshot: PoolSnapshot, wish: AddressOrigin, present: Origin | None) -> _Found:
    if wish.service_ref is None:
        return _Found(canonical_address(wish.address or ""))
    name = wish.service_ref.name
    service = snapshot.services.get(name)
    if service is None or service["metadata"].get("deletionTimestamp"):
        message = f"Service '{name}' of origin '{wish.name}' must exist in the same namespace: apply it"
        return _Found("", Problem(Reason.SERVICE_NOT_FOUND, message))
    kind = service["spec"]["type"]
    if kind != "LoadBalancer":
        message = (
            f"Service '{name}' of origin '{wish.name}' has type '{kind}', and only one of type "
            "'LoadBalancer' has an address that Cloudflare can reach: change its type, or give the origin an "
            "`address`"
        )
        return _Found("", Problem(Reason.NOT_A_LOAD_BALANCER, message, stalled=True))
    there = list(_addresses(service))
    if present is not None and present.address in there:
        return _Found(present.address)
    if there:
        return _Found(there[0])
    kept = f"; until then the pool keeps '{present.address}'" if present is not None else ""
    message = f"Service '{name}' of origin '{wish.name}' has no address yet{kept}"
    return _Found(present.address if present else "", Problem(Reason.WAITING_FOR_ADDRESS, message))


def _addresses(service: Mapping[str, Any]) -> Iterator[str]:
    """List where a Service is reached from outside, in the order that Kubernetes gives."""
    for one in service["status"]["loadBalancer"]["ingress"]:
        address = one.get("ip") or one.get("hostname")
        if address:
            yield canonical_address(address)


def _twice(name: str, twin: str, address: str) -> Problem:
    return Problem(
        Reason.ADDRESS_TWICE,
        f"origins '{twin}' and '{name}' have the same address '{address}', and a pool holds each address "
        f"once: '{name}' is left out",
        stalled=True,
    )
