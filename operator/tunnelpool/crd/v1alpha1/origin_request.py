"""How a connector speaks to the service: cloudflared's `originRequest`, in cloudflared's names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tunnelpool.crd.base import Model
from tunnelpool.crd.fields import Hostname

_Seconds = Annotated[int, Field(ge=0, le=3600)]


class Access(Model):
    """Cloudflare Access in front of the service, checked by the connector."""

    required: bool = False
    """Whether requests without a valid Access token are refused."""
    team_name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the Access team."""
    aud_tag: tuple[Annotated[str, Field(max_length=256)], ...] = Field(min_length=1, max_length=16)
    """Audience tags of the Access applications that are accepted."""


class OriginRequest(Model):
    """Settings of the connection between connector and service. What is absent is cloudflared's default."""

    connect_timeout: _Seconds | None = None
    """How long a TCP connection may take to open, in seconds. Default: 30."""
    tls_timeout: _Seconds | None = None
    """How long a TLS handshake may take, in seconds. Default: 10."""
    tcp_keep_alive: _Seconds | None = None
    """Interval of TCP keep-alive packets, in seconds. Default: 30."""
    no_happy_eyeballs: bool | None = None
    """Whether the fallback between IPv6 and IPv4 is off. Default: false."""
    keep_alive_connections: int | None = Field(default=None, ge=0, le=10000)
    """How many idle connections are kept. Default: 100."""
    keep_alive_timeout: _Seconds | None = None
    """How long an idle connection is kept, in seconds. Default: 90."""
    http_host_header: Hostname | None = None
    """The Host header that the service sees. Default: the one of the request."""
    origin_server_name: Hostname | None = None
    """The name that the certificate of an https service must have. Default: the host of `service`."""
    match_sni_to_host: bool | None = Field(default=None, alias="matchSNItoHost")
    """Whether the TLS server name is the Host header of each request. Default: false."""
    no_tls_verify: bool | None = Field(default=None, alias="noTLSVerify")
    """Whether the certificate of an https service is not checked. Default: false."""
    disable_chunked_encoding: bool | None = None
    """Whether requests are sent without chunked encoding, as some WSGI servers need. Default: false."""
    http2_origin: bool | None = None
    """Whether the service is spoken to by HTTP/2; it must be https then. Default: false."""
    access: Access | None = None
    """Cloudflare Access, checked by the connector."""
