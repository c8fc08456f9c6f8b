"""Cloudflare's address ranges stand in a ConfigMap and in the status of pools that need them."""

from __future__ import annotations

from typing import Any

import pytest
from resources import apply_static, apply_tunnel
from running_world import World

from tunnelpool.domain.address_ranges import AddressRanges
from tunnelpool.domain.errors import UnavailableError
from tunnelpool.engine.address_keeper import CONFIG_MAP_NAME, EVERY_S

pytestmark = pytest.mark.looptime(noop_cycles=1)
NAMESPACE = "tunnelpool-system"
OTHERS = AddressRanges.of(["198.51.100.0/24", "173.245.48.0/20"], ["2400:cb00::/32"])


def published(world: World) -> dict[str, Any]:
    """Read the data of the ConfigMap; empty if there is none."""
    raw = world.cluster.get("ConfigMap", CONFIG_MAP_NAME, NAMESPACE)
    return dict(raw["data"]) if raw else {}


async def test_a_pool_of_addresses_makes_the_ranges_known_where_a_firewall_finds_them(world: World) -> None:
    async with world:
        apply_static(world)
        await world.start()
        await world.quiet()
        assert published(world) == {
            "ipv4": "173.245.48.0/20\n",
            "ipv6": "2400:cb00::/32\n",
            "ranges": '["173.245.48.0/20", "2400:cb00::/32"]',
        }
        assert world.status("LBPool", "static")["addressRanges"] == ["173.245.48.0/20", "2400:cb00::/32"]


async def test_who_has_no_address_origins_is_not_bothered(world: World) -> None:
    async with world:
        apply_tunnel(world)
        world.cluster.apply("LBPool", "my-pool", {"minimumOrigins": 1})
        await world.start()
        await world.quiet()
        assert published(world) == {}
        assert "addressRanges" not in world.status("LBPool", "my-pool")


async def test_new_ranges_are_seen_within_a_day_and_cost_one_write_each(world: World) -> None:
    async with world:
        apply_static(world)
        await world.start()
        await world.quiet()
        written = len(world.cluster.log)
        world.remote.address_ranges = OTHERS
        await world.until(lambda: "198.51.100.0/24" in published(world).get("ranges", ""), EVERY_S + 60)
        await world.quiet()
        assert world.status("LBPool", "static")["addressRanges"] == list(OTHERS.all)
        assert sorted(world.cluster.log[written:]) == [
            f"ApplyObject ConfigMap {NAMESPACE}/{CONFIG_MAP_NAME}",
            "status LBPool default/static",
        ]


async def test_a_restart_writes_nothing_also_while_the_ranges_cannot_be_read(world: World) -> None:
    async with world:
        apply_static(world)
        await world.start()
        await world.quiet()
        written = world.writes()
        await world.restart()
        await world.quiet()
        assert world.writes() == written

        def fail(phase: str, call: str) -> None:
            if (phase, call) == ("read", "address ranges"):
                raise UnavailableError("no answer")

        world.trip(fail)
        await world.restart()
        await world.quiet()
        assert world.writes() == written
        assert world.condition("LBPool", "static") == "True/Ready"


async def test_a_config_map_of_that_name_that_is_not_ours_is_left_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world:
        meta = {"name": CONFIG_MAP_NAME, "namespace": NAMESPACE}
        theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"ipv4": "mine"}}
        world.cluster.write(theirs)
        apply_static(world)
        await world.start()
        await world.quiet()
        assert published(world) == {"ipv4": "mine"}
        assert "is left alone" in caplog.text


async def test_what_somebody_adds_stays_and_what_somebody_changes_is_set_right(world: World) -> None:
    async with world:
        apply_static(world)
        await world.start()
        await world.quiet()
        there = world.cluster.get("ConfigMap", CONFIG_MAP_NAME, NAMESPACE)
        assert there is not None
        world.cluster.write({**there, "data": {**there["data"], "ipv4": "0.0.0.0/0\n"}})
        await world.until(lambda: published(world)["ipv4"] == "173.245.48.0/20\n", EVERY_S + 60)
