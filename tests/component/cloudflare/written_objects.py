"""One object of each kind, as tests write them."""

from __future__ import annotations

from typing import Final

from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Monitor, Origin, Pool, RemoteValue, Tunnel

POOL: Final = Pool("web", (Origin("a", "a.example.com"),), check_regions=("WNAM",))
MONITOR: Final = Monitor("[mark]")
VALUES: Final[tuple[RemoteValue, ...]] = (
    Tunnel("web"),
    MONITOR,
    POOL,
    LoadBalancer("www.example.com", ("1",), "1"),
    DnsRecord("www.example.com", "CNAME", "x.example.com"),
)
