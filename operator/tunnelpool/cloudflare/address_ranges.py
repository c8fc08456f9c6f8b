"""`GET /ips`: the addresses that Cloudflare's requests come from. It needs no token and costs no budget."""

from __future__ import annotations

import asyncio
import json

import httpx

from tunnelpool.cloudflare import routes
from tunnelpool.cloudflare.transport import Transport
from tunnelpool.domain.address_ranges import AddressRanges
from tunnelpool.domain.errors import UnavailableError


async def read_ranges(transport: Transport) -> AddressRanges:
    """Read the ranges.

    Raises:
        UnavailableError: there is no answer, or one without ranges.

    """
    target = routes.ADDRESS_RANGES.at()
    url = transport.settings.api_url.rstrip("/") + target.path
    started = transport.clock.monotonic()
    status = 0
    try:
        async with asyncio.timeout(transport.limit_s("GET")):
            response = await transport.client.get(url)
        status = response.status_code
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise UnavailableError(f"no answer to GET {target.path} ({type(error).__name__})") from error
    finally:
        transport.on_call(target.route.template, "GET", status, transport.clock.monotonic() - started)
    try:
        result = json.loads(response.content)["result"]
        return AddressRanges.of(result["ipv4_cidrs"], result["ipv6_cidrs"])
    except (TypeError, KeyError, ValueError) as error:
        message = f"the answer to GET {target.path} holds no address ranges (status {status})"
        raise UnavailableError(message, status=status) from error
