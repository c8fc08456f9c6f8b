"""What cannot be done is said in words that name what to do, and nothing is broken by it (law 8)."""

from __future__ import annotations

import asyncio

import pytest
from remote_account import ACCOUNT_ID, TOKEN
from resources import HOST, apply_quickstart, apply_static, apply_tunnel, patch, tunnel
from running_world import World

from tunnelpool.domain.errors import HostHeaderError, InvalidError, PlanError
from tunnelpool.domain.ownership import Mark, Owner
from tunnelpool.domain.remote import DnsRecord, LoadBalancer, Origin, Pool, Tunnel
from tunnelpool.engine.credentials import PARTING_S, SecretRef

pytestmark = pytest.mark.looptime(noop_cycles=1)


def is_stalled(world: World, kind: str, name: str) -> bool:
    """Tell whether a resource waits for a person."""
    return world.condition(kind, name, "Stalled").startswith("True/")


async def test_a_mixed_pool_is_refused_and_gets_no_load_balancer(world: World) -> None:
    async with world:
        apply_static(world)
        apply_tunnel(world, pool="static")
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/MixedPool"
        assert is_stalled(world, "Tunnel", "web")
        assert world.message("Tunnel", "web").endswith("never both: name another pool")
        assert world.condition("LBPool", "static") == "True/Ready"
        assert not world.remote.all(LoadBalancer)
        world.cluster.delete("Tunnel", "web")
        await world.quiet()
        assert world.cluster.get("Tunnel", "web") is None
        assert not world.remote.all(Tunnel)


async def test_a_hostname_outside_every_zone_is_refused(world: World) -> None:
    async with world:
        apply_tunnel(world, hostname="app.elsewhere.net")
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/ZoneNotFound"
        assert is_stalled(world, "Tunnel", "web")
        assert "'app.elsewhere.net'" in world.message("Tunnel", "web")


@pytest.mark.parametrize("pool", ["my-pool", None])
async def test_a_foreign_dns_record_is_never_beaten_nor_touched(world: World, pool: str | None) -> None:
    async with world:
        record = DnsRecord(HOST, "A", "192.0.2.7")
        id_ = world.remote.put(record, "zone-com")
        apply_tunnel(world, pool=pool)
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/HostnameInUse"
        assert is_stalled(world, "Tunnel", "web")
        assert f"A '{HOST}' to '192.0.2.7' exists" in world.message("Tunnel", "web")
        assert world.remote.only(DnsRecord).value == record
        assert not world.remote.all(LoadBalancer)
        del world.remote.objects[id_]
        await world.quiet(for_s=400)
        assert world.is_ready()


async def test_a_foreign_load_balancer_is_left_alone(world: World) -> None:
    async with world:
        pool = world.remote.put(Pool("p", (Origin("o", "192.0.2.1"),), check_regions=("WEU",)))
        balancer = LoadBalancer(HOST, (pool,), pool)
        world.remote.put(balancer, "zone-com")
        apply_tunnel(world)
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/HostnameInUse"
        assert world.remote.only(LoadBalancer).value == balancer
        world.cluster.delete("Tunnel", "web")
        await world.quiet()
        assert not world.remains()
        assert world.remote.only(LoadBalancer).value == balancer


async def test_a_foreign_pool_is_left_alone_and_the_tunnel_says_so(world: World) -> None:
    async with world:
        theirs = Pool("my-pool", (Origin("o", "192.0.2.1"),), check_regions=("WEU",))
        world.remote.put(theirs)
        apply_tunnel(world)
        world.cluster.apply("LBPool", "my-pool", {})
        await world.start()
        await world.quiet()
        assert world.condition("LBPool", "my-pool") == "False/NameInUse"
        assert world.condition("Tunnel", "web") == "False/NameInUse"
        world.cluster.delete("Tunnel", "web")
        world.cluster.delete("LBPool", "my-pool")
        await world.quiet()
        assert not world.remains()
        assert world.remote.only(Pool).value == theirs


async def test_a_cloned_cluster_touches_nothing_of_the_original(world: World) -> None:
    async with world:
        original = Mark(Owner("here", "ffffffff"), "pool/my-pool")
        theirs = Pool("my-pool", (Origin("o", "192.0.2.1"),), str(original), check_regions=("WEU",))
        world.remote.put(theirs)
        apply_tunnel(world)
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/ClusterNameTaken"
        assert "another clusterName" in world.message("Tunnel", "web")
        assert world.remote.only(Pool).value == theirs


async def test_a_missing_secret_is_named_and_work_begins_once_it_is_there(world: World) -> None:
    async with world:
        world.cluster.secrets.clear()
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        for kind, name in (("Tunnel", "web"), ("LBPool", "my-pool"), ("HealthCheck", "web")):
            assert world.condition(kind, name) == "False/CredentialsMissing"
            assert is_stalled(world, kind, name)
            assert "Secret 'tunnelpool-system/cloudflare-credentials' must exist" in world.message(kind, name)
        assert not world.remote.objects
        world.set_credentials(TOKEN)
        await world.quiet()
        assert world.is_ready()


async def test_without_credentials_ever_a_resource_can_still_be_deleted(world: World) -> None:
    async with world:
        world.cluster.secrets.clear()
        apply_quickstart(world)
        await world.start()
        await world.quiet(for_s=20)
        for raw in world.cluster.all("Tunnel", "LBPool", "HealthCheck"):
            world.cluster.delete(raw["kind"], raw["metadata"]["name"])
        await world.quiet(for_s=20)
        assert not world.cluster.all("Tunnel", "LBPool", "HealthCheck")


async def test_a_wrong_token_is_named_and_nothing_shows_it(world: World) -> None:
    async with world:
        world.set_credentials("not-the-token")
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/CredentialsInvalid"
        assert "Cloudflare refuses the token of Secret" in world.message("Tunnel", "web")
        assert "not-the-token" not in str(world.cluster.all())
        world.set_credentials(TOKEN)
        await world.quiet()
        assert world.is_ready()


async def test_credentials_that_go_block_a_deletion_and_it_ends_once_they_are_back(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        world.cluster.secrets.clear()
        await world.until(lambda: world.condition("Tunnel", "web") == "False/CredentialsMissing")
        await asyncio.sleep(PARTING_S + 1)
        world.cluster.delete("Tunnel", "web")
        await world.quiet(for_s=30)
        assert world.condition("Tunnel", "web") == "False/DeletionBlocked"
        assert "must exist" in world.message("Tunnel", "web")
        assert len(world.remote.answering(HOST)) == 3
        world.set_credentials(TOKEN)
        await world.quiet()
        assert world.cluster.get("Tunnel", "web") is None
        assert not world.remote.all(Tunnel)


async def test_an_account_without_load_balancing_is_named(world: World) -> None:
    async with world:
        world.remote.has_load_balancing = False
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        for kind, name in (("Tunnel", "web"), ("LBPool", "static"), ("HealthCheck", "web")):
            assert world.condition(kind, name) == "False/LoadBalancingNotEnabled", (kind, name)
            assert is_stalled(world, kind, name)
        world.remote.has_load_balancing = True
        await world.quiet(for_s=400)
        assert world.is_ready()


async def test_a_refusal_is_not_asked_for_again_and_again(world: World) -> None:
    async with world:
        world.remote.has_load_balancing = False
        apply_tunnel(world)
        calls: list[str] = []
        await world.start()
        await world.quiet()
        world.trip(lambda phase, call: calls.append(call) if phase == "before" else None)
        await world.quiet(for_s=600)
        assert calls.count("Create") <= 10


async def test_of_two_namespaces_with_one_hostname_the_older_wins_and_the_loser_can_go(world: World) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet(for_s=30)
        pool = world.remote.only(Pool).value
        world.cluster.apply("Tunnel", "web", tunnel(pool="my-pool"), "staging")
        world.cluster.apply("LBPool", "my-pool", {"minimumOrigins": 2}, "staging")
        await world.quiet()
        for kind, name in (("Tunnel", "web"), ("LBPool", "my-pool")):
            assert world.condition(kind, name, namespace="staging") == "False/Conflict", kind
            assert "Tunnel default/web is older" in world.message(kind, name, "staging")
        assert world.remote.only(Pool).value == pool
        world.cluster.delete("Tunnel", "web", "staging")
        world.cluster.delete("LBPool", "my-pool", "staging")
        await world.quiet()
        assert world.cluster.get("Tunnel", "web", "staging") is None
        assert world.cluster.get("LBPool", "my-pool", "staging") is None
        assert world.remote.only(Pool).value == pool
        assert world.is_ready()


async def test_a_missing_health_check_is_named_and_does_not_keep_a_tunnel_from_going(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        patch(world, "LBPool", "my-pool", healthCheckRef={"name": "nowhere"})
        await world.quiet()
        assert world.condition("LBPool", "my-pool") == "False/HealthCheckNotFound"
        assert "HealthCheck 'nowhere' must exist" in world.message("LBPool", "my-pool")
        assert len(world.remote.answering(HOST)) == 3
        patch(world, "Tunnel", "web", replicas=2)
        await world.quiet()
        assert len(world.remote.all(Tunnel)) == 2
        world.cluster.delete("Tunnel", "web")
        await world.quiet()
        assert world.cluster.get("Tunnel", "web") is None


async def test_a_missing_fallback_is_named(world: World) -> None:
    async with world:
        apply_tunnel(world)
        world.cluster.apply("LBPool", "my-pool", {"fallbackRef": {"name": "nowhere"}})
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "web") == "False/FallbackNotFound"
        assert "LBPool 'nowhere' must exist" in world.message("Tunnel", "web")
        apply_static(world, "nowhere")
        await world.quiet()
        assert world.is_ready()


async def test_a_load_balancer_that_names_an_unknown_pool_says_so(world: World) -> None:
    async with world:
        world.cluster.apply("LoadBalancer", "web", {"hostname": HOST, "pools": ["nowhere"]})
        await world.start()
        await world.quiet()
        assert world.condition("LoadBalancer", "web") == "False/PoolNotFound"
        apply_static(world, "nowhere")
        await world.quiet()
        assert world.is_ready()


async def test_a_fallback_without_tls_is_refused_or_said(world: World) -> None:
    async with world:
        world.remote.ssl_mode = "flexible"
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        assert world.condition("LBPool", "static", "TLSEnforced") == "False/TLSNotEnforced"
        assert world.remote.named(Pool, "static").value.origins[0].port == 443
        world.cluster.apply("HealthCheck", "plain", {"type": "http"})
        patch(world, "LBPool", "static", healthCheckRef={"name": "plain"})
        await world.quiet()
        assert world.condition("LBPool", "static") == "False/TLSRequired"
        assert is_stalled(world, "LBPool", "static")


async def test_a_threshold_without_health_check_is_said_to_have_no_effect(world: World) -> None:
    async with world:
        apply_tunnel(world)
        world.cluster.apply("LBPool", "my-pool", {"minimumOrigins": 2})
        await world.start()
        await world.quiet()
        assert world.condition("LBPool", "my-pool", "Healthy") == "Unknown/ThresholdNeedsHealthCheck"


async def test_a_resource_is_worked_on_with_the_secret_that_it_names(world: World) -> None:
    async with world:
        own = SecretRef("default", "own")
        world.set_credentials(TOKEN, own)
        apply_tunnel(world)
        apply_tunnel(world, "org", hostname="my.example.org", pool="org-pool", credentialsRef={"name": "own"})
        await world.start()
        await world.quiet(for_s=30)
        assert world.is_ready()
        assert {one.title for one in world.remote.all(LoadBalancer)} == {HOST, "my.example.org"}
        assert world.operator is not None
        assert world.operator.credentials.account_id(own) == ACCOUNT_ID


async def test_a_resource_that_cannot_be_read_says_so_and_nothing_that_it_has_a_say_about_is_touched(
    world: World,
) -> None:
    async with world:
        apply_quickstart(world)
        world.cluster.apply(
            "LoadBalancer", "web", {"hostname": HOST, "pools": ["my-pool"], "fallbackRef": {"name": "static"}}
        )
        await world.start()
        await world.quiet()
        written = len(world.remote.log)
        for kind, name, broken in (
            ("Tunnel", "web", {"replicas": -1}),
            ("LBPool", "my-pool", {"minimumOrigins": "many"}),
            ("LBPool", "static", {"origins": [{"name": "bad name"}]}),
            ("HealthCheck", "web", {"type": "carrier pigeon"}),
            ("LoadBalancer", "web", {"steeringPolicy": "wild"}),
        ):
            patch(world, kind, name, **broken)
            await world.quiet(for_s=20)
            assert world.condition(kind, name) == "False/InvalidSpec", kind
            assert f"{kind} default/{name}: spec.{next(iter(broken))}" in world.message(kind, name)
        await world.restart()
        await world.quiet()
        assert len(world.remote.log) == written
        assert len(world.remote.answering(HOST)) == 3
        patch(world, "Tunnel", "web", replicas=3)
        patch(world, "LBPool", "my-pool", minimumOrigins=2)
        apply_static(world)
        patch(world, "HealthCheck", "web", type="https")
        patch(world, "LoadBalancer", "web", steeringPolicy="off")
        await world.quiet()
        assert len(world.remote.log) == written
        assert world.is_ready()


async def test_a_pool_of_addresses_that_came_after_a_tunnel_elsewhere_can_go(world: World) -> None:
    async with world:
        apply_tunnel(world)
        await world.start()
        await world.quiet(for_s=30)
        pool = world.remote.only(Pool).value
        apply_static(world, "unrelated")
        origin = {"name": "theirs", "address": "192.0.2.9"}
        world.cluster.apply("LBPool", "my-pool", {"origins": [origin]}, "staging")
        await world.quiet(for_s=30)
        assert world.condition("LBPool", "my-pool", namespace="staging") == "False/Conflict"
        world.cluster.delete("LBPool", "my-pool", "staging")
        await world.quiet(for_s=30)
        assert world.cluster.get("LBPool", "my-pool", "staging") is None
        assert world.remote.named(Pool, "my-pool").value == pool


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PlanError("`intervalSeconds` must lie between 60 and 3600"), "PlanLimit"),
        (HostHeaderError("the Host header must be of a zone"), "HostNotAllowed"),
        (InvalidError("Cloudflare refuses it: odd"), "RefusedByCloudflare"),
    ],
)
async def test_what_cloudflare_refuses_stalls_its_resource_in_words(
    world: World, error: InvalidError, reason: str
) -> None:
    def refuse(phase: str, call: str) -> None:
        if (phase, call) == ("before", "Create"):
            raise error

    async with world:
        world.cluster.apply("HealthCheck", "web", {"path": "/healthz"})
        world.remote.trip = refuse
        await world.start()
        await world.quiet(for_s=30)
        assert world.condition("HealthCheck", "web") == f"False/{reason}"
        assert is_stalled(world, "HealthCheck", "web")
        assert world.message("HealthCheck", "web") == error.message
        world.remote.trip = lambda _phase, _call: None
        patch(world, "HealthCheck", "web", path="/other")
        await world.quiet()
        assert world.is_ready()


async def test_a_resource_that_cannot_be_read_and_is_deleted_says_what_to_do_and_goes_once_it_is_done(
    world: World,
) -> None:
    async with world:
        apply_static(world)
        await world.start()
        await world.quiet()
        patch(world, "LBPool", "static", minimumOrigins="many")
        world.cluster.delete("LBPool", "static")
        await world.quiet(for_s=20)
        assert world.condition("LBPool", "static", "Stalled") == "True/DeletionBlocked"
        for said in ("spec.minimumOrigins", "Correct the spec", "`tunnelpool release`"):
            assert said in world.message("LBPool", "static")
        patch(world, "LBPool", "static", minimumOrigins=1)
        await world.until(lambda: not world.remains())
