"""Where each kind of object that tunnelpool touches stands in the Kubernetes API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "tunnelpool"
SELECTOR: Final = f"{MANAGED_BY}={MANAGER}"
"""Label selector of what tunnelpool makes in the cluster."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A namespaced kind: its names, and whether it is watched by label only."""

    name: str
    group: str
    version: str
    plural: str
    selector: str = ""
    """Label selector for lists and watches; empty for all objects of the kind."""

    @property
    def api_version(self) -> str:
        """Write group and version as manifests do."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Write the URL path of all objects, those of a namespace, one object or its subresource."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


TUNNEL: Final = Kind("Tunnel", "tunnelpool.dev", "v1alpha1", "tunnels")
LB_POOL: Final = Kind("LBPool", "tunnelpool.dev", "v1alpha1", "lbpools")
HEALTH_CHECK: Final = Kind("HealthCheck", "tunnelpool.dev", "v1alpha1", "healthchecks")
LOAD_BALANCER: Final = Kind("LoadBalancer", "tunnelpool.dev", "v1alpha1", "loadbalancers")
# All of them, since a Tunnel may follow any; `keeping` says what is kept of those that are not ours.
DEPLOYMENT: Final = Kind("Deployment", "apps", "v1", "deployments")
STATEFUL_SET: Final = Kind("StatefulSet", "apps", "v1", "statefulsets")
SERVICE: Final = Kind("Service", "", "v1", "services")
SECRET: Final = Kind("Secret", "", "v1", "secrets", SELECTOR)
DISRUPTION_BUDGET: Final = Kind("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets", SELECTOR)
POD: Final = Kind("Pod", "", "v1", "pods", SELECTOR)
CONFIG_MAP: Final = Kind("ConfigMap", "", "v1", "configmaps")
EVENT: Final = Kind("Event", "events.k8s.io", "v1", "events")
LEASE: Final = Kind("Lease", "coordination.k8s.io", "v1", "leases")

WATCHED: Final = (
    TUNNEL,
    LB_POOL,
    HEALTH_CHECK,
    LOAD_BALANCER,
    DEPLOYMENT,
    SECRET,
    DISRUPTION_BUDGET,
    POD,
    STATEFUL_SET,
    SERVICE,
)
"""What the store holds: our own kinds first, since they say what the others are for."""

KINDS: Final = {kind.name: kind for kind in (*WATCHED, CONFIG_MAP, EVENT)}
"""Every kind by the name that manifests use."""
