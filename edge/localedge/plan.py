"""What an account may do: the limits of Cloudflare's plans (Load Balancing)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class PlanName(StrEnum):
    """The plans by the names that Cloudflare gives them."""

    PRO = "pro"
    BUSINESS = "business"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, slots=True)
class Plan:
    """Limits of load balancing. Without the add-on all counts are 0."""

    name: PlanName
    min_interval_s: int
    pools: int
    origins: int
    """Endpoints in the whole account, and so the most in one pool."""
    load_balancers: int
    monitors: int
    steering_policies: frozenset[str]
    may_probe_everywhere: bool
    """`check_regions: null`, every data centre, is for Enterprise."""
    rules: int
    """Rules of one load balancer."""
    affinity_headers: int
    """Headers that session affinity may go by."""

    def without_load_balancing(self) -> Plan:
        """Return the same plan, the add-on not bought."""
        return replace(self, pools=0, origins=0, load_balancers=0)


_PRO = Plan(
    PlanName.PRO,
    min_interval_s=60,
    pools=20,
    origins=20,
    load_balancers=20,
    monitors=30,
    steering_policies=frozenset({"off", "random"}),
    may_probe_everywhere=False,
    rules=1,
    affinity_headers=1,
)
# By contract; these are large enough for any test and still end.
_ENTERPRISE = Plan(
    PlanName.ENTERPRISE,
    min_interval_s=10,
    pools=5_000,
    origins=50_000,
    load_balancers=5_000,
    monitors=7_500,
    steering_policies=frozenset(
        {
            "off",
            "geo",
            "random",
            "dynamic_latency",
            "proximity",
            "least_outstanding_requests",
            "least_connections",
        }
    ),
    may_probe_everywhere=True,
    rules=1_000,
    affinity_headers=5,
)
PLANS: dict[PlanName, Plan] = {
    PlanName.PRO: _PRO,
    PlanName.BUSINESS: replace(_PRO, name=PlanName.BUSINESS, min_interval_s=15),
    PlanName.ENTERPRISE: _ENTERPRISE,
}
