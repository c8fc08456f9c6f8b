"""The yardstick of a cold start, a program: the same least writes to Cloudflare, and nothing else.

What anybody would write in an afternoon: asyncio and httpx, as many requests under way as the operator has
workers, no look at what is there, no cluster, no status, no order but the one that Cloudflare enforces.
Prints one line of JSON: calls and seconds, from the start of the process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import httpx

from bench.fleet import POOLS_OF_A_CHECK, Fleet, hostname, pool_name, tunnel_name

Json = dict[str, Any]


class BareScript:
    """Writes a fleet to an account that is empty."""

    def __init__(self, client: httpx.AsyncClient, account: str, zone: str, under_way: int) -> None:
        self._client = client
        self._account = f"/accounts/{account}"
        self._zone = f"/zones/{zone}"
        self._gate = asyncio.Semaphore(under_way)
        self.calls = 0

    async def write(self, fleet: Fleet) -> None:
        """Write monitors, tunnels, pools with their origins, load balancers."""
        monitors = await asyncio.gather(*(self._monitor() for _ in range(fleet.checks)))
        places = [(number, slot) for number, count in enumerate(fleet.slots) for slot in range(count)]
        ids = await asyncio.gather(*(self._tunnel(number, slot) for number, slot in places))
        origins: dict[int, list[Json]] = {pool: [] for pool in range(fleet.pools)}
        for (number, slot), tunnel_id in zip(places, ids, strict=True):
            pool = number % fleet.pools
            origins[pool].append(_origin(f"{tunnel_name(number)}-{slot}", tunnel_id, hostname(pool)))
        await asyncio.gather(
            *(
                self._balanced(pool, monitors[pool // POOLS_OF_A_CHECK], members)
                for pool, members in origins.items()
            )
        )

    async def _monitor(self) -> str:
        body = {"type": "https", "path": "/", "expected_codes": "200", "interval": 60, "description": "bare"}
        return await self._send("POST", f"{self._account}/load_balancers/monitors", body)

    async def _tunnel(self, number: int, slot: int) -> str:
        name = f"{tunnel_name(number)}-{slot}"
        body = {"name": name, "config_src": "cloudflare"}
        tunnel_id = await self._send("POST", f"{self._account}/cfd_tunnel", body)
        rules = [{"service": "http://web.default.svc:8080"}]
        path = f"{self._account}/cfd_tunnel/{tunnel_id}/configurations"
        await self._send("PUT", path, {"config": {"ingress": rules}})
        return tunnel_id

    async def _balanced(self, pool: int, monitor: str, origins: list[Json]) -> None:
        body: Json = {
            "name": pool_name(pool),
            "origins": origins,
            "monitor": monitor,
            "check_regions": ["WNAM"],
        }
        pool_id = await self._send("POST", f"{self._account}/load_balancers/pools", body)
        balancer = {
            "name": hostname(pool),
            "default_pools": [pool_id],
            "fallback_pool": pool_id,
            "proxied": True,
        }
        await self._send("POST", f"{self._zone}/load_balancers", balancer)

    async def _send(self, method: str, path: str, body: Json) -> str:
        async with self._gate:
            answer = await self._client.request(method, path, json=body)
        self.calls += 1
        answer.raise_for_status()
        return str(answer.json()["result"].get("id", ""))


def _origin(name: str, tunnel_id: str, host: str) -> Json:
    return {"name": name, "address": f"{tunnel_id}.cfargotunnel.com", "header": {"Host": [host]}}


async def main(wanted: Json) -> None:
    """Write the fleet and say how long it took."""
    fleet = Fleet(**wanted["fleet"])
    headers = {"Authorization": f"Bearer {wanted['token']}"}
    async with httpx.AsyncClient(base_url=wanted["api_url"], headers=headers, trust_env=False) as client:
        script = BareScript(client, wanted["account"], wanted["zone"], wanted["under_way"])
        await script.write(fleet)
    print(json.dumps({"calls": script.calls, "seconds": time.time() - wanted["started"]}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
