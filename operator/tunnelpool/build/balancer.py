"""The load balancer at Cloudflare that a LoadBalancer describes, or that Tunnels bring into being."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from tunnelpool.build.shared_balancer import wants_sharing
from tunnelpool.build.sharing import with_own_pools
from tunnelpool.build.snapshot import PoolView, Site
from tunnelpool.crd.v1alpha1 import LoadBalancer
from tunnelpool.crd.v1alpha1.balancer_rules import BalancerRule, RuleOverrides
from tunnelpool.crd.v1alpha1.steering import RandomSteering, SessionAffinityAttributes
from tunnelpool.domain.canonical import canonical_affinity_attributes, canonical_rules
from tunnelpool.domain.json import freeze, with_defaults
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
    mark = Mark(site.owner, str(HostKey(hostname)), shared=wants_sharing(owner))
    pools = tuple(_ids(default))
    if owner is None:
        derived = RemoteLoadBalancer(hostname, pools, pool_id(fallback), description=str(mark))
        return with_own_pools(derived)
    spec = owner.spec
    described = RemoteLoadBalancer(
        name=hostname,
        default_pools=pools,
        fallback_pool=pool_id(fallback),
        description=marked(spec.description, mark),
        enabled=spec.enabled,
        proxied=spec.proxied,
        ttl=spec.ttl_seconds or 0,
        steering_policy=spec.effective_steering_policy,
        region_pools=freeze(_places(spec.region_pools, usable)),
        country_pools=freeze(_places(spec.country_pools, usable)),
        pop_pools=freeze(_places(spec.pop_pools, usable)),
        random_steering=with_defaults(
            _random_steering(spec.random_steering, usable), RANDOM_STEERING_DEFAULTS
        ),
        session_affinity=spec.session_affinity,
        session_affinity_ttl=spec.session_affinity_ttl_seconds or 0,
        session_affinity_attributes=canonical_affinity_attributes(
            _affinity(spec.session_affinity_attributes)
        ),
        adaptive_routing=with_defaults(_dump(spec.adaptive_routing), ADAPTIVE_ROUTING_DEFAULTS),
        location_strategy=with_defaults(_dump(spec.location_strategy), LOCATION_STRATEGY_DEFAULTS),
        rules=canonical_rules([_rule(rule, fallback, usable) for rule in spec.rules]),
    )
    return with_own_pools(described) if mark.shared else described


def pool_id(view: PoolView) -> str:
    """Return Cloudflare's id of a pool that exists."""
    if view.observed is None:  # the caller has chosen among the usable ones
        raise ValueError(view.name)
    return view.observed.id


def _ids(views: Iterable[PoolView]) -> list[str]:
    """List ids, each once: a pool may be known by the name of its object and by its own."""
    return list(dict.fromkeys(pool_id(view) for view in views))


def _rule(rule: BalancerRule, fallback: PoolView, usable: Mapping[str, PoolView]) -> dict[str, Any]:
    return {
        "name": rule.name,
        "condition": rule.condition,
        "priority": rule.priority,
        "disabled": rule.disabled,
        "terminates": rule.terminates,
        "fixed_response": _dump(rule.fixed_response),
        "overrides": _overrides(rule.overrides, fallback, usable) if rule.overrides else {},
    }


def _overrides(given: RuleOverrides, fallback: PoolView, usable: Mapping[str, PoolView]) -> dict[str, Any]:
    """Write what a rule changes. Where none of its pools exists, its fallback answers as their only one."""
    last = usable.get(given.fallback_ref.name) if given.fallback_ref else None
    pools = [usable[name] for name in given.pools or () if name in usable]
    if given.pools and not pools:
        pools = [last or fallback]
    return {
        "default_pools": _ids(pools),
        "fallback_pool": pool_id(last) if last else "",
        "steering_policy": given.steering_policy,
        "region_pools": _places(given.region_pools, usable),
        "country_pools": _places(given.country_pools, usable),
        "pop_pools": _places(given.pop_pools, usable),
        "random_steering": _random_steering(given.random_steering, usable),
        "session_affinity": given.session_affinity,
        "session_affinity_ttl": given.session_affinity_ttl_seconds,
        "session_affinity_attributes": _affinity(given.session_affinity_attributes),
        "adaptive_routing": _dump(given.adaptive_routing),
        "location_strategy": _dump(given.location_strategy),
        "ttl": given.ttl_seconds,
    }


def _dump(model: BaseModel | None) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_none=True) if model is not None else {}


def _affinity(attributes: SessionAffinityAttributes | None) -> dict[str, Any]:
    written = _dump(attributes)
    if "drain_duration_seconds" in written:
        written["drain_duration"] = written.pop("drain_duration_seconds")
    return written


def _places(
    given: Mapping[str, tuple[str, ...]] | None, usable: Mapping[str, PoolView]
) -> dict[str, list[str]]:
    found = {
        place: _ids(usable[name] for name in names if name in usable)
        for place, names in (given or {}).items()
    }
    return {place: ids for place, ids in found.items() if ids}


def _random_steering(given: RandomSteering | None, usable: Mapping[str, PoolView]) -> dict[str, Any]:
    if given is None:
        return {}
    weights = {
        pool_id(usable[name]): weight for name, weight in (given.pool_weights or {}).items() if name in usable
    }
    return {"default_weight": given.default_weight, "pool_weights": weights}
