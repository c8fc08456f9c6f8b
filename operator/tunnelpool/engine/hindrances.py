"""What keeps a Tunnel that is being deleted: failures around it, and objects that are not ours."""

from __future__ import annotations

from collections.abc import Mapping

from tunnelpool.build.sharing import takes_part
from tunnelpool.crd.v1alpha1 import Tunnel
from tunnelpool.domain.hostnames import canonical_hostname
from tunnelpool.domain.keys import HostKey, Key, PoolKey, TunnelKey
from tunnelpool.domain.ownership import Owner
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.engine.gather.gatherer import Gatherer
from tunnelpool.engine.topology import Topology


async def hindrance(
    tunnel: Tunnel, topology: Topology, gatherer: Gatherer, failures: Mapping[Key, Problem], owner: Owner
) -> Problem | None:
    """Find why a Tunnel is not gone: an attempt has failed, or somebody's object refers to its pool."""
    meta, secret = tunnel.metadata, topology.secret_of(tunnel)
    pools = [topology.pool_key(meta.namespace, pool, secret) for pool in tunnel.spec.hosts.values() if pool]
    hosts = [HostKey(canonical_hostname(hostname)) for hostname in tunnel.spec.hosts]
    keys: list[Key] = [TunnelKey(meta.namespace, meta.name), *hosts, *pools]
    for key in keys:
        if key in failures:
            return failures[key]
    for pool in pools:
        problem = await _referred(pool, gatherer, owner)
        if problem is not None:
            return problem
    return None


async def _referred(key: PoolKey, gatherer: Gatherer, owner: Owner) -> Problem | None:
    snapshot, _ = await gatherer.pool(key)
    if any(not member.tunnel.deleting for member in snapshot.members):
        return None  # the pool stays, with a load balancer or without
    names = [f"'{one.value.name}'" for one in snapshot.referrers if not takes_part(one.value, owner)]
    if not names:
        return None
    message = (
        f"load balancer {', '.join(names)} at Cloudflare, which is not ours, refers to pool '{key.name}'"
    )
    return Problem(Reason.DELETION_BLOCKED, f"{message}: delete or change that first")
