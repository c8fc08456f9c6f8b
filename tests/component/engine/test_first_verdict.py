"""A verdict that is still to come is asked for soon, not left to the next listing a minute later."""

from __future__ import annotations

import pytest
from resources import apply_quickstart
from running_world import World

pytestmark = pytest.mark.looptime(noop_cycles=1)


async def test_an_origin_that_is_back_is_called_healthy_soon_after_its_first_probe(world: World) -> None:
    def is_healthy() -> bool:
        told = (world.status("Tunnel", "web")["pool"], world.status("LBPool", "my-pool"))
        return [one["health"] for one in told] == ["healthy", "healthy"]

    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        for _ in range(4):  # once, a listing might have been due just then
            world.pods.kill("web-connector-1", hold=True)
            await world.until(lambda: world.enabled("my-pool") == {"0", "2"}, within_s=5)
            world.pods.release("web-connector-1")
            await world.until(lambda: world.enabled("my-pool") == {"0", "1", "2"}, within_s=30)
            world.remote.probe()
            await world.until(is_healthy, within_s=10)
