"""Who refers to whom among the resources, from indices: no question here looks at all objects."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, TypeVar, overload

from tunnelpool.build.manifests import TUNNEL_LABEL
from tunnelpool.crd.base import Resource
from tunnelpool.crd.parsing import InvalidResourceError, parse
from tunnelpool.crd.v1alpha1 import HealthCheck, LBPool, LoadBalancer, Tunnel
from tunnelpool.domain.hostnames import canonical_hostname
from tunnelpool.domain.keys import HostKey, Key, MonitorKey, PoolKey, TunnelKey
from tunnelpool.engine.credentials import Credentials, SecretRef
from tunnelpool.engine.store import Raw, Store

KINDS: Final = ("Tunnel", "LBPool", "HealthCheck", "LoadBalancer")
CHILDREN: Final = ("Deployment", "Secret", "PodDisruptionBudget", "Pod")
_PARSED: Final = 20_000
R = TypeVar("R", bound=Resource)


class Topology:
    """Typed resources and their references, and the keys that a change concerns."""

    def __init__(self, store: Store, credentials: Credentials) -> None:
        self.store = store
        self._credentials = credentials
        self._parsed: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._unreadable: dict[tuple[str, str, str], tuple[str, Raw]] = {}
        store.add_index("tunnels-by-pool", "Tunnel", _tunnel_pools)
        store.add_index("tunnels-by-host", "Tunnel", lambda raw: tuple(hosts_of(raw)))
        store.add_index("tunnels-by-workload", "Tunnel", _workload)
        store.add_index("balancers-by-host", "LoadBalancer", lambda raw: tuple(hosts_of(raw)))
        store.add_index("balancers-by-pool", "LoadBalancer", _balancer_pools)
        store.add_index("lbpools-by-name", "LBPool", lambda raw: (_remote_name(raw),))
        store.add_index("lbpools-by-check", "LBPool", lambda raw: _ref(raw, "healthCheckRef"))
        store.add_index("lbpools-by-service", "LBPool", _services)
        store.add_index("lbpools-by-fallback", "LBPool", lambda raw: _ref(raw, "fallbackRef"))
        for kind in CHILDREN:
            store.add_index(f"{kind}-by-tunnel", kind, _tunnel_of_child)
        for kind in KINDS:
            store.add_index(f"{kind}-by-credentials", kind, self._secret_of)
        store.add_listener(self._note_unreadable)

    # -- typed access ---------------------------------------------------------------------------

    @overload
    def typed(self, kind: Literal["Tunnel"], raw: Raw) -> Tunnel | None: ...
    @overload
    def typed(self, kind: Literal["LBPool"], raw: Raw) -> LBPool | None: ...
    @overload
    def typed(self, kind: Literal["HealthCheck"], raw: Raw) -> HealthCheck | None: ...
    @overload
    def typed(self, kind: Literal["LoadBalancer"], raw: Raw) -> LoadBalancer | None: ...
    @overload
    def typed(self, kind: str, raw: Raw) -> Resource | None: ...
    def typed(self, kind: str, raw: Raw) -> Any:
        """Read a resource; None if its spec cannot be read (its own reconciliation says so)."""
        meta = raw["metadata"]
        place = (meta.get("uid", ""), meta.get("resourceVersion", ""))
        if place in self._parsed:
            self._parsed.move_to_end(place)
            return self._parsed[place]
        try:
            found: Any = parse(kind, raw)
        except InvalidResourceError:
            found = None
        self._parsed[place] = found
        if len(self._parsed) > _PARSED:
            self._parsed.popitem(last=False)
        return found

    def lbpool(self, namespace: str, name: str) -> LBPool | None:
        """Look an LBPool up by the name of the object."""
        raw = self.store.get("LBPool", namespace, name)
        return self.typed("LBPool", raw) if raw else None

    def health_check(self, namespace: str, name: str) -> HealthCheck | None:
        """Look a HealthCheck up."""
        raw = self.store.get("HealthCheck", namespace, name)
        return self.typed("HealthCheck", raw) if raw else None

    def tunnels_naming(self, namespace: str, pool: str) -> tuple[Tunnel, ...]:
        """List the Tunnels of a namespace that name a pool, oldest first."""
        raws = self.store.by("tunnels-by-pool", f"{namespace}/{pool}")
        return oldest_first(one for raw in raws if (one := self.typed("Tunnel", raw)))

    def tunnels_at(self, hostname: str) -> tuple[Tunnel, ...]:
        """List the Tunnels of a host name in any namespace, oldest first."""
        raws = self.store.by("tunnels-by-host", hostname)
        return oldest_first(one for raw in raws if (one := self.typed("Tunnel", raw)))

    def balancers_at(self, hostname: str) -> tuple[LoadBalancer, ...]:
        """List the LoadBalancers of a host name in any namespace, oldest first."""
        raws = self.store.by("balancers-by-host", hostname)
        return oldest_first(one for raw in raws if (one := self.typed("LoadBalancer", raw)))

    def lbpools_called(self, remote_name: str) -> tuple[LBPool, ...]:
        """List the LBPools that claim a remote name in any namespace, oldest first."""
        raws = self.store.by("lbpools-by-name", remote_name)
        return oldest_first(one for raw in raws if (one := self.typed("LBPool", raw)))

    def lbpools_checked_by(self, namespace: str, check: str) -> tuple[LBPool, ...]:
        """List the LBPools that refer to a HealthCheck."""
        raws = self.store.by("lbpools-by-check", f"{namespace}/{check}")
        return oldest_first(one for raw in raws if (one := self.typed("LBPool", raw)))

    def lbpools_falling_back_to(self, namespace: str, name: str) -> tuple[LBPool, ...]:
        """List the LBPools whose fallback is this one."""
        raws = self.store.by("lbpools-by-fallback", f"{namespace}/{name}")
        return oldest_first(one for raw in raws if (one := self.typed("LBPool", raw)))

    def balancers_naming(self, namespace: str, pool: str) -> tuple[LoadBalancer, ...]:
        """List the LoadBalancers that name a pool, as a pool or as the fallback."""
        raws = self.store.by("balancers-by-pool", f"{namespace}/{pool}")
        return oldest_first(one for raw in raws if (one := self.typed("LoadBalancer", raw)))

    def unreadable(self, key: Key) -> tuple[tuple[str, Raw], ...]:
        """List by kind the resources that concern a key and cannot be read: it must be left as it is."""
        return tuple((kind, raw) for kind, raw in self._unreadable.values() if key in self.keys_of(kind, raw))

    def _note_unreadable(self, kind: str, before: Raw | None, after: Raw | None) -> None:
        if kind not in KINDS:
            return
        if before is not None:
            self._unreadable.pop((kind, *_place(before)), None)
        if after is not None and self.typed(kind, after) is None:
            self._unreadable[kind, *_place(after)] = (kind, after)

    # -- names and keys -------------------------------------------------------------------------

    def remote_pool_name(self, namespace: str, name: str) -> str:
        """Tell what a pool is called at Cloudflare: an LBPool may say so, else it is the name itself."""
        raw = self.store.get("LBPool", namespace, name)
        return _remote_name(raw) if raw else name

    def secret_of(self, resource: Tunnel | LBPool | HealthCheck | LoadBalancer) -> SecretRef:
        """Find the Secret that a resource is worked on with."""
        ref = resource.spec.credentials_ref
        return self._credentials.ref(resource.metadata.namespace, ref.name if ref else None)

    def pool_key(self, namespace: str, name: str, secret: SecretRef) -> PoolKey:
        """Build the key of a pool as a resource with these credentials names it."""
        return PoolKey(self._credentials.account_id(secret), self.remote_pool_name(namespace, name))

    def claims(self, remote_name: str, account: str) -> tuple[Tunnel | LBPool, ...]:
        """List who claims a remote pool name in an account: LBPools and Tunnels that name no LBPool."""
        found: list[Tunnel | LBPool] = [
            one for one in self.lbpools_called(remote_name) if self._in(one, account)
        ]
        for raw in self.store.by("tunnels-by-pool", remote_name):
            tunnel = self.typed("Tunnel", raw)
            described = tunnel and self.store.get("LBPool", tunnel.metadata.namespace, remote_name)
            if tunnel and not described and self._in(tunnel, account):
                found.append(tunnel)
        return oldest_first(found)

    def keys_of(self, kind: str, raw: Raw) -> set[Key]:
        """Tell which aggregates a resource or a child concerns."""
        meta = raw["metadata"]
        namespace, name = meta.get("namespace", ""), meta["name"]
        if kind in CHILDREN or kind == "StatefulSet":
            owner = (meta.get("labels") or {}).get(TUNNEL_LABEL)
            if not owner:
                return self._followers(kind, namespace, name)
            keys: set[Key] = {TunnelKey(namespace, owner)}
            tunnel = self.store.get("Tunnel", namespace, owner)
            return keys | (self.keys_of("Tunnel", tunnel) if tunnel and kind == "Pod" else set())
        match kind:
            case "Tunnel":
                return {TunnelKey(namespace, name), *self._pools_and_hosts(raw)}
            case "LBPool":
                return {*self._around_pool(namespace, name, raw)}
            case "Service":
                users = self.store.by("lbpools-by-service", f"{namespace}/{name}")
                return {key for pool in users for key in self._around_pool(*_place(pool), pool)}
            case "HealthCheck":
                pools = self.lbpools_checked_by(namespace, name)
                return {MonitorKey(namespace, name), *(self._key(pool) for pool in pools)}
            case "LoadBalancer":
                return {HostKey(canonical_hostname(raw["spec"]["hostname"])), *self._pools_of_balancer(raw)}
            case _:
                return set()

    def _followers(self, kind: str, namespace: str, name: str) -> set[Key]:
        """Tell which aggregates a workload concerns: its Tunnels, their pools and host names."""
        tunnels = self.store.by("tunnels-by-workload", f"{kind}/{namespace}/{name}")
        return {key for tunnel in tunnels for key in self.keys_of("Tunnel", tunnel)}

    def neighbours(self, key: Key) -> set[Key]:
        """Tell which aggregates look at this one."""
        found: set[Key] = set()
        match key:
            case TunnelKey(namespace=namespace, name=name):
                raw = self.store.get("Tunnel", namespace, name)
                found |= self.keys_of("Tunnel", raw) if raw else set()
            case MonitorKey(namespace=namespace, name=name):
                found |= {self._key(pool) for pool in self.lbpools_checked_by(namespace, name)}
            case PoolKey(name=name):
                for lbpool in self.lbpools_called(name):
                    meta = lbpool.metadata
                    raw = self.store.get("LBPool", meta.namespace, meta.name)
                    found |= self.keys_of("LBPool", raw) if raw else set()
                for raw in self.store.by("tunnels-by-pool", name):
                    found |= self.keys_of("Tunnel", raw)
            case HostKey(hostname=hostname):
                for raw in self.store.by("tunnels-by-host", hostname):
                    found |= self.keys_of("Tunnel", raw)
                for raw in self.store.by("balancers-by-host", hostname):
                    found |= self.keys_of("LoadBalancer", raw)
        return found - {key}

    def keys_with(self, secret: SecretRef) -> set[Key]:
        """Tell which aggregates are worked on with a Secret."""
        found: set[Key] = set()
        for kind in KINDS:
            for raw in self.store.by(f"{kind}-by-credentials", f"{secret.namespace}/{secret.name}"):
                found |= self.keys_of(kind, raw)
        return found

    # -- details --------------------------------------------------------------------------------

    def _in(self, resource: Tunnel | LBPool, account: str) -> bool:
        return self._credentials.account_id(self.secret_of(resource)) == account

    def _key(self, pool: LBPool) -> PoolKey:
        return PoolKey(self._credentials.account_id(self.secret_of(pool)), pool.pool_name)

    def _secret_of(self, raw: Raw) -> tuple[str, ...]:
        ref = (raw.get("spec") or {}).get("credentialsRef") or {}
        secret = self._credentials.ref(raw["metadata"].get("namespace", ""), ref.get("name"))
        return (f"{secret.namespace}/{secret.name}",)

    def _raw_pool_key(self, raw: Raw, name: str) -> PoolKey:
        ref = (raw.get("spec") or {}).get("credentialsRef") or {}
        namespace = raw["metadata"].get("namespace", "")
        return self.pool_key(namespace, name, self._credentials.ref(namespace, ref.get("name")))

    def _pools_and_hosts(self, raw: Raw) -> Iterator[Key]:
        namespace = raw["metadata"]["namespace"]
        for hostname, pool in hosts_of(raw).items():
            yield HostKey(hostname)
            if not pool:
                continue
            yield self._raw_pool_key(raw, pool)
            lbpool = self.store.get("LBPool", namespace, pool)
            check = ((lbpool or {}).get("spec") or {}).get("healthCheckRef")
            if check:
                yield MonitorKey(namespace, check["name"])

    def _around_pool(self, namespace: str, name: str, raw: Raw) -> Iterator[Key]:
        yield self._raw_pool_key(raw, name)
        yield PoolKey(self._raw_pool_key(raw, name).account, _remote_name(raw))
        check = (raw.get("spec") or {}).get("healthCheckRef")
        if check:
            yield MonitorKey(namespace, check["name"])
        for tunnel in self.tunnels_naming(namespace, name):
            yield TunnelKey(namespace, tunnel.metadata.name)
            yield HostKey(canonical_hostname(tunnel.spec.hostname_in(name)))
        for balancer in self.balancers_naming(namespace, name):
            yield HostKey(canonical_hostname(balancer.spec.hostname))
        fallback = (raw.get("spec") or {}).get("fallbackRef")
        if fallback:
            yield self._raw_pool_key(raw, fallback["name"])
        for user in self.lbpools_falling_back_to(namespace, name):
            for tunnel in self.tunnels_naming(namespace, user.metadata.name):
                yield HostKey(canonical_hostname(tunnel.spec.hostname_in(user.metadata.name)))

    def _pools_of_balancer(self, raw: Raw) -> Iterator[Key]:
        namespace = raw["metadata"].get("namespace", "")
        for place in _balancer_pools(raw):
            yield self._raw_pool_key(raw, place.removeprefix(f"{namespace}/"))


def oldest_first(resources: Iterable[R]) -> tuple[R, ...]:
    """Order by age, then namespace and name: who came first wins."""
    return tuple(sorted(resources, key=_age))


def place_of(resource: Resource) -> tuple[str, str]:
    """Tell namespace and name."""
    return resource.metadata.namespace, resource.metadata.name


def first_claim(claims: Sequence[Resource]) -> tuple[str, str]:
    """Name the namespace of the oldest claim, and the claim in words; empty if there is none."""
    return (claims[0].metadata.namespace, str(claims[0])) if claims else ("", "")


def _age(resource: Resource) -> tuple[float, str, str]:
    meta = resource.metadata
    created = meta.creation_timestamp.timestamp() if meta.creation_timestamp else float("inf")
    return created, meta.namespace, meta.name


def _place(raw: Raw) -> tuple[str, str]:
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]


def _remote_name(raw: Raw) -> str:
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


def _tunnel_pools(raw: Raw) -> tuple[str, ...]:
    namespace = raw["metadata"].get("namespace", "")
    pools = [pool for pool in hosts_of(raw).values() if pool]
    return tuple(place for pool in pools for place in (pool, f"{namespace}/{pool}"))


def _balancer_pools(raw: Raw) -> tuple[str, ...]:
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


def _ref(raw: Raw, field: str) -> tuple[str, ...]:
    ref = (raw.get("spec") or {}).get(field)
    return (f"{raw['metadata'].get('namespace', '')}/{ref['name']}",) if ref else ()


def _services(raw: Raw) -> tuple[str, ...]:
    refs = [one.get("serviceRef") for one in (raw.get("spec") or {}).get("origins") or ()]
    return tuple(f"{raw['metadata'].get('namespace', '')}/{ref['name']}" for ref in refs if ref)


def _workload(raw: Raw) -> tuple[str, ...]:
    ref = (raw.get("spec") or {}).get("workloadRef")
    if not ref:
        return ()
    return (f"{ref.get('kind', 'Deployment')}/{raw['metadata'].get('namespace', '')}/{ref['name']}",)


def _tunnel_of_child(raw: Raw) -> tuple[str, ...]:
    meta = raw["metadata"]
    owner = (meta.get("labels") or {}).get(TUNNEL_LABEL)
    return (f"{meta.get('namespace', '')}/{owner}",) if owner else ()
