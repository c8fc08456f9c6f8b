"""From a manifest to an answered request, and to nothing again."""

from __future__ import annotations

from click.testing import CliRunner

from demo.scene import Scene
from demo.traffic import TUNNELS
from tunnelpool.cli import main

NO_ORIGINS = "no origin is in the pool, so it does not exist at Cloudflare: apply a Tunnel with `pool`"


async def test_the_printed_manifest_is_all_that_it_takes_to_be_served_through_a_pool(scene: Scene) -> None:
    asked = ["--hostname", scene.hostname, "--url", "http://web.default.svc:8080", "--lb-pool", scene.pool]
    printed = CliRunner().invoke(main, ["generate", "tunnel", *asked])
    assert printed.exit_code == 0, printed.output
    assert len(printed.output.splitlines()) <= 12
    await scene.apply(printed.output)
    await scene.wait_current()
    await scene.wait_answered_by(TUNNELS)
    assert [one for one in await scene.remote() if not one.startswith("tunnels")] == [
        f"pools {scene.pool}",
        f"load_balancers {scene.hostname}",
    ]


async def test_without_a_pool_a_hostname_is_served_by_a_record_and_no_load_balancer(scene: Scene) -> None:
    await scene.tunnel(pool=None)
    await scene.wait_current()
    await scene.wait_answered_by(TUNNELS)
    kinds = {one.partition(" ")[0] for one in await scene.remote()}
    assert kinds == {"tunnels", "dns_records"}
    await scene.delete("tunnel", "web")
    assert await scene.remote() == []


async def test_a_pool_without_tunnels_says_that_it_needs_one_and_leaves_nothing(scene: Scene) -> None:
    await scene.put("LBPool", scene.pool, {"minimumOrigins": 2})
    message = await scene.wait_reason("lbpools", scene.pool, "NoOrigins")
    assert message.startswith(NO_ORIGINS)
    assert await scene.remote() == []
    await scene.delete("lbpool", scene.pool)
    assert await scene.remote() == []


async def test_a_tunnel_scaled_to_none_says_so_and_comes_back(scene: Scene) -> None:
    await scene.tunnel(replicas=2)
    await scene.wait_current()
    await scene.wait_answered_by(TUNNELS)
    await scene.tunnel(replicas=0)
    message = await scene.wait_reason("tunnels", "web", "NoOrigins")
    assert message == "`replicas` is 0: no connector runs and nothing answers"
    assert (await scene.status("tunnels", "web")).get("readyReplicas", 0) == 0
    await scene.wait_nothing_remote()
    await scene.tunnel(replicas=2)
    await scene.wait_current()
    await scene.wait_answered_by(TUNNELS)
    assert (await scene.status("tunnels", "web"))["readyReplicas"] == 2


async def test_the_pool_goes_with_the_last_of_its_tunnels_not_with_the_first(scene: Scene) -> None:
    await scene.tunnel("first", replicas=1)
    await scene.tunnel("second", replicas=1)
    await scene.wait_current()
    await scene.delete("tunnel", "first")
    await scene.wait_answered_by(TUNNELS)
    await scene.wait_current()
    assert (await scene.status("tunnels", "second"))["pool"]["origins"] == 1
    assert f"load_balancers {scene.hostname}" in await scene.remote()
    await scene.delete("tunnel", "second")
    assert await scene.remote() == []
