"""Further rules of a Tunnel: other hostnames and paths, and the services that answer for them."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from tunnelpool.crd.base import Model
from tunnelpool.crd.fields import Hostname, PoolName, Port, ServiceName, ServiceUrl
from tunnelpool.crd.rules import Check, Rule
from tunnelpool.crd.v1alpha1.origin_request import OriginRequest

ONE_SERVICE = Rule(
    "has(self.service) != has(self.serviceRef)", "must have exactly one of `service` and `serviceRef`"
)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


PathPattern: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=200),
    Check(
        # An expression that cannot be compiled is an error on both sides, and an error is a refusal.
        "''.matches(self) || !''.matches(self)",
        "must be a regular expression as Go has it (RE2)",
        accepts=_compiles,
    ),
]


class ServiceRef(Model):
    """A Service in the Tunnel's namespace."""

    name: ServiceName
    """Name of the Service."""
    port: Port
    """Number of the Service's port."""
    scheme: Literal["http", "https"] = "http"
    """How the connector speaks to the Service."""


class IngressRule(Model):
    """What answers for a hostname, or for some of its paths. The first rule that matches is taken."""

    RULES: ClassVar[tuple[Rule, ...]] = (ONE_SERVICE,)

    hostname: Hostname
    """The Tunnel's own hostname or a further one, in a zone of the same account."""
    path: PathPattern | None = None
    """Regular expression that is searched for in the path of the URL, such as `^/api/`. Default: all."""
    service: ServiceUrl | None = None
    """URL of the service that answers, as in `spec.service`. Exactly one of `service` and `serviceRef` is
    given."""
    service_ref: ServiceRef | None = None
    """The Service that answers, by name, instead of `service`."""
    pool: PoolName | None = None
    """The load balancer pool that a further hostname joins, with its own Host header: another than those
    of the Tunnel's other hostnames, because a pool cannot hold one tunnel twice. Without `pool` a further
    hostname gets a proxied CNAME to a tunnel that is connected."""
    origin_request: OriginRequest | None = None
    """How the connector speaks to this service, in cloudflared's own names."""

    def service_url(self, namespace: str) -> str:
        """Return the URL that the connector forwards to; see the function of that name."""
        return service_url(self.service, self.service_ref, namespace)


def service_url(service: str | None, ref: ServiceRef | None, namespace: str) -> str:
    """Return the URL that the connector forwards to, for a Tunnel of this namespace.

    Raises:
        ValueError: neither or both of `service` and `serviceRef` are given; admission forbids it.

    """
    if (service is None) == (ref is None):
        raise ValueError("must have exactly one of `service` and `serviceRef`")
    if ref is None:
        return str(service)
    return f"{ref.scheme}://{ref.name}.{namespace}.svc:{ref.port}"
