"""Tunnel: a hostname, the service behind it, and the connectors that join the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from tunnelpool.crd.base import AGE_COLUMN, READY_COLUMNS, Column, Model, Names, Resource, Spec, Status
from tunnelpool.crd.fields import (
    CredentialsRef,
    Health,
    Hostname,
    ObjectName,
    OriginWeight,
    PoolName,
    RemoteId,
    ServiceUrl,
    StatusName,
)
from tunnelpool.crd.rules import Rule
from tunnelpool.crd.v1alpha1.ingress import ONE_SERVICE, IngressRule, ServiceRef, service_url
from tunnelpool.crd.v1alpha1.origin_request import OriginRequest
from tunnelpool.crd.v1alpha1.pod_template import PodTemplate

Registration: TypeAlias = Literal["PerReplica", "Shared"]
Protocol: TypeAlias = Literal["auto", "quic", "http2"]
OriginState: TypeAlias = Literal["Registered", "Draining", "OutByOperator", "Disabled"]

DEFAULT_REPLICAS: Final = 2
MAX_REPLICAS: Final = 20
"""Cloudflare serves a tunnel by 25 connectors at most, and each origin of a pool is billed."""


class WorkloadRef(Model):
    """A workload in the Tunnel's namespace."""

    kind: Literal["Deployment", "StatefulSet"] = "Deployment"
    """Kind of the workload, of the API group `apps`."""
    name: ObjectName
    """Name of the workload."""


class TunnelSpec(Spec):
    """What is wanted of a Tunnel."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        ONE_SERVICE,
        Rule(
            "!has(self.replicas) || !has(self.workloadRef)",
            "must not be set with `workloadRef`: there are as many connectors as the workload has replicas",
            ".replicas",
        ),
        Rule(
            "!has(self.ingress) || self.ingress.all(rule, rule.hostname != self.hostname || !has(rule.pool))",
            "must not have `pool` for the Tunnel's own `hostname`: `spec.pool` names that",
            ".ingress",
        ),
        Rule(
            "!has(self.ingress) || self.ingress.all(one, !has(one.pool) || "
            "((!has(self.pool) || one.pool != self.pool) && self.ingress.all(other, !has(other.pool) || "
            "one.hostname == other.hostname || one.pool != other.pool)))",
            "must have another `pool` for each hostname: a pool cannot hold one tunnel twice",
            ".ingress",
        ),
        Rule(
            "!has(self.ingress) || self.ingress.all(one, self.ingress.all(other, "
            "one.hostname != other.hostname || "
            "(has(one.pool) ? has(other.pool) && one.pool == other.pool : !has(other.pool))))",
            "must have the same `pool`, or none, in all rules of one hostname",
            ".ingress",
        ),
    )

    hostname: Annotated[
        Hostname,
        Rule("self == oldSelf", "must not change: create another Tunnel for another hostname"),
    ]
    """Public host name, in a zone of the Cloudflare account. It cannot be changed."""
    service: ServiceUrl | None = None
    """URL of the service that answers, as the connector pods reach it: `http://web.default.svc:8080`,
    without path; or another that cloudflared knows: `tcp://`, `ssh://`, `rdp://`, `smb://` (which no health
    check can ask, so none with a health-checked pool), `unix:/path` of a socket in the connector's
    container, `http_status:404`, `hello_world`. Exactly one of `service` and `serviceRef` is given."""
    service_ref: ServiceRef | None = None
    """The Service that answers, by name, instead of `service`."""
    ingress: tuple[IngressRule, ...] = Field(default=(), max_length=32)
    """Further rules: paths of the Tunnel's hostname, and further hostnames. They are asked in their order,
    before the Tunnel's own `service`; what no rule matches is answered with 404."""
    pool: PoolName | None = None
    """The load balancer pool to join: an LBPool of the namespace by the name of the object (its `spec.name`
    may differ), else a pool by its name at Cloudflare. Pool and load balancer are created where no object
    describes them. Without `pool` the hostname gets a proxied
    CNAME to the tunnel and no load balancer is needed."""
    replicas: int | None = Field(default=None, ge=0, le=MAX_REPLICAS)
    """How many connectors run. With 0 the origins leave the pool. Default: 2, or with `workloadRef` as many
    as the workload has replicas."""
    workload_ref: WorkloadRef | None = None
    """The workload whose companion the Tunnel is, in the same namespace: as many connectors run as it has
    replicas, at most 20, whoever scales it, and they prefer the nodes of its pods. Rollouts of it change
    nothing. While it does not exist the connectors stay as they are. It is read only."""
    registration: Registration = "PerReplica"
    """`PerReplica`: each connector is a tunnel and an origin of its own, so that each is weighed, drained
    and health-checked alone. `Shared`: all connectors share one tunnel and one origin, billed once."""
    weight: OriginWeight = 1
    """Share of the pool's requests that each origin takes, relative to the other origins: 0 to 1 in steps
    of 0.01. An origin of weight 0 is probed and takes no new requests."""
    connections: int = Field(default=4, ge=1, le=4)
    """How many connections to the edge each connector holds."""
    protocol: Protocol | None = None
    """Transport between connector and edge. Default: the operator's setting, `auto` unless said otherwise."""
    drain_seconds: int = Field(default=15, ge=0, le=600)
    """How long a connector goes on serving once it is to stop, in seconds: until its replacement is up, where
    it was evicted; until nobody asks it any more, where its origin leaves (longer where a load balancer with
    session affinity has a longer `drainDurationSeconds`). With less than a start takes, evictions lose
    requests. What is still open then, such as a WebSocket, has cloudflared's 30 s on top before it is cut."""
    origin_request: OriginRequest | None = None
    """How the connector speaks to the service, in cloudflared's own names."""
    pod_template: PodTemplate | None = None
    """What the connector pods have beyond the operator's defaults."""
    credentials_ref: CredentialsRef | None = None
    """The Secret with the API token and the account. Default: the operator's own credentials."""

    def service_url(self, namespace: str) -> str:
        """Return the URL that the connector forwards to; see the function of that name."""
        return service_url(self.service, self.service_ref, namespace)

    @property
    def hosts(self) -> Mapping[str, str | None]:
        """Every hostname of the Tunnel and the pool that it joins, the Tunnel's own first."""
        found = {self.hostname: self.pool}
        for rule in self.ingress:
            found.setdefault(rule.hostname, rule.pool)
        return found

    def answering(self, hostname: str) -> str | None:
        """Tell the service of a hostname where no path says otherwise, as a health check of `/` meets it.

        None if a `serviceRef` names it, or if rules name paths of it only.
        """
        whole = [rule.service for rule in self.ingress if rule.hostname == hostname and rule.path is None]
        return whole[0] if whole else self.service if hostname == self.hostname else None

    def hostname_in(self, pool: str) -> str:
        """Tell which hostname joins a pool; the Tunnel's own if none does."""
        return next((name for name, joined in self.hosts.items() if joined == pool), self.hostname)


class TunnelOrigin(Model):
    """One tunnel of the Tunnel and the connectors that serve it."""

    name: StatusName
    """Name of the tunnel, and of the origin in the pool."""
    tunnel_id: Annotated[RemoteId, Field(alias="tunnelID")]
    """Cloudflare's id of the tunnel."""
    deployment: StatusName
    """The Deployment whose pods are its connectors."""
    state: OriginState
    """`Registered`: takes requests. `Draining`: on its way out. `OutByOperator`: taken out because no
    connector serves it; it comes back by itself. `Disabled`: switched off by somebody else."""
    healthy: bool | None = None
    """What Cloudflare's health check says; absent without verdict."""


class TunnelPoolStatus(Model):
    """The pool that the Tunnel has joined, with all of its origins, also those of others."""

    id: RemoteId | None = None
    """Cloudflare's id of the pool."""
    name: StatusName
    """Name of the pool."""
    health: Health = "unknown"
    """`healthy`: all origins are up. `degraded`: some are down, the threshold is met. `critical`: fewer
    than `minimumOrigins` are up, traffic goes elsewhere. `unknown`: no verdict yet."""
    healthy_origins: int = Field(default=0, ge=0)
    """How many origins are up."""
    origins: int = Field(default=0, ge=0)
    """How many origins the pool has."""
    minimum_origins: int = Field(default=1, ge=0)
    """How many must be up, else the pool fails over."""


class TunnelLoadBalancerStatus(Model):
    """The load balancer that answers for the hostname."""

    id: RemoteId | None = None
    """Cloudflare's id of the load balancer."""
    serving_pools: tuple[StatusName, ...] = Field(default=(), max_length=64)
    """Names of the pools that answer now, by the health that Cloudflare reports."""
    on_fallback: bool = False
    """Whether the fallback pool answers because every other pool is down."""


class TunnelFurtherHost(Model):
    """A further hostname of the Tunnel, and what answers for it."""

    hostname: StatusName
    """The hostname."""
    pool: TunnelPoolStatus | None = None
    """The pool that it has joined."""
    load_balancer: TunnelLoadBalancerStatus | None = None
    """The load balancer that answers for it."""
    answered_by: Literal["LoadBalancer", "CNAME"] | None = None
    """What answers for it at Cloudflare; absent while nothing does."""


class TunnelStatus(Status):
    """How a Tunnel stands."""

    replicas: int | None = Field(default=None, ge=0)
    """How many connectors exist."""
    ready_replicas: int | None = Field(default=None, ge=0)
    """How many connectors are connected to the edge."""
    billable_origins: int | None = Field(default=None, ge=0)
    """How many origins Cloudflare bills for this Tunnel."""
    origins: tuple[TunnelOrigin, ...] = Field(
        default=(),
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """The tunnels and their connectors."""
    pool: TunnelPoolStatus | None = None
    """The pool that was joined."""
    load_balancer: TunnelLoadBalancerStatus | None = None
    """The load balancer of the hostname."""
    rotated: StatusName | None = None
    """The value of the annotation `tunnelpool.dev/rotate` for which the secrets of all tunnels were last
    replaced. Any new value of it asks for new secrets; connectors are replaced before the old ones stop."""
    further_hosts: tuple[TunnelFurtherHost, ...] = Field(
        default=(),
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["hostname"]},
    )
    """The further hostnames of `ingress`, in their order."""

    def of(self, hostname: str) -> TunnelStatus | TunnelFurtherHost:
        """Find what is told of one hostname: of a further one, else of the Tunnel's own."""
        return next((one for one in self.further_hosts if one.hostname == hostname), self)


class Tunnel(Resource):
    """A public hostname that connectors in this cluster answer for, through Cloudflare Tunnel.

    With `pool` its connectors are origins of that load balancer pool.
    """

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "size(self.metadata.name) <= 63",
            "must have at most 63 characters: it is a label of the connectors",
        ),
    )
    VERSION = "v1alpha1"
    NAMES = Names(
        kind="Tunnel",
        plural="tunnels",
        singular="tunnel",
        short="tun",
        columns=(
            Column("Hostname", ".spec.hostname", description="The public host name."),
            Column("Pool", ".spec.pool", description="The pool that the Tunnel joins."),
            Column("Connected", ".status.readyReplicas", "integer", "Connectors that are connected."),
            Column("Replicas", ".status.replicas", "integer", "Connectors that exist."),
            Column("Health", ".status.pool.health", description="Health of the pool."),
            *READY_COLUMNS,
            Column(
                "Follows", ".spec.workloadRef.name", "string", "The workload that is followed.", priority=1
            ),
            Column("Origins", ".status.billableOrigins", "integer", "Origins that are billed.", priority=1),
            Column(
                "Fallback",
                ".status.loadBalancer.onFallback",
                "boolean",
                "Whether the fallback pool answers.",
                priority=1,
            ),
            AGE_COLUMN,
        ),
    )

    spec: TunnelSpec
    status: TunnelStatus = TunnelStatus()
