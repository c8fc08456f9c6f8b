"""`tunnelpool release`: lift our finalizers, for an operator that is gone or an account that is lost.

What is at Cloudflare stays there: nobody is left to delete it, so it is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tunnelpool.build.snapshot import FINALIZER
from tunnelpool.commands.reach import Reach, list_all, list_resources
from tunnelpool.domain.errors import NotFoundError, StaleError
from tunnelpool.domain.kinds import DEPLOYMENT, HEALTH_CHECK, KINDS, LB_POOL, LOAD_BALANCER, TUNNEL
from tunnelpool.engine.store import Raw
from tunnelpool.plan.finalizer import remove_finalizer

_TRIES: Final = 4
"""Without the label of connectors."""


@dataclass(frozen=True, slots=True)
class Held:
    """A resource with our finalizer, and what of it stays at Cloudflare, in words."""

    raw: Raw
    remains: tuple[str, ...]

    @property
    def title(self) -> str:
        """Kind, namespace and name."""
        meta = self.raw["metadata"]
        return f"{self.raw['kind']} {meta['namespace']}/{meta['name']}"

    @property
    def deleting(self) -> bool:
        """Tell whether it goes as soon as the finalizer does."""
        return "deletionTimestamp" in self.raw["metadata"]


async def held(there: Reach, namespace: str) -> tuple[Held, ...]:
    """List the resources with our finalizer in a namespace, or in all if it is empty.

    Raises:
        ApiError: they cannot be listed.

    """
    kinds = (TUNNEL, LB_POOL, HEALTH_CHECK, LOAD_BALANCER)
    raws = await list_resources(there.cluster, kinds, namespace)
    ours = [raw for raw in raws if FINALIZER in (raw["metadata"].get("finalizers") or ())]
    return tuple(Held(raw, tuple(_remains(raw))) for raw in sorted(ours, key=_order))


async def running_operator(there: Reach, namespace: str) -> bool:
    """Tell whether an operator runs in a namespace: it would put the finalizers back."""
    return any(
        (one.get("status") or {}).get("readyReplicas")
        for one in await list_all(there.cluster, DEPLOYMENT, namespace)
        if "TUNNELPOOL_NAMESPACE" in _variables(one)
    )


async def lift(there: Reach, one: Held) -> bool:
    """Take our finalizer off a resource; False if it is gone or has none any more.

    Raises:
        ApiError: the cluster refuses, or the resource changes faster than it can be written.

    """
    raw = one.raw
    for attempt in range(_TRIES):
        step = remove_finalizer(str(raw["kind"]), raw, FINALIZER)
        if step is None:
            return False
        try:
            await there.cluster.execute(step)
        except StaleError:
            if attempt == _TRIES - 1:
                raise
            meta = raw["metadata"]
            try:
                found = await there.client.request(
                    "GET", KINDS[str(raw["kind"])].path(meta["namespace"], meta["name"])
                )
            except NotFoundError:
                return False
            raw = {**found, "kind": raw["kind"]}
        else:
            return True
    return False


def _remains(raw: Raw) -> Iterator[str]:
    """Name what the status says is at Cloudflare."""
    status: dict[str, Any] = dict(raw.get("status") or {})
    id_ = status.get("id")
    match raw["kind"]:
        case "Tunnel":
            for origin in status.get("origins") or ():
                yield f"tunnel '{origin['name']}' ({origin['tunnelID']})"
            own = {**status, "hostname": raw["spec"]["hostname"]}
            if not raw["spec"].get("pool") and status.get("origins"):
                own.setdefault("answeredBy", "CNAME")
            for host in (own, *(status.get("furtherHosts") or ())):
                yield from _remains_of(host)
        case "LBPool" if id_:
            yield f"pool '{status.get('name')}' ({id_})"
        case "HealthCheck" if id_:
            yield f"monitor of '{raw['metadata']['namespace']}/{raw['metadata']['name']}' ({id_})"
        case "LoadBalancer" if id_:
            yield f"load balancer '{raw['spec']['hostname']}' ({id_})"


def _remains_of(host: Mapping[str, Any]) -> Iterator[str]:
    pool, balancer = host.get("pool") or {}, host.get("loadBalancer") or {}
    if pool.get("id"):
        yield f"pool '{pool.get('name')}' ({pool['id']})"
    if balancer.get("id"):
        yield f"load balancer '{host['hostname']}' ({balancer['id']})"
    elif host.get("answeredBy") == "CNAME":
        yield f"DNS record '{host['hostname']}'"


def what_stays(ones: Iterable[Held]) -> tuple[str, ...]:
    """List what stays at Cloudflare, each thing once."""
    return tuple(sorted({thing for one in ones for thing in one.remains}))


def _variables(deployment: Raw) -> set[str]:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return {variable["name"] for one in containers for variable in one.get("env") or ()}


def _order(raw: Raw) -> tuple[str, str, str]:
    return str(raw["kind"]), raw["metadata"]["namespace"], raw["metadata"]["name"]
