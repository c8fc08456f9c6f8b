"""What DNS answers for a name. Pure: names of origins are left to be resolved."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from localedge.balance.health import usable_origins
from localedge.balance.model import LoadBalancer, Record
from localedge.balance.steering import Chooser
from localedge.balance.topology import Topology
from localedge.balance.visitor import Visitor

PROXIED_TTL_S = 300
_AUTOMATIC_TTL = 1


@dataclass(frozen=True, slots=True)
class Resolution:
    """Addresses and host names that stand for a name."""

    known: bool
    """Whether there is the name at all; a known one may have no address."""
    ttl_s: int = PROXIED_TTL_S
    addresses: tuple[str, ...] = ()
    """To be answered as A or AAAA."""
    hostnames: tuple[str, ...] = ()
    """To be resolved and answered as A or AAAA: Cloudflare flattens them."""
    aliases: tuple[str, ...] = ()
    """To be answered as CNAME."""


def resolve(
    topology: Topology,
    found: LoadBalancer | Record | None,
    name: str,
    chooser: Chooser,
    visitor: Visitor,
    edge_address: str,
) -> Resolution:
    """Tell what a name stands for: the edge itself, the usable origins of a pool, or what its records say."""
    match found:
        case LoadBalancer(proxied=False):
            return _unproxied(found, chooser, visitor)
        case LoadBalancer() | Record():
            return Resolution(known=True, addresses=(edge_address,))
        case None:
            return _recorded(topology, name)


def _unproxied(balancer: LoadBalancer, chooser: Chooser, visitor: Visitor) -> Resolution:
    choice = chooser.choose(balancer, visitor)
    if choice is None:
        return Resolution(known=True, ttl_s=balancer.ttl_s)
    pool = choice.pool
    enabled = [origin for origin in pool.origins if origin.enabled]
    serving = enabled if choice.on_fallback else usable_origins(pool, chooser.verdict)
    # A tunnel has no address: its name answers inside Cloudflare only.
    targets = [o.address for o in serving if o.weight > 0 and o.tunnel_id is None]
    return Resolution(
        known=True,
        ttl_s=balancer.ttl_s,
        addresses=tuple(target for target in targets if _is_address(target)),
        hostnames=tuple(target for target in targets if not _is_address(target)),
    )


def _recorded(topology: Topology, name: str) -> Resolution:
    records = topology.plain_records(name)
    if not records:
        return Resolution(known=False)
    ttl_s = min(record["ttl"] for record in records)
    return Resolution(
        known=True,
        ttl_s=PROXIED_TTL_S if ttl_s == _AUTOMATIC_TTL else ttl_s,
        addresses=tuple(r["content"] for r in records if r["type"] in {"A", "AAAA"}),
        aliases=tuple(r["content"] for r in records if r["type"] == "CNAME"),
    )


def _is_address(target: str) -> bool:
    try:
        ipaddress.ip_address(target)
    except ValueError:
        return False
    return True
