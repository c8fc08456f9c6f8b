"""Services that are no HTTP: taken as cloudflared takes them, refused where a health check would ask them."""

from __future__ import annotations

import pytest
from resources import apply_tunnel
from running_world import World

from tunnelpool.domain.json import thaw
from tunnelpool.domain.remote import DnsRecord, Pool
from tunnelpool.plan.steps import PutConfiguration

pytestmark = pytest.mark.looptime(noop_cycles=1)

SSH = "ssh://bastion.default.svc:22"


def checked_pool(world: World) -> None:
    world.cluster.apply("LBPool", "my-pool", {"healthCheckRef": {"name": "web"}})
    world.cluster.apply("HealthCheck", "web", {"path": "/"})


@pytest.mark.parametrize(
    "service", [SSH, "tcp://db:5432", "unix:/run/a.sock", "http_status:503", "hello_world"]
)
async def test_a_service_stands_in_the_configuration_as_it_is_given(world: World, service: str) -> None:
    async with world:
        apply_tunnel(world, pool=None, service=service)
        await world.start()
        await world.quiet()
        assert world.is_ready(), world.message("Tunnel", "web")
        (config,) = [step.config for step in world.remote.log if isinstance(step, PutConfiguration)]
        assert thaw(config)["ingress"][0]["service"] == service
        assert world.remote.only(DnsRecord).value.type == "CNAME"


async def test_a_stream_joins_a_pool_that_nobody_checks(world: World) -> None:
    async with world:
        apply_tunnel(world, service=SSH)
        await world.start()
        await world.quiet()
        assert world.is_ready(), world.message("Tunnel", "web")
        assert len(world.remote.named(Pool, "my-pool").value.origins) == 2


async def test_a_stream_in_a_pool_with_a_health_check_is_refused_in_words(world: World) -> None:
    async with world:
        checked_pool(world)
        apply_tunnel(world, service=SSH)
        await world.start()
        await world.quiet()
        for kind, name in (("Tunnel", "web"), ("LBPool", "my-pool")):
            assert world.condition(kind, name) == "False/HealthCheckNotSupported"
            assert SSH in world.message(kind, name)
        assert world.remote.all(Pool) == []


async def test_only_the_service_that_a_health_check_meets_must_speak_http(world: World) -> None:
    async with world:
        checked_pool(world)
        apply_tunnel(world, ingress=[{"hostname": "ssh.example.com", "service": SSH}])
        await world.start()
        await world.quiet()
        assert world.is_ready(), world.message("Tunnel", "web")


async def test_a_socket_can_be_asked_by_a_health_check(world: World) -> None:
    async with world:
        checked_pool(world)
        apply_tunnel(world, service="unix:/run/app.sock")
        await world.start()
        await world.quiet()
        assert world.is_ready(), world.message("Tunnel", "web")
