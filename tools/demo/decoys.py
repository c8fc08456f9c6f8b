"""Objects of somebody else's at the edge: tunnelpool must never touch what does not carry its mark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demo.edge import LocalEdge

MARKS = ("[tunnelpool/", "tunnelpool_")
COLLECTIONS = ("tunnels", "monitors", "pools", "load_balancers", "dns_records")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decoys:
    """The decoys as they were made: id to the bytes of the object."""

    objects: Mapping[str, str]

    def harmed(self, state: Json) -> list[str]:
        """Name the decoys that are not what they were, to the bit."""
        now = _by_id(state)
        return [f"{one}: {was} -> {now.get(one)}" for one, was in self.objects.items() if now.get(one) != was]


async def make_decoys(edge: LocalEdge, zone: str) -> Decoys:
    """Make an unmarked pool, load balancer, tunnel and DNS record in a zone."""
    account, zone_id = f"/accounts/{edge.facts.account_id}", edge.facts.zones[zone]
    origin = {"name": "theirs", "address": "192.0.2.10", "enabled": True}
    pool = await edge.rest(
        "POST",
        f"{account}/load_balancers/pools",
        {"name": "somebody-elses-pool", "origins": [origin], "check_regions": ["WNAM"]},
    )
    await edge.rest(
        "POST",
        f"/zones/{zone_id}/load_balancers",
        {
            "name": f"somebody-else.{zone}",
            "default_pools": [pool["id"]],
            "fallback_pool": pool["id"],
            "proxied": True,
        },
    )
    tunnel = await edge.rest(
        "POST", f"{account}/cfd_tunnel", {"name": "somebody-elses-tunnel", "config_src": "cloudflare"}
    )
    await edge.rest(
        "POST",
        f"/zones/{zone_id}/dns_records",
        {
            "type": "CNAME",
            "name": f"taken.{zone}",
            "content": f"{tunnel['id']}.cfargotunnel.com",
            "proxied": True,
            "ttl": 1,
        },
    )
    return Decoys(_by_id(await edge.state()))


def ours(state: Json) -> list[str]:
    """Name what carries a mark of tunnelpool; deleted tunnels, which the API keeps on record, aside."""
    return [
        f"{collection} {one.get('name') or one['id']}"
        for collection in COLLECTIONS
        for one in state[collection]
        if not one.get("deleted_at") and any(mark in json.dumps(one) for mark in MARKS)
    ]


def _by_id(state: Json) -> dict[str, str]:
    return {
        one["id"]: json.dumps(one, sort_keys=True) for collection in COLLECTIONS for one in state[collection]
    }
