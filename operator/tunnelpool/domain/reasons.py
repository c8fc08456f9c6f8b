"""Reasons: why a resource is not ready, in one table that the documentation is checked against."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """The `reason` of a condition."""

    READY = "Ready"
    PENDING = "Pending"
    INVALID_SPEC = "InvalidSpec"
    SUSPENDED = "Suspended"
    CREDENTIALS_MISSING = "CredentialsMissing"
    CREDENTIALS_INVALID = "CredentialsInvalid"
    MISSING_PERMISSION = "MissingPermission"
    LOAD_BALANCING_NOT_ENABLED = "LoadBalancingNotEnabled"
    PLAN_LIMIT = "PlanLimit"
    HOST_NOT_ALLOWED = "HostNotAllowed"
    REFUSED = "RefusedByCloudflare"
    RATE_LIMITED = "RateLimited"
    CLOUDFLARE_UNAVAILABLE = "CloudflareUnavailable"
    CLUSTER_REFUSED = "ClusterRefused"
    RESTLESS = "Restless"
    ZONE_NOT_FOUND = "ZoneNotFound"
    HOSTNAME_NOT_ALLOWED = "HostnameNotAllowed"
    HOSTNAME_IN_USE = "HostnameInUse"
    NAME_IN_USE = "NameInUse"
    CLUSTER_NAME_TAKEN = "ClusterNameTaken"
    CONFLICT = "Conflict"
    POOL_NAMED_TWICE = "PoolNamedTwice"
    MIXED_POOL = "MixedPool"
    PROXY_REQUIRED = "ProxyRequired"
    NO_ORIGINS = "NoOrigins"
    FOLLOWING = "Following"
    WORKLOAD_NOT_FOUND = "WorkloadNotFound"
    TOO_MANY_REPLICAS = "TooManyReplicas"
    WAITING_FOR_CONNECTORS = "WaitingForConnectors"
    WAITING_FOR_HEALTH = "WaitingForHealth"
    WAITING_FOR_POOL = "WaitingForPool"
    WAITING_FOR_HEALTH_CHECK = "WaitingForHealthCheck"
    BELOW_THRESHOLD = "BelowThreshold"
    WAITING_FOR_ADDRESS = "WaitingForAddress"
    SERVICE_NOT_FOUND = "ServiceNotFound"
    NOT_A_LOAD_BALANCER = "NotALoadBalancer"
    ADDRESS_TWICE = "AddressTwice"
    HEALTH_CHECK_NOT_FOUND = "HealthCheckNotFound"
    HEALTH_CHECK_NOT_SUPPORTED = "HealthCheckNotSupported"
    FALLBACK_NOT_FOUND = "FallbackNotFound"
    POOL_NOT_FOUND = "PoolNotFound"
    TLS_REQUIRED = "TLSRequired"
    DRAINING = "Draining"
    DELETING = "Deleting"
    DELETION_BLOCKED = "DeletionBlocked"
    TLS_ENFORCED = "TLSEnforced"
    TLS_NOT_ENFORCED = "TLSNotEnforced"
    TLS_UNKNOWN = "TLSUnknown"
    THRESHOLD_NEEDS_HEALTH_CHECK = "ThresholdNeedsHealthCheck"
    THRESHOLD_TOO_HIGH = "ThresholdTooHigh"
    NO_HEALTH_CHECK = "NoHealthCheck"
    DRIFTED = "Drifted"
    IN_SYNC = "InSync"
    SETTINGS_DIFFER = "SettingsDiffer"
    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    UNKNOWN = "Unknown"


EXPLANATIONS: Final[dict[Reason, str]] = {
    Reason.READY: "Everything is as the resource asks.",
    Reason.PENDING: "The operator has seen the resource and is at work on it.",
    Reason.INVALID_SPEC: "The spec cannot be read; the message says where. Apply a correct one.",
    Reason.SUSPENDED: (
        "`suspend` is true: nothing is written for the resource. Take the field away to go on."
    ),
    Reason.CREDENTIALS_MISSING: (
        "The Secret with `apiToken` and `accountId` is not there or lacks a key. Create it, or name another."
    ),
    Reason.CREDENTIALS_INVALID: "Cloudflare does not accept the API token. Put a valid one into the Secret.",
    Reason.MISSING_PERMISSION: (
        "The API token lacks the permission that the message names. Add it to the token."
    ),
    Reason.LOAD_BALANCING_NOT_ENABLED: (
        "The account has not bought Load Balancing. Enable it in the dashboard, or use the Tunnel without "
        "a pool."
    ),
    Reason.PLAN_LIMIT: (
        "The plan or the subscription of the Cloudflare account does not allow it; the message says what it "
        "allows. Correct the spec, or upgrade."
    ),
    Reason.HOST_NOT_ALLOWED: (
        "A Host header must belong to a zone of the account, or equal the origin's address."
    ),
    Reason.REFUSED: "Cloudflare refuses the object; the message is Cloudflare's. Correct the spec.",
    Reason.RATE_LIMITED: "The token's budget of API calls is spent; the operator goes on by itself.",
    Reason.CLOUDFLARE_UNAVAILABLE: "Cloudflare's API does not answer; the operator tries again by itself.",
    Reason.CLUSTER_REFUSED: "The Kubernetes API refuses or does not answer; the message is its own.",
    Reason.RESTLESS: (
        "The same write was needed again and again and shows no effect, so the operator makes it ever more "
        "rarely. Either somebody else writes the opposite, or it is a bug: please report it with the message."
    ),
    Reason.ZONE_NOT_FOUND: (
        "No zone of the account holds the hostname. Correct it, or use another account's token."
    ),
    Reason.HOSTNAME_NOT_ALLOWED: (
        "The operator's `hostnamePolicy` does not let this namespace claim the hostname; the message says "
        "which it may. Nothing new is made, and what answers already is left as it is."
    ),
    Reason.HOSTNAME_IN_USE: (
        "A DNS record or load balancer of that hostname exists which this installation has not made. Delete "
        "or rename it, or, if it carries no mark, let it be taken over by `adoption: IfUnowned`."
    ),
    Reason.NAME_IN_USE: (
        "An object of that name exists which this installation has not made. Delete it, choose another name, "
        "or, if it carries no mark, let it be taken over by `adoption: IfUnowned`."
    ),
    Reason.CLUSTER_NAME_TAKEN: (
        "Objects of another cluster with the same `clusterName` exist. Give this installation another "
        "clusterName; or, if that cluster is gone and this one takes its place, say so by `takeOverFrom`."
    ),
    Reason.CONFLICT: "An older resource claims the same hostname or pool; the message says which.",
    Reason.POOL_NAMED_TWICE: (
        "Two hostnames of a Tunnel join the same pool at Cloudflare. A pool cannot hold one tunnel twice: "
        "name a pool for each hostname."
    ),
    Reason.MIXED_POOL: "A pool holds tunnel origins or address origins, never both. Name another pool.",
    Reason.PROXY_REQUIRED: (
        "The LoadBalancer has `proxied: false` and a pool of Tunnels, which are reached only through "
        "Cloudflare. Set it to true, or name pools of addresses."
    ),
    Reason.NO_ORIGINS: (
        "No origin is in the pool, so it does not exist at Cloudflare. Apply a Tunnel that names it."
    ),
    Reason.FOLLOWING: "There are as many connectors as the workload of `workloadRef` has replicas.",
    Reason.WORKLOAD_NOT_FOUND: (
        "`workloadRef` names a workload that does not exist. Apply it; until then origins stay as they are."
    ),
    Reason.TOO_MANY_REPLICAS: (
        "The workload has more replicas than a Tunnel may have connectors, which is 20; so many run. Apply "
        "another Tunnel for the same hostname."
    ),
    Reason.WAITING_FOR_CONNECTORS: "No connector has registered yet.",
    Reason.WAITING_FOR_HEALTH: (
        "A hostname is served once an origin has a good verdict of the health check; an origin that shall "
        "leave waits until each of the others has one, good or bad."
    ),
    Reason.WAITING_FOR_POOL: "The pool is being made.",
    Reason.WAITING_FOR_HEALTH_CHECK: "The health check's monitor is being made.",
    Reason.BELOW_THRESHOLD: (
        "Fewer origins are healthy than `minimumOrigins`: traffic goes to the next pool."
    ),
    Reason.WAITING_FOR_ADDRESS: (
        "A Service of type LoadBalancer has no address (yet). The pool's other origins work on; an origin "
        "that has had an address keeps it."
    ),
    Reason.SERVICE_NOT_FOUND: "`serviceRef` names a Service that does not exist. Apply it.",
    Reason.NOT_A_LOAD_BALANCER: (
        "`serviceRef` names a Service that is not of type LoadBalancer. Change its type, or give `address`."
    ),
    Reason.ADDRESS_TWICE: (
        "Two origins of a pool have the same address, and a pool holds each once. Take one of them away."
    ),
    Reason.HEALTH_CHECK_NOT_FOUND: "`healthCheckRef` names a HealthCheck that does not exist. Apply it.",
    Reason.HEALTH_CHECK_NOT_SUPPORTED: (
        "Origins behind a tunnel can be checked by http and https only, and only if their service speaks it."
    ),
    Reason.FALLBACK_NOT_FOUND: "`fallbackRef` names an LBPool that does not exist. Apply it.",
    Reason.POOL_NOT_FOUND: "A pool is named that neither an LBPool nor a Tunnel defines.",
    Reason.TLS_REQUIRED: (
        "The pool requires TLS, and its HealthCheck must be https without `allowInsecure`. "
        "Correct it, or set `requireTLS: false`."
    ),
    Reason.DRAINING: "An origin is disabled and keeps its open requests for `drainSeconds` before it goes.",
    Reason.DELETING: "What belongs to the resource is being deleted.",
    Reason.DELETION_BLOCKED: "The message says what still refers to it, or what is missing to delete it.",
    Reason.TLS_ENFORCED: "Cloudflare reaches the origins over TLS.",
    Reason.TLS_NOT_ENFORCED: (
        "The zone's SSL mode lets Cloudflare reach origins without TLS. Set it to full or strict."
    ),
    Reason.TLS_UNKNOWN: "The zone's SSL mode cannot be read. Give the token Zone Settings Read.",
    Reason.THRESHOLD_NEEDS_HEALTH_CHECK: "`minimumOrigins` above 1 has no effect without a health check.",
    Reason.THRESHOLD_TOO_HIGH: (
        "`minimumOrigins` is greater than the number of origins that may be up, so the pool stays below it. "
        "Lower it, or add origins."
    ),
    Reason.NO_HEALTH_CHECK: "The pool has no health check: Cloudflare does not consider its health.",
    Reason.DRIFTED: (
        "Somebody has changed the fields that the message names at Cloudflare, and `driftPolicy: Report` "
        "leaves them so. Change the spec, or set `driftPolicy: Correct`."
    ),
    Reason.IN_SYNC: "Nothing differs from the spec at Cloudflare.",
    Reason.SETTINGS_DIFFER: (
        "Clusters that share the object ask for different settings; the message says which, and who writes "
        "them. Give all of them the same spec."
    ),
    Reason.HEALTHY: "All enabled origins are healthy.",
    Reason.DEGRADED: "Some origins are not healthy, but enough are.",
    Reason.UNKNOWN: "Nothing is known yet.",
}
"""What each reason means and what to do about it."""


class EventReason(StrEnum):
    """The `reason` of an Event: what a person would be woken up for, and its end."""

    FAILED_OVER = "FailedOver"
    FAILED_BACK = "FailedBack"
    POOL_DEGRADED = "PoolDegraded"


EVENTS: Final[dict[EventReason, tuple[str, str]]] = {
    EventReason.FAILED_OVER: (
        "LoadBalancer, Tunnel",
        "Another pool answers than before, because the one before it fell below its threshold.",
    ),
    EventReason.FAILED_BACK: ("LoadBalancer, Tunnel", "A pool that was passed over answers again."),
    EventReason.POOL_DEGRADED: (
        "LBPool, Tunnel",
        "A pool is worse than before; of a Tunnel: its origins fail their health check or have no connector.",
    ),
}
"""On which kinds each Event is told, and what it means."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a resource is not as it should be; `stalled` if that stays so until a person acts.

    A suspended resource is neither stalled nor on its way: somebody wants it to rest.
    """

    reason: Reason
    message: str
    stalled: bool = False


def suspended(resource: object) -> Problem:
    """Say that a resource rests, for itself and for those that depend on it."""
    return Problem(Reason.SUSPENDED, f"{resource} has `suspend: true`: nothing is written for it")


def page() -> str:
    """Write the page of the documentation."""
    rows = [f"| `{reason}` | {EXPLANATIONS[reason]} |" for reason in Reason]
    events = [f"| `{reason}` | {kinds} | {meaning} |" for reason, (kinds, meaning) in EVENTS.items()]
    return "\n".join([_INTRODUCTION, *rows, _EVENTS, *events, "", _COLOPHON, ""])


_INTRODUCTION: Final = """\
# Conditions and reasons

A resource says how it stands by conditions only; there is no phase.

| condition | on | True means |
|---|---|---|
| `Ready` | every kind | What was asked for is in force. It is there, as `Unknown`, from the first touch. |
| `Reconciling` | every kind | It is not ready, but may become so by itself. Absent otherwise. |
| `Stalled` | every kind | It stays as it is until a person acts; the message says how. Absent otherwise. |
| `Connected` | Tunnel | At least one origin has a ready connector. |
| `Registered` | Tunnel with a pool | Every origin is in the pool. |
| `Following` | Tunnel with `workloadRef` | There are as many connectors as the workload has replicas. |
| `Healthy` | LBPool | Enough origins pass the health check. |
| `Drifted` | with `driftPolicy: Report` | Somebody has changed fields at Cloudflare, which is left so. |
| `SettingsDiffer` | with `sharing: Shared` | Clusters that share the object ask for different settings. |
| `TLSEnforced` | LBPool that requires TLS | The SSL mode of its zones makes Cloudflare use TLS. |

`Reconciling`, `Stalled` and `observedGeneration` are read by kstatus, and so by Flux, Argo CD and
`helm --wait`: `kubectl wait --for=condition=Ready tunnel/web` works as expected. `Ready` is about what was
asked for, `Healthy` about what is up: an LBPool whose origins all fail their health check is ready and not
healthy.

The `reason` of a condition is one of these:

| reason | meaning, and what to do |
|---|---|"""
_EVENTS: Final = """
## Events

Each is told once for each transition, after the status that shows it, so a restart tells nothing again. The
same about the same object is not repeated within ten minutes. What a change of the spec brings about is no
Event.

| reason | on | meaning |
|---|---|---|"""
_COLOPHON: Final = "This page is written by `python -m tunnelpool.domain.reasons`; a test keeps it true."


if __name__ == "__main__":
    sys.stdout.write(page())
