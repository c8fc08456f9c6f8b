"""Origins are kept until something that they are made of changes: what is kept is what a fresh look shows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from resources import annotate, apply_quickstart, patch
from running_world import World

from tunnelpool.build.snapshot import Slot
from tunnelpool.engine.gather.kept_origins import KeptOrigins
from tunnelpool.engine.gather.origins import Origins

pytestmark = pytest.mark.looptime(noop_cycles=1)


class Comparison:
    """Lays what is kept beside a fresh look, each time that somebody asks."""

    def __init__(self) -> None:
        self.asked = self.fresh = 0
        self._kept, self._fresh = KeptOrigins.slots, Origins.slots

    def install(self, patcher: pytest.MonkeyPatch) -> None:
        """Compare from now on."""
        comparison = self

        def slots(origins: KeptOrigins, *question: Any) -> tuple[Slot, ...]:
            return comparison.compared(origins, *question)

        def looked(origins: Origins, *question: Any) -> tuple[Slot, ...]:
            comparison.fresh += 1
            return comparison._fresh(origins, *question)

        patcher.setattr(Origins, "slots", looked)
        patcher.setattr(KeptOrigins, "slots", slots)

    def compared(self, origins: KeptOrigins, *question: Any) -> tuple[Slot, ...]:
        """Answer from memory, if it holds what there is."""
        self.asked += 1
        kept, there = self._kept(origins, *question), self._fresh(origins, *question)
        assert [_timeless(slot) for slot in kept] == [_timeless(slot) for slot in there]
        for one, other in zip(kept, there, strict=True):
            assert one.running_for_s == pytest.approx(other.running_for_s)
        return kept


def _timeless(slot: Slot) -> Slot:
    return replace(slot, running_for_s=0.0)


async def test_what_is_kept_is_what_a_fresh_look_shows_and_saves_most_of_the_looks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = Comparison()
    comparison.install(monkeypatch)
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        world.pods.kill("web-connector-1", hold=True)
        await asyncio.sleep(20)
        world.pods.release("web-connector-1")
        await world.quiet()
        patch(world, "Tunnel", "web", replicas=2, weight=0.5)
        await world.quiet()
        annotate(world, "Tunnel", "web", rotate="now")
        await world.quiet()
        world.cluster.delete("Tunnel", "web")
        await world.quiet()
        assert "Tunnel" not in {raw["kind"] for raw in world.cluster.all()}
    assert comparison.asked > 100
    assert comparison.fresh < comparison.asked / 2
