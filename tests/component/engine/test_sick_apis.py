"""Errors of either API: told in a condition, tried again with growing pauses, never in a storm."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator

import pytest
from resources import KINDS, apply_quickstart, apply_tunnel, delete_all
from running_world import World

from tunnelpool.domain.errors import (
    ActiveConnectionsError,
    ApiError,
    InvalidError,
    MissingPermissionError,
    RateLimitedError,
    StillReferencedError,
    UnavailableError,
)
from tunnelpool.domain.remote import Tunnel
from tunnelpool.kube.failures import broken, refusal

pytestmark = pytest.mark.looptime(noop_cycles=1)

HOUR_S = 3600.0
PATH = "/apis/apps/v1/namespaces/default/deployments"


def _answer(status: int, message: str, reason: str = "", retry_after: str | None = None) -> ApiError:
    body = {"kind": "Status", "reason": reason, "message": message}
    return refusal("POST", PATH, status, json.dumps(body).encode(), retry_after)


class Refusing:
    """Has one call of an API fail, with words that differ each time, and counts how often it is tried."""

    def __init__(
        self, world: World, call: str, error: Callable[[int], ApiError], phase: str = "before"
    ) -> None:
        self._call, self._error, self._phase = call, error, phase
        self.tried_at: list[float] = []
        self._numbers = itertools.count(1)
        self.ended = False
        world.trip(self)

    def __call__(self, phase: str, call: str) -> None:
        """Fail the call, until it is over."""
        if phase == self._phase and call == self._call and not self.ended:
            self.tried_at.append(asyncio.get_running_loop().time())
            raise self._error(next(self._numbers))

    def pauses(self) -> Iterator[float]:
        """Tell the seconds between attempts."""
        return (later - sooner for sooner, later in itertools.pairwise(self.tried_at))


CLUSTER_ERRORS = {
    "quota": lambda n: _answer(403, f'deployments "web-{n}" is forbidden: exceeded quota: q', "Forbidden"),
    "webhook": lambda n: _answer(400, f"admission webhook denied the request (id {n})", "BadRequest"),
    "invalid": lambda n: _answer(422, f"Deployment is invalid ({n})", "Invalid"),
    "conflict": lambda n: _answer(409, f"Operation cannot be fulfilled on quota q ({n})", "Conflict"),
    "full": lambda n: _answer(429, f"too many requests ({n})", "TooManyRequests", "7"),
    "sick": lambda n: _answer(500, f"Internal error occurred: no address is left ({n})", "InternalError"),
    "gone": lambda n: broken("POST", PATH, TimeoutError(f"attempt {n}")),
}


@pytest.mark.parametrize("kind", list(CLUSTER_ERRORS))
async def test_an_error_of_the_cluster_is_told_and_not_asked_for_again_and_again(
    world: World, kind: str
) -> None:
    async with world:
        refusing = Refusing(world, "CreateObject", CLUSTER_ERRORS[kind])
        apply_tunnel(world, replicas=2)
        await world.start()
        await asyncio.sleep(HOUR_S)
        assert world.condition("Tunnel", "web") == "False/ClusterRefused"
        assert world.condition("Tunnel", "web", "Reconciling") == "True/ClusterRefused"
        assert 5 <= len(refusing.tried_at) <= 40, "one key, so one back-off"
        assert world.writes() < 60
        refusing.ended = True
        await world.until(world.is_ready, within_s=700)


async def test_the_pauses_grow_and_differ(world: World) -> None:
    async with world:
        refusing = Refusing(world, "CreateObject", CLUSTER_ERRORS["sick"])
        apply_tunnel(world, replicas=2)
        await world.start()
        await asyncio.sleep(HOUR_S)
        pauses = list(refusing.pauses())
        assert all(later > sooner for sooner, later in zip(pauses[:6], pauses[2:8], strict=True)), pauses
        assert max(pauses) <= 300
        assert len({round(one, 3) for one in pauses}) == len(pauses), "with jitter"


async def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(world: World) -> None:
    async with world:
        refusing = Refusing(world, "CreateObject", lambda n: _answer(429, f"{n}", retry_after="40"))
        apply_tunnel(world)
        await world.start()
        await asyncio.sleep(600)
        assert min(refusing.pauses()) >= 40


async def test_events_around_a_key_do_not_bring_its_declined_step_forward(world: World) -> None:
    async with world:
        refusing = Refusing(world, "CreateObject", CLUSTER_ERRORS["quota"])
        apply_tunnel(world)
        operator = await world.start()
        for _ in range(600):
            await asyncio.sleep(0.5)
            for key in operator.topology.keys_of("Tunnel", world.cluster.all("Tunnel")[0]):
                operator.queue.add(key)
        assert len(refusing.tried_at) <= 6


async def test_another_step_is_taken_at_once(world: World) -> None:
    async with world:
        refusing = Refusing(world, "PutConfiguration", lambda n: InvalidError(f"bad ({n})", code=1056))
        apply_tunnel(world)
        await world.start()
        await world.until(lambda: world.condition("Tunnel", "web") == "False/RefusedByCloudflare")
        refusing.ended = True
        apply_tunnel(world, service="http://other.default.svc:80")
        await world.until(world.is_ready, within_s=30)


CLOUDFLARE_ERRORS: dict[str, tuple[ApiError, str]] = {
    "limited": (RateLimitedError("spent", retry_after_s=60), "RateLimited"),
    "sick": (UnavailableError("Cloudflare answered 503"), "CloudflareUnavailable"),
    "forbidden": (MissingPermissionError("lacks it", permission="X Read"), "MissingPermission"),
}


@pytest.mark.parametrize("kind", list(CLOUDFLARE_ERRORS))
@pytest.mark.parametrize("listing", ["list tunnels", "list pools", "list load balancers"])
async def test_a_listing_that_cannot_be_read_from_the_start_is_told(
    world: World, kind: str, listing: str
) -> None:
    error, reason = CLOUDFLARE_ERRORS[kind]
    async with world:
        refusing = Refusing(world, listing, lambda _: type(error)(**_arguments(error)), "read")
        apply_tunnel(world)
        await world.start()
        await asyncio.sleep(HOUR_S)
        assert world.condition("Tunnel", "web") == f"False/{reason}"
        stalled = reason == "MissingPermission"
        assert world.condition("Tunnel", "web", "Stalled" if stalled else "Reconciling") == f"True/{reason}"
        assert len(refusing.tried_at) < 400, "at most three keys and the sweep, each with its own back-off"
        refusing.ended = True
        await world.until(world.is_ready, within_s=700)


def _arguments(error: ApiError) -> dict[str, object]:
    given: dict[str, object] = {"message": error.message}
    if isinstance(error, RateLimitedError):
        given["retry_after_s"] = error.retry_after_s
    if isinstance(error, MissingPermissionError):
        given["permission"] = error.permission
    return given


async def test_every_kind_says_that_cloudflare_does_not_answer(world: World) -> None:
    async with world:
        world.remote.trip = _outage
        apply_quickstart(world)
        world.cluster.apply("LoadBalancer", "web", {"hostname": "my.example.com", "pools": ["my-pool"]})
        await world.start()
        await asyncio.sleep(60)
        for raw in world.cluster.all(*KINDS):
            told = world.condition(raw["kind"], raw["metadata"]["name"])
            assert told == "False/CloudflareUnavailable", raw["metadata"]["name"]


async def test_an_outage_does_not_turn_over_what_was_ready(world: World) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        before = world.writes()
        world.remote.trip = _outage
        await world.restart()
        await asyncio.sleep(HOUR_S / 2)
        assert world.is_ready()
        assert world.writes() == before
        world.remote.trip = _well
        await world.quiet(for_s=400)
        assert world.is_ready()


def _outage(phase: str, call: str) -> None:
    if phase == "read":
        raise UnavailableError(f"no answer to {call}")


def _well(phase: str, call: str) -> None:
    del phase, call


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StillReferencedError("load balancer 'x' refers to it", code=1005), "refers to it"),
        (ActiveConnectionsError("it still has active connections", code=1022), "active connections"),
        (MissingPermissionError("the API token lacks X", permission="X"), "lacks X"),
        (UnavailableError("Cloudflare answered 503"), "503"),
    ],
)
async def test_a_deletion_that_cannot_go_on_says_why_and_ends_once_it_can(
    world: World, error: ApiError, said: str
) -> None:
    async with world:
        apply_quickstart(world)
        await world.start()
        await world.quiet()
        refusing = Refusing(world, "Delete", lambda _: error)
        delete_all(world)
        await asyncio.sleep(HOUR_S)
        assert world.condition("Tunnel", "web") == "False/DeletionBlocked"
        assert "still there" in world.message("Tunnel", "web")
        assert said in world.message("Tunnel", "web")
        assert len(refusing.tried_at) < 5 * 70, "a key waits up to a minute"
        refusing.ended = True
        await world.until(lambda: not world.remains(), within_s=1500)


async def test_what_ends_with_its_namespace_is_told_nothing_and_goes(world: World) -> None:
    ending = {
        "kind": "Status",
        "reason": "Forbidden",
        "message": "unable to create new content in namespace default because it is being terminated",
        "details": {"causes": [{"reason": "NamespaceTerminating", "message": "default is being terminated"}]},
    }
    async with world:
        apply_tunnel(world, replicas=1)
        await world.start()
        await world.quiet()
        refused = json.dumps(ending).encode()
        refusing = Refusing(world, "CreateObject", lambda _: refusal("POST", PATH, 403, refused, None))
        world.cluster.delete("Deployment", "web-connector-0")
        await asyncio.sleep(120)
        assert refusing.tried_at
        assert "ClusterRefused" not in world.condition("Tunnel", "web")
        delete_all(world)
        await world.quiet()
        assert not world.remains()
        assert not world.remote.all(Tunnel)


async def test_pods_that_the_cluster_refuses_are_told_in_words_that_do_not_move(world: World) -> None:
    async with world:
        apply_tunnel(world, replicas=1)
        await world.start()
        await world.quiet()
        world.pods.kill("web-connector-0", hold=True)
        for attempt in ("x7x2p", "b9k4d"):
            _fail_replicas(world, f'pods "web-connector-0-5c9f-{attempt}" is forbidden: exceeded quota: few')
            await world.until(lambda: world.condition("Tunnel", "web") == "False/ClusterRefused")
            writes = len(world.cluster.log)
            await asyncio.sleep(60)
        assert len(world.cluster.log) == writes, "another pod of the same kind is no news"
        told = "Deployment 'web-connector-0' may not have its pod: exceeded quota: few"
        assert world.message("Tunnel", "web") == told
        _fail_replicas(world, "")
        world.pods.release("web-connector-0")
        await world.until(world.is_ready)


def _fail_replicas(world: World, message: str) -> None:
    """Let the cluster say of the Deployment that its pod is refused; nothing if there is no message."""
    raw = world.cluster.get("Deployment", "web-connector-0")
    assert raw is not None
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    world.cluster.write({**raw, "status": {"conditions": [failure] if message else []}})
