"""Two operators, one writer: the standby takes over from a leader that dies, hangs or is told to end."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from demo.installation import NAMESPACE
from demo.scene import Scene
from demo.stage import Stage
from demo.waiting import NotYetError, wait_for

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/tunnelpool"
TAKEN_OVER_WITHIN_S = 20.0
HANDED_OVER_WITHIN_S = 5.0
TUNNELS = "POST /accounts/*/cfd_tunnel"


@pytest_asyncio.fixture(loop_scope="session")
async def operators(theatre: Stage) -> AsyncIterator[None]:
    """Let a second operator stand by."""
    await scale(theatre, 2)
    yield
    # A pod that is deleted before its program, the first process of its container, can hear SIGTERM runs on
    # until it is killed, and may lead meanwhile.
    await theatre.wait_operator()
    await scale(theatre, 1)


async def scale(theatre: Stage, replicas: int) -> None:
    deployment = f"deployment/{theatre.operator.deployment}"
    await theatre.cluster.kubectl("scale", "-n", NAMESPACE, deployment, f"--replicas={replicas}")
    await theatre.wait_operator()


async def leader(theatre: Stage, *, other_than: str = "", within_s: float = TAKEN_OVER_WITHIN_S) -> str:
    """Wait for a leader and name its pod."""

    async def look() -> str:
        lease = await theatre.cluster.find(LEASE) or {}
        pod = str(lease.get("spec", {}).get("holderIdentity") or "").rpartition("_")[0]
        pods = await theatre.cluster.pods(NAMESPACE, theatre.operator.selector)
        staying = {one["metadata"]["name"] for one in pods if "deletionTimestamp" not in one["metadata"]}
        if pod not in staying - {other_than}:
            raise NotYetError(f"the lease is held by {pod or 'nobody'}")
        return pod

    return await wait_for("a leader", look, within_s=within_s)


async def writes(theatre: Stage, since: int) -> list[dict[str, Any]]:
    return [call for call in await theatre.edge.calls(since) if call["method"] != "GET"]


async def wait_written(theatre: Stage, since: int, within_s: float) -> None:
    async def look() -> None:
        if not await writes(theatre, since):
            raise NotYetError("nobody has written")

    await wait_for("a write to the edge", look, within_s=within_s)


async def wait_tunnels(scene: Scene, count: int) -> None:
    async def look() -> None:
        found = [one for one in await scene.remote() if one.startswith("tunnels")]
        if len(found) != count:
            raise NotYetError(str(found))

    await wait_for("remote tunnels", look, within_s=TAKEN_OVER_WITHIN_S)


def log_of(theatre: Stage, pod: str) -> str:
    path = theatre.cluster.facts.logs / f"{NAMESPACE}_{pod}_{theatre.operator.container}.log"
    return path.read_text(errors="replace")


@pytest.mark.usefixtures("operators")
async def test_when_the_leader_is_killed_the_standby_writes_within_20_s_and_lists_nothing_anew(
    theatre: Stage, scene: Scene
) -> None:
    await scene.tunnel(replicas=1)
    await scene.wait_current()
    first = await leader(theatre)
    calls, audit = await theatre.edge.last_call(), theatre.cluster.audit.position()
    killed_at = time.monotonic()
    await theatre.cluster.processes.kill(first, NAMESPACE, hold=True)
    try:
        await scene.tunnel(replicas=1, weight=0.5)
        await wait_written(theatre, calls, TAKEN_OVER_WITHIN_S)
        assert time.monotonic() - killed_at < TAKEN_OVER_WITHIN_S
        assert await leader(theatre) != first
        await scene.wait_current()
        used = theatre.cluster.audit.entries(theatre.operator.user, audit)
        assert [str(one.use) for one in used if one.use.verb == "list"] == []
    finally:
        await theatre.cluster.processes.release(first, NAMESPACE)
        await theatre.wait_operator()  # what was killed stands by


@pytest.mark.usefixtures("operators")
async def test_a_leader_that_is_told_to_end_hands_over_at_once(theatre: Stage, scene: Scene) -> None:
    await scene.tunnel(replicas=1)
    await scene.wait_current()
    first = await leader(theatre)
    await theatre.cluster.kubectl("delete", "pod", first, "-n", NAMESPACE, "--wait=false")
    second = await leader(theatre, other_than=first, within_s=HANDED_OVER_WITHIN_S)
    calls = await theatre.edge.last_call()
    await scene.tunnel(replicas=1, weight=0.5)
    await wait_written(theatre, calls, HANDED_OVER_WITHIN_S)
    assert await leader(theatre) == second


@pytest.mark.usefixtures("operators")
async def test_a_leader_that_was_stopped_and_continued_writes_nothing(theatre: Stage, scene: Scene) -> None:
    first = await leader(theatre)
    # The leader is in the middle of something: it waits for the answer to a creation.
    calls = await theatre.edge.last_call()
    await theatre.edge.add_fault(TUNNELS, delay_s=4.0, times=1)
    await scene.tunnel(replicas=1)
    await wait_finalizer(scene)
    await theatre.cluster.processes.kill(first, NAMESPACE, number=signal.SIGSTOP)
    try:
        second = await leader(theatre, other_than=first)
        await scene.tunnel("other", hostname=f"other-{scene.hostname}", pool=None, replicas=1)
        await scene.wait_current()
        await wait_tunnels(scene, 2)
        assert await writes(theatre, calls)
        calls, audit = await theatre.edge.last_call(), theatre.cluster.audit.position()
    finally:
        await theatre.cluster.processes.kill(first, NAMESPACE, number=signal.SIGCONT)

    async def look() -> None:
        if "the lease is lost" not in log_of(theatre, first):
            raise NotYetError("it has not noticed that it lost the lease")

    await wait_for("the first leader to end", look, within_s=TAKEN_OVER_WITHIN_S)
    await theatre.wait_operator()  # it stands by again
    assert await leader(theatre) == second
    assert await writes(theatre, calls) == []
    used = theatre.cluster.audit.entries(theatre.operator.user, audit)
    assert {str(one.use) for one in used if one.use.writes} <= {"patch leases.coordination.k8s.io"}
    await wait_tunnels(scene, 2)


async def wait_finalizer(scene: Scene) -> None:
    """Wait until the operator has begun with the Tunnel."""

    async def look() -> None:
        raw = await scene.stage.cluster.resource("tunnels", scene.namespace, "web") or {}
        if not raw.get("metadata", {}).get("finalizers"):
            raise NotYetError("no finalizer yet")

    await wait_for("the Tunnel to be taken up", look, within_s=TAKEN_OVER_WITHIN_S)
