"""The load balancer at Cloudflare that a LoadBalancer describes, or that Tunnels bring into being."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from tunnelpool.build.snapshot import PoolView, Site
from tunnelpool.crd.v1alpha1 import LoadBalancer
from tunnelpool.domain.canonical import canonical_affinity_attributes
from tunnelpool.domain.json import FrozenJson, freeze, with_defaults
from tunnelpool.domain.keys import HostKey
from tunnelpool.domain.ownership import Mark, marked
from tunnelpool.domain.remote import (
    ADAPTIVE_ROUTING_DEFAULTS,
    LOCATION_STRATEGY_DEFAULTS,
    RANDOM_STEERING_DEFAULTS,
)
from tunnelpool.domain.remote import LoadBalancer as RemoteLoadBalancer


def load_balancer(
    hostname: str,
    owner: LoadBalancer | None,
    default: tuple[PoolView, ...],
    fallback: PoolView,
    usable: Mapping[str, PoolView],
    site: Site,
) -> RemoteLoadBalancer:
    """Write the load balancer of these pools; `usable` are all that exist, by the names resources use.

    Without `owner` it is derived from Tunnels, and everything else has Cloudflare's defaults.
    """
    mark = Mark(site.owner, str(HostKey(hostname)))
    pools = tuple(pool_id(view) for view in default)
    if owner is None:
        return RemoteLoadBalancer(hostname, pools, pool_id(fallback), description=str(mark))
    spec = owner.spec
    affinity = spec.session_affinity_attributes
    attributes = affinity.model_dump(mode="json", exclude_none=True) if affinity else {}
    if "drain_duration_seconds" in attributes:
        attributes["drain_duration"] = attributes.pop("drain_duration_seconds")
    return RemoteLoadBalancer(
        name=hostname,
        default_pools=pools,
        fallback_pool=pool_id(fallback),
        description=marked(spec.description, mark),
        enabled=spec.enabled,
        proxied=spec.proxied,
        ttl=spec.ttl_seconds or 0,
        steering_policy=spec.effective_steering_policy,
        region_pools=_places(spec.region_pools, usable),
        country_pools=_places(spec.country_pools, usable),
        pop_pools=_places(spec.pop_pools, usable),
        random_steering=_random_steering(owner, usable),
        session_affinity=spec.session_affinity,
        session_affinity_ttl=spec.session_affinity_ttl_seconds or 0,
        session_affinity_attributes=canonical_affinity_attributes(attributes),
        adaptive_routing=with_defaults(_dump(spec.adaptive_routing), ADAPTIVE_ROUTING_DEFAULTS),
        location_strategy=with_defaults(_dump(spec.location_strategy), LOCATION_STRATEGY_DEFAULTS),
    )


def pool_id(view: PoolView) -> str:
    """Return Cloudflare's id of a pool that exists."""
    if view.observed is None:  # the caller has chosen among the usable ones
        raise ValueError(view.name)
    return view.observed.id


def _dump(model: BaseModel | None) -> Mapping[str, object]:
    return model.model_dump(mode="json", exclude_none=True) if model is not None else {}


def _places(given: Mapping[str, tuple[str, ...]] | None, usable: Mapping[str, PoolView]) -> FrozenJson:
    found = {
        place: [pool_id(usable[name]) for name in names if name in usable]
        for place, names in (given or {}).items()
    }
    return freeze({place: ids for place, ids in found.items() if ids})


def _random_steering(owner: LoadBalancer, usable: Mapping[str, PoolView]) -> FrozenJson:
    given = owner.spec.random_steering
    if given is None:
        return freeze(RANDOM_STEERING_DEFAULTS)
    weights = {
        pool_id(usable[name]): weight for name, weight in (given.pool_weights or {}).items() if name in usable
    }
    return freeze({"default_weight": given.default_weight, "pool_weights": weights})
