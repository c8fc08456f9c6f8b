"""LBPool: a pool of Tunnels, or of origins that have an address; its threshold and its fallback."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from tunnelpool.crd.base import (
    AGE_COLUMN,
    CLUSTERS_COLUMN,
    READY_COLUMNS,
    Column,
    Model,
    Names,
    Resource,
    SharedSpec,
    SharedStatus,
)
from tunnelpool.crd.fields import (
    CheckRegion,
    CredentialsRef,
    Description,
    Health,
    HealthCheckRef,
    Hostname,
    OriginAddress,
    OriginName,
    OriginWeight,
    Percent,
    PoolName,
    PoolRef,
    Port,
    RemoteId,
    ServiceName,
    StatusName,
)
from tunnelpool.crd.rules import Rule

OriginPolicy: TypeAlias = Literal["random", "hash", "least_outstanding_requests", "least_connections"]


class LoadBalancerServiceRef(Model):
    """A Service of type LoadBalancer in the LBPool's namespace."""

    name: ServiceName
    """Name of the Service."""


class AddressOrigin(Model):
    """An origin that is reached by its address, not through a tunnel."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.address) != has(self.serviceRef)", "must have exactly one of `address` and `serviceRef`"
        ),
    )

    name: OriginName
    """Name of the origin, unique in the pool."""
    address: OriginAddress | None = None
    """IPv4 or IPv6 address or full host name, unique in the pool. Exactly one of `address` and `serviceRef`
    is given."""
    service_ref: LoadBalancerServiceRef | None = None
    """The Service of type LoadBalancer whose address is followed, instead of `address`. Of several addresses
    the one that the pool has already stays, else the first is taken. Without address for the moment the
    origin keeps the last one; once the Service is deleted the origin goes."""
    port: Port | None = None
    """Port of the origin, also of one that a Service gives the address of. Default: that of the visitor's
    scheme, and 443 where the pool requires TLS."""
    weight: OriginWeight = 1
    """Share of the pool's requests, relative to the other origins: 0 to 1 in steps of 0.01."""
    enabled: bool = True
    """Whether the origin takes requests and is probed."""
    host_header: Hostname | None = None
    """Host header that the origin sees. It must be the origin's address or belong to a zone of the account.
    Default: the one of the request."""
    flatten_cname: bool = Field(default=True, alias="flattenCNAME")
    """Whether a load balancer that only answers DNS (`proxied` is false) answers with the addresses that a
    host name as `address` leads to. If not, with a CNAME to that name."""


class OriginSteering(Model):
    """How an origin of the pool is chosen."""

    policy: OriginPolicy = "random"
    """`random`: by weight. `hash`: by the visitor's address. `least_outstanding_requests` and
    `least_connections`: by weight and load."""


class LoadShedding(Model):
    """Traffic that the pool leaves to others, healthy or not."""

    default_percent: Percent = 0
    """Share of the requests without session, in percent."""
    default_policy: Literal["random", "hash"] = "random"
    """Whether requests are chosen at random or by the visitor's address."""
    session_percent: Percent = 0
    """Share of the sessions, in percent."""
    session_policy: Literal["hash"] = "hash"
    """How sessions are chosen: by the visitor's address."""


class NotificationChoice(Model):
    """Which changes of health are worth a notification."""

    disable: bool = False
    """Whether nothing is notified."""
    healthy: bool | None = None
    """`true`: only what becomes healthy. `false`: only what becomes unhealthy. Absent: both."""


class NotificationFilter(Model):
    """Which changes Cloudflare notifies of; where to is set in the account."""

    origin: NotificationChoice | None = None
    """Changes of single origins."""
    pool: NotificationChoice | None = None
    """Changes of the pool as a whole."""


class LBPoolSpec(SharedSpec):
    """What is wanted of an LBPool."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.latitude) == has(self.longitude)",
            "must have both of `latitude` and `longitude`, or none",
        ),
        Rule(
            "!has(self.origins) || size(self.origins) == 0 || self.minimumOrigins <= size(self.origins)",
            "must not be greater than the number of `origins`: the pool would never be healthy",
            ".minimumOrigins",
        ),
    )

    name: PoolName | None = None
    """Name of the pool at Cloudflare, unique in the account. Default: the name of this object. It cannot be
    changed."""
    origins: Annotated[
        tuple[AddressOrigin, ...],
        Rule(
            "self.all(one, !has(one.address) || "
            "self.exists_one(other, has(other.address) && other.address == one.address))",
            "must have a different address for each origin",
        ),
        Rule(
            "self.all(one, !has(one.serviceRef) || "
            "self.exists_one(other, has(other.serviceRef) && other.serviceRef.name == one.serviceRef.name))",
            "must have a different Service for each origin",
        ),
    ] = Field(
        default=(),
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Origins that have an address. Empty for a pool of Tunnels: those join by `spec.pool` of the Tunnel.
    A pool holds tunnel origins or address origins, never both."""
    minimum_origins: int = Field(default=1, ge=1, le=1000)
    """How many origins must be healthy; with fewer the traffic goes to the next pool. A value above 1 has
    an effect only with `healthCheckRef`."""
    health_check_ref: HealthCheckRef | None = None
    """The HealthCheck that decides which origins are up. Default: none, every origin counts as up. Where a
    pool that serves is given one, its origins count as down until they have been probed, and the fallback
    answers meanwhile."""
    fallback_ref: PoolRef | None = None
    """The LBPool that answers when no other can, in a load balancer that is derived from Tunnels.
    Default: this pool itself."""
    require_tls: bool | None = Field(default=None, alias="requireTLS")
    """Whether origins with an address must be reached over TLS: the port defaults to 443, the HealthCheck
    must be https and check certificates, and the zone's SSL mode must be full or strict. Default: true for
    a pool that is the fallback of another, else false."""
    origin_steering: OriginSteering | None = None
    """How an origin is chosen. Default: at random, by weight."""
    load_shedding: LoadShedding | None = None
    """Traffic that the pool leaves to others. Default: none."""
    check_regions: tuple[CheckRegion, ...] = Field(
        default=("WNAM",), min_length=1, max_length=15, json_schema_extra={"x-kubernetes-list-type": "set"}
    )
    """Regions that Cloudflare probes from. How many are allowed depends on the plan; `ALL_REGIONS` is for
    Enterprise."""
    regional_health: bool = False
    """Whether each of `checkRegions` decides by its own probes where visitors from there go (Cloudflare's
    `health_sources`, in beta). If not, the majority of the regions decides for all."""
    latitude: float | None = Field(default=None, ge=-90, le=90)
    """Where the pool is, in degrees north, for proximity steering. Needs `longitude`."""
    longitude: float | None = Field(default=None, ge=-180, le=180)
    """Where the pool is, in degrees east, for proximity steering. Needs `latitude`."""
    notification_filter: NotificationFilter | None = None
    """Which changes of health Cloudflare notifies of. Default: all."""
    enabled: bool = True
    """Whether the pool takes requests and is probed. Load balancers pass over a pool that is not enabled."""
    description: Description = ""
    """Text for people; the operator's mark of ownership is put behind it."""
    credentials_ref: CredentialsRef | None = None
    """The Secret with the API token and the account. Default: the operator's own credentials."""


class OriginStatus(Model):
    """One origin of the pool, whoever has put it there."""

    name: StatusName
    """Name of the origin."""
    address: StatusName
    """Address of the origin: `<tunnel id>.cfargotunnel.com` for a tunnel."""
    enabled: bool = True
    """Whether the origin takes requests."""
    healthy: bool | None = None
    """What Cloudflare's health check says; absent without verdict."""


class LBPoolStatus(SharedStatus):
    """How an LBPool stands."""

    id: RemoteId | None = None
    """Cloudflare's id of the pool."""
    name: StatusName | None = None
    """Name of the pool at Cloudflare."""
    health: Health | None = None
    """`healthy`: all origins are up. `degraded`: some are down, the threshold is met. `critical`: fewer
    than `minimumOrigins` are up, traffic goes elsewhere. `unknown`: no verdict yet."""
    healthy_origins: int | None = Field(default=None, ge=0)
    """How many origins are up."""
    origins: int | None = Field(default=None, ge=0)
    """How many origins the pool has."""
    serving: bool | None = None
    """Whether a load balancer sends requests to this pool now, by the health that Cloudflare reports."""
    origin_statuses: tuple[OriginStatus, ...] = Field(
        default=(),
        max_length=1000,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Each origin and its health."""
    address_ranges: tuple[StatusName, ...] = Field(
        default=(), max_length=256, json_schema_extra={"x-kubernetes-list-type": "set"}
    )
    """The addresses that Cloudflare's requests to these origins come from, which their firewall must let in;
    for origins with addresses only. The same stand in a ConfigMap beside the operator."""


class LBPool(Resource):
    """A load balancer pool at Cloudflare: of Tunnels that name it, or of origins with an address."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.spec.name) || self.metadata.name.matches(r'^[-_a-zA-Z0-9]+$')",
            "must have `spec.name`: it defaults to 'metadata.name', and a pool's name must not hold a dot",
        ),
        Rule(
            "(has(self.spec.name) ? self.spec.name : self.metadata.name) == "
            "(has(oldSelf.spec.name) ? oldSelf.spec.name : oldSelf.metadata.name)",
            "must not change: create another LBPool for another pool",
            ".spec.name",
        ),
        Rule(
            "!has(self.spec.fallbackRef) || self.spec.fallbackRef.name != self.metadata.name",
            "must be another LBPool: without `fallbackRef` this one is its own fallback",
            ".spec.fallbackRef.name",
        ),
    )
    VERSION = "v1alpha1"
    NAMES = Names(
        kind="LBPool",
        plural="lbpools",
        singular="lbpool",
        short="lbp",
        columns=(
            Column("Health", ".status.health", description="Health of the pool at Cloudflare."),
            Column("Healthy", ".status.healthyOrigins", "integer", "Origins that are up."),
            Column("Origins", ".status.origins", "integer", "Origins of the pool."),
            Column("Minimum", ".spec.minimumOrigins", "integer", "Origins that must be up."),
            Column("Serving", ".status.serving", "boolean", "Whether the pool answers now."),
            *READY_COLUMNS,
            Column("Pool", ".status.name", description="Name of the pool at Cloudflare.", priority=1),
            CLUSTERS_COLUMN,
            Column("ID", ".status.id", description="Cloudflare's id of the pool.", priority=1),
            AGE_COLUMN,
        ),
    )

    spec: LBPoolSpec = LBPoolSpec()
    status: LBPoolStatus = LBPoolStatus()

    @property
    def pool_name(self) -> str:
        """Name of the pool at Cloudflare."""
        return self.spec.name or self.metadata.name
