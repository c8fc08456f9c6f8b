"""Sweeps: by listings only, each kind within its age, and what differs is set right."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from resources import apply_quickstart, apply_tunnel
from running_world import World

from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Monitor, Pool, RemoteValue, Tunnel

pytestmark = pytest.mark.looptime(noop_cycles=1)

FAST_S, SLOW_S = 60.0, 300.0
TICKS_S = 10.0


async def _at_rest(world: World) -> None:
    apply_quickstart(world)
    apply_tunnel(world, "plain", hostname="plain.example.com", pool=None, replicas=1)
    await world.start()
    await world.quiet()


async def test_at_rest_an_hour_is_listings_only_and_no_write(world: World) -> None:
    async with world:
        await _at_rest(world)
        calls: Counter[str] = Counter()
        world.remote.trip = lambda phase, call: calls.update(
            [call] if phase == "read" else [f"{phase} {call}"]
        )
        before = world.writes()
        await asyncio.sleep(3600)
        assert world.writes() == before
        rounds = calls.pop("configuration")
        assert rounds <= 7, "one at a time, at most every ten minutes"
        assert {call for call in calls if not call.startswith("list ")} <= {"zones"}
        assert 50 <= calls["list pools"] <= 61
        assert 50 <= calls["list tunnels"] <= 61
        for kind in ("monitors", "load balancers", "DNS records"):
            assert 10 <= calls[f"list {kind}"] <= 13, kind


EDITS: dict[str, tuple[type[RemoteValue], float, Callable[..., RemoteValue]]] = {
    "pool": (Pool, FAST_S, lambda value: replace(value, minimum_origins=value.minimum_origins + 1)),
    "monitor": (Monitor, SLOW_S, lambda value: replace(value, path="/somebody-else-s")),
    "load balancer": (LoadBalancer, SLOW_S, lambda value: replace(value, steering_policy="random")),
    "record": (DnsRecord, SLOW_S, lambda value: replace(value, proxied=False)),
}


@pytest.mark.parametrize("kind", list(EDITS))
async def test_an_edit_in_the_dashboard_is_seen_within_its_age_and_set_right(world: World, kind: str) -> None:
    model, age_s, edit = EDITS[kind]
    async with world:
        await _at_rest(world)
        observed = world.remote.all(model)[0]
        world.remote.objects[observed.id] = replace(observed, value=edit(observed.value))
        await world.until(
            lambda: world.remote.objects[observed.id].value == observed.value, within_s=age_s + TICKS_S
        )


@pytest.mark.parametrize("kind", [*EDITS, "tunnel"])
async def test_what_is_deleted_in_the_dashboard_is_made_again_within_its_age(world: World, kind: str) -> None:
    model, age_s, _ = EDITS.get(kind, (Tunnel, FAST_S, lambda value: value))
    async with world:
        await _at_rest(world)
        count = len(world.remote.all(model))
        observed = world.remote.all(model)[0]
        if kind == "pool":  # Cloudflare would not delete one that is referred to
            (balancer,) = world.remote.all(LoadBalancer)
            del world.remote.objects[balancer.id]
        if kind == "monitor":
            for pool in world.remote.all(Pool):
                world.remote.objects[pool.id] = replace(pool, value=replace(pool.value, monitor=""))
        del world.remote.objects[observed.id]
        await world.until(lambda: len(world.remote.all(model)) == count, within_s=age_s + TICKS_S)
        await world.until(world.is_ready, within_s=SLOW_S + 300)
