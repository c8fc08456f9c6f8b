"""Types of fields, each with its limit and the words in which it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, WithJsonSchema

from tunnelpool.crd.base import Model
from tunnelpool.crd.rules import Check, in_steps_of, matching

_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_DOTTED: Final = rf"{_LABEL}(?:\.{_LABEL})+"

Hostname: TypeAlias = Annotated[
    str,
    Field(max_length=253),
    matching(
        _DOTTED,
        "must be a full host name in lower case, without wildcard and without dot at its end, "
        "such as 'app.example.com'",
    ),
]
OriginAddress: TypeAlias = Annotated[
    str,
    Field(max_length=253),
    matching(
        rf"{_DOTTED}|[0-9a-f:]*:[0-9a-f:.]*",
        "must be an IPv4 or IPv6 address or a full host name, in lower case, without scheme and port",
    ),
    Check(
        "!self.endsWith('.cfargotunnel.com')",
        "must not be a tunnel: a pool holds tunnel origins or address origins, never both; a Tunnel joins "
        "a pool by naming it in its own `spec.pool`",
        accepts=lambda address: not address.endswith(".cfargotunnel.com"),
    ),
]
_AUTHORITY: Final = (
    r"(?:[A-Za-z0-9](?:[-A-Za-z0-9._]{0,251}[A-Za-z0-9])?|\[[0-9a-fA-F:.]{2,45}\])(?::[0-9]{1,5})?"
)
STREAMS: Final = ("tcp", "ssh", "rdp", "smb")
"""Schemes of services that speak no HTTP: visitors reach them through `cloudflared access`."""
ServiceUrl: TypeAlias = Annotated[
    str,
    Field(max_length=300),
    matching(
        rf"(?:https?|{'|'.join(STREAMS)})://{_AUTHORITY}|unix(?:\+tls)?:/[-A-Za-z0-9._/]+"
        r"|http_status:[1-9][0-9]{2}|hello_world",
        "must be 'http://host:port' or 'https://host:port', without path, such as "
        "'http://web.default.svc:8080'; or 'tcp://', 'ssh://', 'rdp://' or 'smb://' with 'host:port'; or "
        "'unix:/path', 'unix+tls:/path', 'http_status:404', 'hello_world'",
    ),
]
PoolName: TypeAlias = Annotated[
    str,
    Field(max_length=120),
    matching(r"[-_a-zA-Z0-9]+", "must consist of letters, digits, '-' and '_' only"),
]
OriginName: TypeAlias = Annotated[
    str,
    Field(max_length=120),
    matching(r"[-_.a-zA-Z0-9]+", "must consist of letters, digits, '-', '_' and '.' only"),
]
ObjectName: TypeAlias = Annotated[
    str,
    Field(max_length=253),
    matching(
        rf"{_LABEL}(?:\.{_LABEL})*",
        "must be the name of an object in the same namespace: lower-case letters, digits, '-' and '.'",
    ),
]
ServiceName: TypeAlias = Annotated[
    str,
    Field(max_length=63),
    matching(_LABEL, "must be the name of a Service in the same namespace"),
]
Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)]
OriginWeight: TypeAlias = Annotated[float, Field(ge=0, le=1), in_steps_of(0.01)]
PoolWeight: TypeAlias = Annotated[float, Field(ge=0, le=1), in_steps_of(0.1)]
Percent: TypeAlias = Annotated[float, Field(ge=0, le=100)]
Description: TypeAlias = Annotated[str, Field(max_length=500)]
"""Cloudflare takes 1024 characters; the rest is for the operator's mark."""
Quantity: TypeAlias = Annotated[
    str | int,
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 32,
            "pattern": r"^([0-9]+|[0-9]*\.[0-9]+|[0-9]+\.)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$",
        }
    ),
]
"""A Kubernetes quantity that is not negative, such as `100m` or `128Mi`."""
LabelMap: TypeAlias = Annotated[
    Mapping[str, Annotated[str, Field(max_length=63)]],
    Field(max_length=64),
    Check(
        "self.all(key, !key.startsWith('tunnelpool.dev/'))",
        "must not hold keys that begin with 'tunnelpool.dev/': those are the operator's own",
        accepts=lambda labels: not any(key.startswith("tunnelpool.dev/") for key in labels),
    ),
]
RegionCode: TypeAlias = Literal[
    "WNAM", "ENAM", "WEU", "EEU", "NSAM", "SSAM", "OC", "ME", "NAF", "SAF", "SAS", "SEAS", "NEAS"
]
"""Cloudflare's regions."""
CheckRegion: TypeAlias = Literal[RegionCode, "CHINA", "ALL_REGIONS"]

# Identifiers in status: written by the operator, read by people and programs.
RemoteId: TypeAlias = Annotated[str, Field(max_length=64)]
StatusName: TypeAlias = Annotated[str, Field(max_length=253)]
Health: TypeAlias = Literal["healthy", "degraded", "critical", "unknown"]
"""Cloudflare's words for the health of a pool."""


class PoolRef(Model):
    """An LBPool in the same namespace."""

    name: ObjectName
    """Name of the LBPool object."""


class HealthCheckRef(Model):
    """A HealthCheck in the same namespace."""

    name: ObjectName
    """Name of the HealthCheck object."""


class CredentialsRef(Model):
    """A Secret in the same namespace with the keys `apiToken` and `accountId`."""

    name: ObjectName
    """Name of the Secret."""
