"""Tokens that are replaced, revoked or lost while the operator runs, and several accounts in one operator."""

from __future__ import annotations

import asyncio

import pytest
from remote_account import ACCOUNT_ID, TOKEN, RemoteAccount
from resources import HOST, apply_quickstart, apply_tunnel, delete_all, patch
from running_world import LoopClock, World

from tunnelpool.build.ownership import owner_of
from tunnelpool.domain.remote import LoadBalancer, Pool, Tunnel, Zone
from tunnelpool.engine.credentials import PARTING_S, REREAD_S, SecretRef

pytestmark = pytest.mark.looptime(noop_cycles=1)

OWN = SecretRef("default", "own")
OTHER_ACCOUNT = "b" * 32
OTHER_HOST = "app.other.example"


async def _ready(world: World, **fields: object) -> None:
    apply_quickstart(world)
    for kind, name in (
        ("Tunnel", "web"),
        ("LBPool", "my-pool"),
        ("LBPool", "static"),
        ("HealthCheck", "web"),
    ):
        patch(world, kind, name, **fields)
    await world.start()
    await world.quiet()


async def test_a_new_token_is_used_within_a_minute_and_nothing_is_written_for_it(world: World) -> None:
    async with world:
        await _ready(world)
        world.remote.valid_tokens.add("next")
        world.set_credentials("next")
        before = world.writes()
        await asyncio.sleep(REREAD_S + 10)
        world.remote.valid_tokens.remove(TOKEN)
        await asyncio.sleep(600)
        assert world.is_ready()
        assert world.writes() == before
        patch(world, "Tunnel", "web", replicas=2)
        await world.until(lambda: len(world.remote.all(Tunnel)) == 2)


async def test_a_token_that_is_revoked_while_all_rests_is_told_and_the_next_one_heals(world: World) -> None:
    async with world:
        await _ready(world)
        world.remote.valid_tokens.clear()
        await world.until(
            lambda: world.condition("Tunnel", "web") == "False/CredentialsInvalid", within_s=130
        )
        assert world.condition("LBPool", "my-pool", "Stalled") == "True/CredentialsInvalid"
        assert len(world.remote.answering(HOST)) == 3, "nothing is taken apart for that"
        world.remote.valid_tokens.add("next")
        world.set_credentials("next")
        await world.until(world.is_ready, within_s=REREAD_S + 30)


async def test_a_refused_token_is_not_shown_to_cloudflare_again_and_again(world: World) -> None:
    async with world:
        await _ready(world)
        world.remote.valid_tokens.clear()
        await asyncio.sleep(3600)
        reads = 0

        def count(phase: str, call: str) -> None:
            nonlocal reads
            reads += (phase, call) == ("read", "secret")

        world.cluster.trip = count
        await asyncio.sleep(3600)
        assert reads <= 3600 / REREAD_S + 2


async def test_each_account_gets_what_its_credentials_open(world: World) -> None:
    async with world:
        other = RemoteAccount(LoopClock(), zones=(Zone("zone-other", "other.example"),))
        other.valid_tokens = {"other-token"}
        world.remotes[OTHER_ACCOUNT] = other
        world.set_credentials("other-token", OWN, OTHER_ACCOUNT)
        apply_tunnel(world, "here", replicas=1)
        apply_tunnel(
            world, "there", replicas=1, hostname=OTHER_HOST, credentialsRef={"name": "own"}, pool="my-pool-2"
        )
        await world.start()
        await world.quiet()
        assert [one.title for one in world.remote.all(LoadBalancer)] == [HOST]
        assert [one.title for one in other.all(LoadBalancer)] == [OTHER_HOST]
        assert [one.title for one in other.all(Pool)] == ["my-pool-2"]
        assert len(world.remote.all(Tunnel)) == len(other.all(Tunnel)) == 1
        delete_all(world)
        await world.until(lambda: not world.remains(), within_s=900)
        assert not [one for one in other.objects.values() if owner_of(one.value)]


async def test_one_pool_name_in_two_accounts_is_two_pools(world: World) -> None:
    async with world:
        other = RemoteAccount(LoopClock(), zones=(Zone("zone-other", "other.example"),))
        other.valid_tokens = {"other-token"}
        world.remotes[OTHER_ACCOUNT] = other
        world.set_credentials("other-token", SecretRef("team", "own"), OTHER_ACCOUNT)
        apply_tunnel(world, "here", replicas=1)
        spec = {
            "hostname": OTHER_HOST,
            "service": "http://web.team.svc:80",
            "pool": "my-pool",
            "replicas": 1,
            "credentialsRef": {"name": "own"},
        }
        world.cluster.apply("Tunnel", "there", spec, "team")
        await world.start()
        await world.quiet()
        assert world.condition("Tunnel", "here") == "True/Ready"
        assert [one.title for one in world.remote.all(Pool)] == ["my-pool"]
        assert [one.title for one in other.all(Pool)] == ["my-pool"]


async def test_what_is_deleted_together_with_its_secret_goes_all_the_same(world: World) -> None:
    async with world:
        world.set_credentials(TOKEN, OWN)
        await _ready(world, credentialsRef={"name": "own"})
        delete_all(world)  # as the deletion of a namespace does
        del world.cluster.secrets[OWN.namespace, OWN.name]
        await world.until(lambda: not world.remains(), within_s=300)
        assert not world.remote.objects


async def test_the_secret_may_go_a_moment_before_what_needs_it(world: World) -> None:
    async with world:
        world.set_credentials(TOKEN, OWN)
        await _ready(world, credentialsRef={"name": "own"})
        del world.cluster.secrets[OWN.namespace, OWN.name]
        await world.until(lambda: world.condition("Tunnel", "web") == "False/CredentialsMissing")
        await asyncio.sleep(PARTING_S / 2)
        delete_all(world)
        await world.until(lambda: not world.remains(), within_s=300)


async def _blocked(world: World) -> None:
    """Lose the Secret, and delete everything a good while later."""
    world.set_credentials(TOKEN, OWN)
    await _ready(world, credentialsRef={"name": "own"})
    del world.cluster.secrets[OWN.namespace, OWN.name]
    await world.until(lambda: world.condition("Tunnel", "web") == "False/CredentialsMissing")
    await asyncio.sleep(2 * PARTING_S)
    delete_all(world)
    await world.quiet()
    assert world.condition("Tunnel", "web") == "False/DeletionBlocked"
    message = world.message("Tunnel", "web")
    for way in ("create it", "take `credentialsRef` away", "`tunnelpool release`"):
        assert way in message
    assert len(world.remote.answering(HOST)) == 3


async def test_first_way_out_the_secret_is_restored(world: World) -> None:
    async with world:
        await _blocked(world)
        world.set_credentials(TOKEN, OWN)
        await world.until(lambda: not world.remains(), within_s=300)


async def test_second_way_out_the_operators_own_credentials(world: World) -> None:
    async with world:
        await _blocked(world)
        for raw in world.cluster.all("Tunnel", "LBPool", "HealthCheck"):
            patch(world, raw["kind"], raw["metadata"]["name"], credentialsRef=None)
        await world.until(lambda: not world.remains(), within_s=300)
        assert not world.remote.objects


async def test_credentials_that_are_no_text_are_refused_in_words(world: World) -> None:
    async with world:
        world.cluster.secrets["default", "own"] = {"apiToken": b"\xff\xfe", "accountId": ACCOUNT_ID.encode()}
        apply_tunnel(world, credentialsRef={"name": "own"})
        await world.start()
        await world.until(lambda: world.condition("Tunnel", "web").startswith("False/Credentials"))
