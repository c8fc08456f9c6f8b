"""The edge tells which addresses its requests come from, as Cloudflare does, to whoever asks."""

from __future__ import annotations

from typing import Any

from tunnelpool.cloudflare.address_ranges import read_ranges
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.transport import Transport
from tunnelpool.domain.address_ranges import AddressRanges
from tunnelpool.engine.clock import SystemClock


async def test_the_ranges_are_those_that_the_edge_really_comes_from(edge: Any) -> None:
    transport = Transport(CloudflareSettings(api_url=edge.ready["api_url"]), SystemClock())
    try:
        found = await read_ranges(transport)
    finally:
        await transport.aclose()
    assert found == AddressRanges(ipv4=("127.0.0.0/8",), ipv6=("::1/128",))
