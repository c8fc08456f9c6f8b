"""Who refers to whom among the resources, from indices: no question here looks at all objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, TypeVar, overload

from tunnelpool.build.manifests import TUNNEL_LABEL
from tunnelpool.crd.base import Resource
from tunnelpool.crd.parsing import InvalidResourceError, parse
from tunnelpool.crd.v1alpha1 import HealthCheck, LBPool, LoadBalancer, Tunnel
from tunnelpool.domain.hostname_policy import NO_POLICY, HostnamePolicy
from tunnelpool.domain.hostnames import canonical_hostname
from tunnelpool.domain.keys import HostKey, Key, MonitorKey, PoolKey, TunnelKey
from tunnelpool.domain.reasons import Problem
from tunnelpool.engine.credentials import Credentials, SecretRef
from tunnelpool.engine.references import (
    hosts_of,
    place_of_raw,
    pools_of_balancer,
    pools_of_tunnel,
    referred,
    remote_name_of,
    services_of,
    tunnel_of_child,
    workload_of,
)
from tunnelpool.engine.store import Raw, Store

KINDS: Final = ("Tunnel", "LBPool", "HealthCheck", "LoadBalancer")
CHILDREN: Final = ("Deployment", "Secret", "PodDisruptionBudget", "Pod")
R = TypeVar("R", bound=Resource)


class Topology:
    """Typed resources and their references, and the keys that a change concerns."""

    def __init__(self, store: Store, credentials: Credentials, policy: HostnamePolicy = NO_POLICY) -> None:
        self.store = store
        self._policy = policy
        self._credentials = credentials
        self._parsed: dict[str, tuple[str, Any]] = {}
        """By uid: a version, and what it reads as. Of an older one nobody asks again."""
        self._unreadable: dict[tuple[str, str, str], tuple[str, Raw]] = {}
        store.add_index("tunnels-by-pool", "Tunnel", pools_of_tunnel)
        store.add_index("tunnels-by-host", "Tunnel", lambda raw: tuple(hosts_of(raw)))
        store.add_index("tunnels-by-workload", "Tunnel", workload_of)
        store.add_index("balancers-by-host", "LoadBalancer", lambda raw: tuple(hosts_of(raw)))
        store.add_index("balancers-by-pool", "LoadBalancer", pools_of_balancer)
        store.add_index("lbpools-by-name", "LBPool", lambda raw: (remote_name_of(raw),))
        store.add_index("lbpools-by-check", "LBPool", lambda raw: referred(raw, "healthCheckRef"))
        store.add_index("lbpools-by-service", "LBPool", services_of)
        store.add_index("lbpools-by-fallback", "LBPool", lambda raw: referred(raw, "fallbackRef"))
        for kind in CHILDREN:
            store.add_index(f"{kind}-by-tunnel", kind, tunnel_of_child)
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
        uid, version = meta.get("uid", ""), meta.get("resourceVersion", "")
        known = self._parsed.get(uid)
        if known is not None and known[0] == version:
            return known[1]
        try:
            found: Any = parse(kind, raw)
        except InvalidResourceError:
            found = None
        self._parsed[uid] = (version, found)
        return found

    def lbpool(self, namespace: str, name: str) -> LBPool | None:
        """Look an LBPool up as resources name it: by the object's name, else by that of its pool."""
        raw = self.store.get("LBPool", namespace, name)
        if raw is not None:
            return self.typed("LBPool", raw)
        here = (one for one in self.lbpools_called(name) if one.metadata.namespace == namespace)
        return next((one for one in here if not one.deleting), None)

    def health_check(self, namespace: str, name: str) -> HealthCheck | None:
        """Look a HealthCheck up."""
        raw = self.store.get("HealthCheck", namespace, name)
        return self.typed("HealthCheck", raw) if raw else None

    def tunnels_naming(self, namespace: str, pool: str) -> tuple[Tunnel, ...]:
        """List the Tunnels of a namespace that name a pool, oldest first."""
        raws = self.store.by("tunnels-by-pool", f"{namespace}/{pool}")
        return oldest_first(one for raw in raws if (one := self.typed("Tunnel", raw)))

    def tunnels_joining(self, namespace: str, remote_name: str) -> tuple[tuple[Tunnel, str], ...]:
        """List the Tunnels of a namespace that join a pool, oldest first, each with its name for the pool.

        A pool cannot hold one tunnel twice: of two names for it the first counts.
        """
        found: dict[tuple[str, str], tuple[Tunnel, str]] = {}
        called = {
            one.metadata.name for one in self.lbpools_called(remote_name) if place_of(one)[0] == namespace
        }
        for local in sorted({*called, remote_name}):
            if self.remote_pool_name(namespace, local) == remote_name:
                for one in self.tunnels_naming(namespace, local):
                    found.setdefault(place_of(one), (one, local))
        return tuple(found[place_of(one)] for one in oldest_first(one for one, _ in found.values()))

    def tunnels_at(self, hostname: str) -> tuple[Tunnel, ...]:
        """List the Tunnels of a host name in any namespace, oldest first."""
        raws = self.store.by("tunnels-by-host", hostname)
        return oldest_first(one for raw in raws if (one := self.typed("Tunnel", raw)))

    def hostnames(self) -> frozenset[str]:
        """List the host names that Tunnels and LoadBalancers claim."""
        return self.store.values("tunnels-by-host") | self.store.values("balancers-by-host")

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
        return tuple(
            (kind, raw) for kind, raw in self._unreadable.values() if key in self._own_keys(kind, raw)
        )

    def _note_unreadable(self, kind: str, before: Raw | None, after: Raw | None) -> None:
        if kind not in KINDS:
            return
        if before is not None:
            self._unreadable.pop((kind, *place_of_raw(before)), None)
            if after is None or after["metadata"].get("uid") != before["metadata"].get("uid"):
                self._parsed.pop(before["metadata"].get("uid", ""), None)
        if after is not None and self.typed(kind, after) is None:
            self._unreadable[kind, *place_of_raw(after)] = (kind, after)

    # -- names and keys -------------------------------------------------------------------------

    def remote_pool_name(self, namespace: str, name: str) -> str:
        """Tell what a pool is called at Cloudflare: an LBPool may say so, else it is the name itself."""
        raw = self.store.get("LBPool", namespace, name)
        return remote_name_of(raw) if raw else name

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
        return oldest_first(self._allowed(found, lambda one: _joining(one, remote_name)))

    def claims_at(self, hostname: str) -> tuple[Tunnel | LoadBalancer, ...]:
        """List who claims a host name, oldest first; whoever may not does not count beside one who may."""
        found: tuple[Tunnel | LoadBalancer, ...] = (
            *self.balancers_at(hostname),
            *self.tunnels_at(hostname),
        )
        return oldest_first(self._allowed(found, lambda _: hostname))

    def refusal(self, claim: Resource, *hostnames: str) -> Problem | None:
        """Say which of these host names a resource may not claim; None if it may claim all of them."""
        return self._policy.refusal(claim.metadata.namespace, hostnames)

    def _allowed(self, claims: Sequence[R], at: Callable[[R], str]) -> Sequence[R]:
        """Leave those out who may not claim the host name, unless there are no others.

        Then what they have brought is still theirs: it must not be taken for what nobody wants.
        """
        counting = [
            one for one in claims if not at(one) or self._policy.allows(one.metadata.namespace, at(one))
        ]
        return counting or claims

    def keys_of(self, kind: str, raw: Raw) -> set[Key]:
        """Tell which aggregates a resource or a child concerns, those of its rivals among them."""
        return self._own_keys(kind, raw) | self._rivals(kind, raw)

    def _rivals(self, kind: str, raw: Raw) -> set[Key]:
        """Tell which Tunnels of other namespaces claim the same: when this one goes they may begin."""
        if kind not in {"Tunnel", "LBPool", "LoadBalancer"}:
            return set()
        namespace, _ = place_of_raw(raw)
        hosts = {} if kind == "LBPool" else hosts_of(raw)
        pools = (
            {remote_name_of(raw)}
            if kind == "LBPool"
            else {self.remote_pool_name(namespace, pool) for pool in hosts.values() if pool}
        )
        account = self._raw_pool_key(raw, "").account
        found = [one for host in hosts for one in self.store.by("tunnels-by-host", host)]
        for pool in pools:
            joined = self.store.by("tunnels-by-pool", pool)
            # In another account a pool of that name is another pool.
            found += [one for one in joined if self._raw_pool_key(one, "").account == account]
        return {TunnelKey(*place_of_raw(one)) for one in found if one["metadata"]["namespace"] != namespace}

    def _own_keys(self, kind: str, raw: Raw) -> set[Key]:
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
                return {key for pool in users for key in self._around_pool(*place_of_raw(pool), pool)}
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
        yield PoolKey(self._raw_pool_key(raw, name).account, remote_name_of(raw))
        check = (raw.get("spec") or {}).get("healthCheckRef")
        if check:
            yield MonitorKey(namespace, check["name"])
        for local in {name, remote_name_of(raw)}:
            for tunnel in self.tunnels_naming(namespace, local):
                yield TunnelKey(namespace, tunnel.metadata.name)
                yield HostKey(canonical_hostname(tunnel.spec.hostname_in(local)))
            for balancer in self.balancers_naming(namespace, local):
                yield HostKey(canonical_hostname(balancer.spec.hostname))
        fallback = (raw.get("spec") or {}).get("fallbackRef")
        if fallback:
            yield self._raw_pool_key(raw, fallback["name"])
        for user in self.lbpools_falling_back_to(namespace, name):
            for tunnel in self.tunnels_naming(namespace, user.metadata.name):
                yield HostKey(canonical_hostname(tunnel.spec.hostname_in(user.metadata.name)))

    def _pools_of_balancer(self, raw: Raw) -> Iterator[Key]:
        namespace = raw["metadata"].get("namespace", "")
        for place in pools_of_balancer(raw):
            yield self._raw_pool_key(raw, place.removeprefix(f"{namespace}/"))


def oldest_first(resources: Iterable[R]) -> tuple[R, ...]:
    """Order by age, then namespace and name: who came first wins."""
    return tuple(sorted(resources, key=_age))


def _joining(claim: Tunnel | LBPool, pool: str) -> str:
    """Name the host name by which a pool is joined; an LBPool claims a pool and no host name."""
    return claim.spec.hostname_in(pool) if isinstance(claim, Tunnel) else ""


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
