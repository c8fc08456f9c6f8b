"""The resources that a run is about: so many Tunnels, pools, host names and health checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

ZONE = "example.com"
NAMESPACE = "default"
API_VERSION = "tunnelpool.dev/v1alpha1"
POOLS_OF_A_CHECK = 10
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Tunnels spread evenly over pools; each pool has a host name with a LoadBalancer of its own."""

    tunnels: int
    """Of `replicas` replicas."""
    replicas: int
    pools: int
    singles: int = 0
    """Further Tunnels of one replica."""

    @property
    def slots(self) -> list[int]:
        """How many tunnels each Tunnel has at Cloudflare."""
        return [self.replicas] * self.tunnels + [1] * self.singles

    @property
    def origins(self) -> int:
        """How many tunnels there are at Cloudflare, each an origin."""
        return sum(self.slots)

    @property
    def checks(self) -> int:
        """How many HealthChecks: one is shared by ten pools."""
        return -(-self.pools // POOLS_OF_A_CHECK)

    @property
    def resources(self) -> int:
        """How many custom resources."""
        return self.tunnels + self.singles + 2 * self.pools + self.checks

    @property
    def least_writes(self) -> int:
        """How many writes Cloudflare needs at least: two for a tunnel, one for each other object."""
        return 2 * self.origins + 2 * self.pools + self.checks

    def __str__(self) -> str:
        """Tell the size as the table does."""
        return (
            f"{self.resources:,} resources: {len(self.slots):,} Tunnels ({self.origins:,} tunnels), "
            f"{self.pools:,} pools, {self.pools:,} load balancers, {self.checks:,} health checks"
        )

    def with_resources(self, count: int) -> Fleet:
        """Add Tunnels of one replica until there are so many resources."""
        return replace(self, singles=self.singles + max(0, count - self.resources))

    def manifests(self) -> Iterator[tuple[str, Json]]:
        """Write every resource, with the plural of its kind."""
        for number in range(self.checks):
            yield "healthchecks", _resource("HealthCheck", check_name(number), {"path": "/"})
        for number in range(self.pools):
            check = {"name": check_name(number // POOLS_OF_A_CHECK)}
            yield "lbpools", _resource("LBPool", pool_name(number), {"healthCheckRef": check})
            balancer = {"hostname": hostname(number), "pools": [pool_name(number)]}
            yield "loadbalancers", _resource("LoadBalancer", pool_name(number), balancer)
        for number, replicas in enumerate(self.slots):
            pool = number % self.pools
            spec = {
                "hostname": hostname(pool),
                "service": "http://web.default.svc:8080",
                "pool": pool_name(pool),
                "replicas": replicas,
            }
            yield "tunnels", _resource("Tunnel", tunnel_name(number), spec)


def tunnel_name(number: int) -> str:
    """Name a Tunnel."""
    return f"t-{number:04}"


def pool_name(number: int) -> str:
    """Name a pool, and the LoadBalancer of its host name."""
    return f"p-{number:03}"


def check_name(number: int) -> str:
    """Name a HealthCheck."""
    return f"c-{number:02}"


def hostname(pool: int) -> str:
    """Name the host name that a pool answers for."""
    return f"h-{pool:03}.{ZONE}"


def _resource(kind: str, name: str, spec: Json) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
