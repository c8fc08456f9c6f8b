"""The pods of the engine's tests live and die as those of a cluster do, in what the engine reads of them.

Each test runs over both: `Pods`, which is Deployment controller, kubelet and connector in one and lives in
virtual time, and a Deployment of kube-controller-manager whose containers the pod runner executes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from devcluster.manifests import script_container
from devcluster.testing import Namespace
from tunnelpool.build.manifests import labels
from tunnelpool.build.snapshot import Running
from tunnelpool.domain.remote import Tunnel
from tunnelpool.engine.connectors import is_ready, judge
from tunnelpool.engine.ports import Clock

sys.path.insert(0, str(Path(__file__).parents[2] / "component" / "engine"))

from pods import Pods
from remote_account import RemoteAccount
from small_cluster import SmallCluster

pytestmark = pytest.mark.integration
Raw = Mapping[str, Any]
DRAIN_S = 2
SCRIPT = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


class Stage(Protocol):
    """A place where a Deployment called `web` runs connectors."""

    def apply(self, *, replicas: int = 1, version: str = "1") -> None:
        """Apply the Deployment; another version is another template of its pods."""

    def delete(self) -> None:
        """Delete it."""

    async def kill(self) -> None:
        """Kill its containers, and hold them back."""

    async def release(self) -> None:
        """Let them start again."""

    def pods(self) -> Sequence[Raw]:
        """List its pods."""


def manifest(namespace: str, replicas: int, version: str) -> dict[str, Any]:
    """Write the Deployment: what of it matters here is as the operator writes it."""
    container = script_container(SCRIPT, lifecycle={"preStop": {"sleep": {"seconds": DRAIN_S}}})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace, "labels": labels("web", 0)},
        "spec": {
            "replicas": replicas,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": labels("web", 0)},
            "template": {
                "metadata": {"labels": labels("web", 0), "annotations": {"version": version}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": DRAIN_S + 5},
            },
        },
    }


class LoopClock:
    """The loop's time."""

    def monotonic(self) -> float:
        """Tell it."""
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        """Tell it as the time of day."""
        return 1e9 + self.monotonic()


class OverTheFake:
    """`Pods`."""

    def __init__(self, clock: Clock) -> None:
        self.remote = RemoteAccount(clock)
        self.cluster = SmallCluster(clock)
        self.fake = Pods(self.cluster, self.remote)
        tunnel = self.remote.put(Tunnel("web"))
        secret = {"name": "web", "namespace": "default"}
        self.cluster.write(
            {"kind": "Secret", "metadata": secret, "data": {"token": self.remote.token_of(tunnel)}}
        )

    def apply(self, *, replicas: int = 1, version: str = "1") -> None:
        """Apply."""
        there = self.cluster.get("Deployment", "web") or {"metadata": {}}
        wish = manifest("default", replicas, version)
        self.cluster.write({**wish, "metadata": {**there["metadata"], **wish["metadata"]}})

    def delete(self) -> None:
        """Delete."""
        self.cluster.delete("Deployment", "web")

    async def kill(self) -> None:
        """Kill."""
        self.fake.kill("web", hold=True)

    async def release(self) -> None:
        """Release."""
        self.fake.release("web")

    def pods(self) -> Sequence[Raw]:
        """List."""
        return self.cluster.all("Pod")


class OverTheCluster:
    """The development cluster."""

    def __init__(self, space: Namespace) -> None:
        self._space = space
        self._held: list[str] = []

    def apply(self, *, replicas: int = 1, version: str = "1") -> None:
        """Apply."""
        self._space.apply(manifest(self._space.name, replicas, version))

    def delete(self) -> None:
        """Delete."""
        self._space.kubectl("delete", "deployment", "web", "--wait=false")

    async def kill(self) -> None:
        """Kill."""
        self._held = [pod["metadata"]["name"] for pod in self.pods()]
        for name in self._held:
            await self._space.cluster.control.kill(name, self._space.name, hold=True)

    async def release(self) -> None:
        """Release."""
        for name in self._held:
            await self._space.cluster.control.release(name, self._space.name)

    def pods(self) -> Sequence[Raw]:
        """List."""
        found: list[Raw] = self._space.get("pods")["items"]
        return found


@pytest.fixture(params=[pytest.param("fake", marks=pytest.mark.looptime(noop_cycles=1)), "cluster"])
def open_stage(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Run a test over both. Entered within the test: there virtual time has begun."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Stage]:
        if request.param == "cluster":
            yield OverTheCluster(request.getfixturevalue("space"))
            return
        fake = OverTheFake(LoopClock())
        try:
            yield fake
        finally:
            await fake.fake.stop()

    return opened


async def until(stage: Stage, condition: Callable[[Sequence[Raw]], bool], within_s: float = 40.0) -> None:
    """Wait until the pods are as they shall be."""
    for _ in range(int(within_s / 0.1)):
        if condition(stage.pods()):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(json.dumps(stage.pods(), indent=1)[:2000])


def ready(count: int) -> Callable[[Sequence[Raw]], bool]:
    return lambda pods: judge(pods) is Running.READY and sum(map(is_ready, pods)) == count == len(pods)


def names(stage: Stage) -> set[str]:
    return {pod["metadata"]["name"] for pod in stage.pods()}


async def test_pods_come_up_not_ready_and_become_so(open_stage: Any) -> None:
    async with open_stage() as stage:
        stage.apply(replicas=2)
        await until(stage, lambda pods: len(pods) == 2)
        await until(stage, ready(2))
        stage.apply(replicas=1)
        await until(stage, ready(1))


async def test_a_killed_container_has_ended_and_its_pod_comes_back_under_its_name(open_stage: Any) -> None:
    async with open_stage() as stage:
        stage.apply()
        await until(stage, ready(1))
        before = names(stage)
        await stage.kill()
        await until(stage, lambda pods: judge(pods) is Running.ENDED)
        await asyncio.sleep(3)
        assert judge(stage.pods()) is Running.ENDED
        assert names(stage) == before
        await stage.release()
        await until(stage, ready(1))
        assert names(stage) == before


async def test_in_a_roll_the_next_pod_is_ready_before_the_last_one_ends(open_stage: Any) -> None:
    async with open_stage() as stage:
        stage.apply()
        await until(stage, ready(1))
        before = names(stage)
        stage.apply(version="2")
        seen: list[Running] = []

        def rolled(pods: Sequence[Raw]) -> bool:
            seen.append(judge(pods))
            return ready(1)(pods) and not before & {pod["metadata"]["name"] for pod in pods}

        await until(stage, rolled)
        assert set(seen) == {Running.READY}


async def test_a_pod_that_is_deleted_serves_through_its_drain_and_is_gone_after_it(open_stage: Any) -> None:
    async with open_stage() as stage:
        stage.apply()
        await until(stage, ready(1))
        stage.delete()
        await asyncio.sleep(DRAIN_S / 2)
        assert judge(stage.pods()) is Running.READY
        await until(stage, lambda pods: not pods, within_s=DRAIN_S + 10)
