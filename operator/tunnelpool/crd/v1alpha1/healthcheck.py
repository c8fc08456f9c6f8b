"""HealthCheck: how Cloudflare decides whether an origin is up. One HealthCheck is one monitor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from tunnelpool.crd.base import AGE_COLUMN, READY_COLUMNS, Column, DriftingSpec, Names, Resource, Status
from tunnelpool.crd.fields import CredentialsRef, Description, Hostname, Port, RemoteId
from tunnelpool.crd.rules import Check, Rule, keys_matching, matching

CheckType: TypeAlias = Literal["http", "https", "tcp", "udp_icmp", "icmp_ping", "smtp"]

_RESERVED_HEADERS: Final = ("host", "user-agent")
_HTTP_ONLY: Final = ("method", "path", "expectedCodes", "expectedBody", "headers", "hostHeader", "probeZone")

Path: TypeAlias = Annotated[
    str, Field(max_length=1024), matching(r"/[^\s]*", "must begin with '/' and hold no white space")
]
ExpectedCodes: TypeAlias = Annotated[
    str,
    Field(max_length=200),
    matching(
        r"[1-5](?:[0-9]{2}|xx)(?:-[1-5][0-9]{2})?(?:,[1-5](?:[0-9]{2}|xx)(?:-[1-5][0-9]{2})?)*",
        "must be status codes, classes or ranges separated by ',', such as '200', '2xx' or '200,300-302'",
    ),
]
Headers: TypeAlias = Annotated[
    Mapping[
        str,
        Annotated[tuple[Annotated[str, Field(max_length=1024)], ...], Field(min_length=1, max_length=8)],
    ],
    Field(max_length=16),
    keys_matching(
        r"[A-Za-z0-9_-]{1,100}", "must have names of headers as keys: letters, digits, '-' and '_'"
    ),
    Check(
        "self.all(name, !(name.lowerAscii() in ['host', 'user-agent']))",
        "must not hold 'Host', which is `hostHeader`, nor 'User-Agent', which is Cloudflare's own",
        accepts=lambda headers: not any(name.lower() in _RESERVED_HEADERS for name in headers),
    ),
]


class HealthCheckSpec(DriftingSpec):
    """What is wanted of a HealthCheck."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.intervalSeconds > (self.retries + 1) * self.timeoutSeconds",
            "must be greater than `timeoutSeconds` times (`retries` + 1)",
            ".intervalSeconds",
        ),
        Rule(
            "!(self.type in ['tcp', 'udp_icmp', 'smtp']) || has(self.port)",
            "must have a `port` where `type` is 'tcp', 'udp_icmp' or 'smtp'",
        ),
        Rule(
            "self.type != 'icmp_ping' || !has(self.port)",
            "must not be set where `type` is 'icmp_ping'",
            ".port",
        ),
        *(
            Rule(
                f"self.type in ['http', 'https'] || !has(self.{field})",
                "must not be set unless `type` is 'http' or 'https'",
                f".{field}",
            )
            for field in _HTTP_ONLY
        ),
        Rule(
            "self.type in ['http', 'https'] || !self.followRedirects",
            "must not be true unless `type` is 'http' or 'https'",
            ".followRedirects",
        ),
        Rule(
            "self.type == 'https' || !self.allowInsecure",
            "must not be true unless `type` is 'https'",
            ".allowInsecure",
        ),
    )

    type: CheckType = "https"
    """What a probe is. Pools of tunnels take `https` and `http` only."""
    method: Literal["GET", "HEAD"] | None = None
    """Method of the request; http and https only. Default: `GET`."""
    path: Path | None = None
    """Path of the request, with its query; http and https only. Default: `/`."""
    port: Port | None = None
    """Port of the probe. Default: that of the type; `tcp`, `udp_icmp` and `smtp` need one."""
    interval_seconds: int = Field(default=60, ge=10, le=3600)
    """Time between two probes, in seconds. The least that Cloudflare takes depends on the plan: 60 with Pro,
    15 with Business, 10 with Enterprise."""
    timeout_seconds: int = Field(default=5, ge=1, le=10)
    """How long a probe may take, in seconds."""
    retries: int = Field(default=2, ge=0, le=5)
    """How often a probe that timed out is repeated at once, before it counts as failed."""
    consecutive_up: int = Field(default=1, ge=1, le=100)
    """How many good probes in a row bring an origin back."""
    consecutive_down: int = Field(default=1, ge=1, le=100)
    """How many failed probes in a row take an origin out."""
    expected_codes: ExpectedCodes | None = None
    """Status codes of a healthy answer: `200`, `2xx`, `200,302`; http and https only. Default: `200`."""
    expected_body: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Text that the body of a healthy answer holds, whatever its case; http and https only."""
    headers: Headers | None = None
    """Further headers of the request, each with its values; http and https only."""
    host_header: Hostname | None = None
    """Host header of the request, for origins without one of their own: origins of Tunnels are probed with
    their Tunnel's hostname. http and https only. Default: the hostname of the Tunnels in its pools, if they
    have the same, else the origin's address."""
    follow_redirects: bool = False
    """Whether redirects are followed; http and https only."""
    allow_insecure: bool = False
    """Whether the origin's certificate is not checked; https only."""
    probe_zone: Hostname | None = None
    """Zone whose settings (HTTP/2, authenticated origin pulls) the probe takes; http and https only."""
    description: Description = ""
    """Text for people; the operator's mark of ownership is put behind it."""
    credentials_ref: CredentialsRef | None = None
    """The Secret with the API token and the account. Default: the operator's own credentials."""

    @property
    def is_http(self) -> bool:
        """Whether the probe is an HTTP request."""
        return self.type in {"http", "https"}

    @property
    def effective_method(self) -> str:
        """The method with its default: that of HTTP, or what Cloudflare answers for tcp."""
        if self.is_http:
            return self.method or "GET"
        return "connection_established" if self.type == "tcp" else ""

    @property
    def effective_path(self) -> str:
        """The path with its default; empty where there is none."""
        return (self.path or "/") if self.is_http else ""

    @property
    def effective_codes(self) -> str:
        """The expected status codes with their default; empty where there are none."""
        return (self.expected_codes or "200") if self.is_http else ""


class HealthCheckStatus(Status):
    """How a HealthCheck stands."""

    id: RemoteId | None = None
    """Cloudflare's id of the monitor."""


class HealthCheck(Resource):
    """How Cloudflare probes the origins of the pools that refer to this HealthCheck."""

    VERSION = "v1alpha1"
    NAMES = Names(
        kind="HealthCheck",
        plural="healthchecks",
        singular="healthcheck",
        short="hc",
        columns=(
            Column("Type", ".spec.type", description="What a probe is."),
            Column("Path", ".spec.path", description="Path of the request."),
            Column("Interval", ".spec.intervalSeconds", "integer", "Seconds between two probes."),
            *READY_COLUMNS,
            Column("ID", ".status.id", description="Cloudflare's id of the monitor.", priority=1),
            AGE_COLUMN,
        ),
    )

    spec: HealthCheckSpec = HealthCheckSpec()
    status: HealthCheckStatus = HealthCheckStatus()
