"""The brake: of what belongs to no resource any more a little is cleaned up, much is held (law 9)."""

from __future__ import annotations

from typing import Any

import pytest
from resources import KINDS, apply_quickstart, apply_static, apply_tunnel
from running_world import World

from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Pool, Tunnel

pytestmark = pytest.mark.looptime(noop_cycles=1)


def _lose(world: World, *names: str) -> list[dict[str, Any]]:
    """Let resources vanish without waiting for anybody; all of them if none is named."""
    lost = [raw for raw in world.cluster.all(*KINDS) if not names or raw["metadata"]["name"] in names]
    for raw in lost:
        kind, meta = raw["kind"], raw["metadata"]
        world.cluster.delete(kind, meta["name"], meta["namespace"])
        now = world.cluster.get(kind, meta["name"], meta["namespace"])
        if now is not None:
            world.cluster.write({**now, "metadata": {**now["metadata"], "finalizers": []}})
    return lost


async def _ready(world: World) -> None:
    apply_quickstart(world)
    await world.start()
    await world.quiet()


@pytest.mark.parametrize("running", [True, False])
async def test_when_all_resources_vanish_nothing_is_deleted_and_the_log_says_what_to_do(
    world: World, caplog: pytest.LogCaptureFixture, *, running: bool
) -> None:
    async with world:
        await _ready(world)
        before = dict(world.remote.objects)
        if not running:
            await world.stop()
        _lose(world)
        operator = world.operator if running else await world.start()
        await world.quiet(for_s=700)
        assert world.remote.objects == before
        assert "too many to be meant" in caplog.text
        assert "TUNNELPOOL_MASS_DELETION" in caplog.text
        assert operator is not None
        assert {kind for kind, result in operator.meter.results if result == "held"} >= {"host"}


async def test_with_the_setting_all_of_it_is_deleted(world: World) -> None:
    async with world:
        await _ready(world)
        _lose(world)
        await world.stop()
        world.mass_deletion = True
        await world.start()
        await world.quiet()
        assert not world.remains()


async def test_resources_that_come_back_find_everything_as_it_was(world: World) -> None:
    async with world:
        await _ready(world)
        before = {id_ for id_, one in world.remote.objects.items() if not isinstance(one.value, Tunnel)}
        for raw in _lose(world):
            world.cluster.apply(raw["kind"], raw["metadata"]["name"], raw["spec"])
        await world.quiet()
        assert world.is_ready()
        assert before <= set(world.remote.objects)
        assert len(world.remote.all(LoadBalancer)) == 1


async def test_few_remains_are_cleaned_up_without_a_question(world: World) -> None:
    async with world:
        apply_static(world, "spare")
        await _ready(world)
        assert world.remote.named(Pool, "spare")
        _lose(world, "spare")
        await world.quiet(for_s=400)
        assert "spare" not in {one.title for one in world.remote.all(Pool)}


async def test_of_much_a_fifth_may_go(world: World) -> None:
    async with world:
        for number in range(10):
            apply_tunnel(world, f"web-{number}", replicas=2, pool=f"pool-{number}")
        await world.start()
        await world.quiet()
        count = len(world.remote.all(Tunnel))
        _lose(world, "web-3", "web-4")
        await world.quiet(for_s=400)
        assert len(world.remote.all(Tunnel)) == count - 4, "six objects of thirty"


async def test_what_tunnels_leave_by_a_change_of_their_spec_is_no_remains(world: World) -> None:
    async with world:
        names = [f"web-{number}" for number in range(5)]
        for name in names:
            apply_tunnel(world, name, replicas=1, pool=f"old-{name}")
        await world.start()
        await world.quiet()
        for name in names:
            apply_tunnel(world, name, replicas=1, pool=f"new-{name}")
        await world.quiet(for_s=400)
        assert world.is_ready()
        assert not any(one.title.startswith("old-") for one in world.remote.objects.values())


@pytest.mark.parametrize("pool", ["my-pool", None])
async def test_what_answers_for_a_hostname_that_nobody_claims_is_found_after_a_start(
    world: World, pool: str | None
) -> None:
    async with world:
        apply_tunnel(world, "keeps", replicas=2, hostname="keeps.example.org", pool="keeps")
        apply_tunnel(world, replicas=1, pool=pool)
        await world.start()
        await world.quiet()
        await world.stop()
        (lost,) = _lose(world, "web")
        for child in world.cluster.all("Deployment", "Secret", "Pod"):
            if child["metadata"]["labels"]["tunnelpool.dev/tunnel"] == lost["metadata"]["name"]:
                world.cluster.delete(child["kind"], child["metadata"]["name"])
        for one in world.remote.all(Tunnel):  # somebody has tidied up, and forgotten what answers
            if "_web_" in one.title:
                del world.remote.objects[one.id]
        await world.start()
        await world.quiet(for_s=400)
        assert {one.title for one in world.remote.all(DnsRecord)} == set()
        assert {one.title for one in world.remote.all(LoadBalancer)} == {"keeps.example.org"}
