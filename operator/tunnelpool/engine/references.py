"""What raw resources refer to: read for the indices, also where this version cannot read the rest."""

from __future__ import annotations

from tunnelpool.build.manifests import TUNNEL_LABEL
from tunnelpool.domain.hostnames import canonical_hostname
from tunnelpool.engine.store import Raw


def workload_of(raw: Raw) -> tuple[str, ...]:
    """Name the workload that a Tunnel follows, as `kind/namespace/name`."""
    ref = (raw.get("spec") or {}).get("workloadRef")
    if not ref:
        return ()
    return (f"{ref.get('kind', 'Deployment')}/{raw['metadata'].get('namespace', '')}/{ref['name']}",)


def place_of_raw(raw: Raw) -> tuple[str, str]:
    """Tell namespace and name."""
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]


def remote_name_of(raw: Raw) -> str:
    """Tell what the pool of an LBPool is called at Cloudflare."""
    return str((raw.get("spec") or {}).get("name") or raw["metadata"]["name"])


def hosts_of(raw: Raw) -> dict[str, str | None]:
    """List the host names that a Tunnel or a LoadBalancer claims, each with the pool that it joins.

    From the raw object, because a claim stands also where this version cannot read the rest.
    """
    spec = raw.get("spec") or {}
    rules = [spec, *(spec.get("ingress") or ())]
    found: dict[str, str | None] = {}
    for rule in rules:
        if rule.get("hostname"):
            found.setdefault(canonical_hostname(rule["hostname"]), rule.get("pool"))
    return found


def pools_of_tunnel(raw: Raw) -> tuple[str, ...]:
    """List the pools that a Tunnel names, each alone and as `namespace/name`."""
    namespace = raw["metadata"].get("namespace", "")
    pools = [pool for pool in hosts_of(raw).values() if pool]
    return tuple(place for pool in pools for place in (pool, f"{namespace}/{pool}"))


def pools_of_balancer(raw: Raw) -> tuple[str, ...]:
    """List every pool that a LoadBalancer names, as `namespace/name`."""
    spec = raw.get("spec") or {}
    sources = [spec, *(rule.get("overrides") or {} for rule in spec.get("rules") or ())]
    names: dict[str, None] = {}
    for source in sources:
        names |= dict.fromkeys(source.get("pools") or ())
        for places in ("regionPools", "countryPools", "popPools"):
            for pools in (source.get(places) or {}).values():
                names |= dict.fromkeys(pools)
        if source.get("fallbackRef"):
            names[source["fallbackRef"]["name"]] = None
    namespace = raw["metadata"].get("namespace", "")
    return tuple(f"{namespace}/{name}" for name in names)


def referred(raw: Raw, field: str) -> tuple[str, ...]:
    """Name what a reference is to, as `namespace/name`."""
    ref = (raw.get("spec") or {}).get(field)
    return (f"{raw['metadata'].get('namespace', '')}/{ref['name']}",) if ref else ()


def services_of(raw: Raw) -> tuple[str, ...]:
    """List the Services whose addresses an LBPool takes, as `namespace/name`."""
    refs = [one.get("serviceRef") for one in (raw.get("spec") or {}).get("origins") or ()]
    return tuple(f"{raw['metadata'].get('namespace', '')}/{ref['name']}" for ref in refs if ref)


def tunnel_of_child(raw: Raw) -> tuple[str, ...]:
    """Name the Tunnel of a child, as `namespace/name`."""
    meta = raw["metadata"]
    owner = (meta.get("labels") or {}).get(TUNNEL_LABEL)
    return (f"{meta.get('namespace', '')}/{owner}",) if owner else ()
