"""The cluster in memory on which the engine is tested does as the real API server behind our client does.

Each test runs over both: `SmallCluster`, and `KubeCluster` against kube-apiserver with the garbage
collector of kube-controller-manager behind it. Users act through kubectl there.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from devcluster.testing import KubectlError, Namespace
from tunnelpool.domain.errors import AlreadyExistsError, StaleError
from tunnelpool.domain.json import FrozenObject, freeze
from tunnelpool.engine.ports import Cluster
from tunnelpool.kube.cluster import KubeCluster
from tunnelpool.plan.steps import (
    ApplyObject,
    CreateObject,
    DeleteObject,
    ObjectRef,
    SetFinalizer,
    WriteConnectorSecret,
)

sys.path.insert(0, str(Path(__file__).parents[2] / "component" / "engine"))

from small_cluster import SmallCluster

pytestmark = pytest.mark.integration

FINALIZER = "tunnelpool.dev/cleanup"
CONDITION = {
    "type": "Ready",
    "status": "False",
    "reason": "Pending",
    "message": "m",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
ELSE = "00000000-0000-0000-0000-000000000000"
Raw = Mapping[str, Any]


class Stage(Protocol):
    """A cluster as the operator and as users see it."""

    ours: Cluster
    namespace: str

    def get(self, kind: str, name: str) -> Raw | None:
        """Look an object up, as a user."""

    def apply(self, name: str, spec: Raw) -> None:
        """Apply a Tunnel, as a user."""

    def annotate(self, kind: str, name: str, **annotations: str) -> None:
        """Annotate an object, as a user."""

    def delete(self, name: str) -> None:
        """Delete a Tunnel, as a user who does not wait."""


class SteppedClock:
    """Time for the fake."""

    def monotonic(self) -> float:
        """Tell the time."""
        return 0.0

    def now(self) -> float:
        """Tell the time of day."""
        return 1e9


class OverTheFake:
    """The cluster in memory."""

    namespace = "default"

    def __init__(self) -> None:
        self.small = SmallCluster(SteppedClock())
        self.ours: Cluster = self.small

    def get(self, kind: str, name: str) -> Raw | None:
        """Look up."""
        return self.small.get(kind, name)

    def apply(self, name: str, spec: Raw) -> None:
        """Apply."""
        self.small.apply("Tunnel", name, spec)

    def annotate(self, kind: str, name: str, **annotations: str) -> None:
        """Annotate."""
        raw = self.small.get(kind, name)
        assert raw is not None
        given = {**raw["metadata"].get("annotations", {}), **annotations}
        self.small.write({**raw, "metadata": {**raw["metadata"], "annotations": given}})

    def delete(self, name: str) -> None:
        """Delete."""
        self.small.delete("Tunnel", name)


class OverTheApi:
    """The development cluster."""

    def __init__(self, ours: KubeCluster, namespace: Namespace) -> None:
        self.ours: Cluster = ours
        self._namespace = namespace
        self.namespace = namespace.name

    def get(self, kind: str, name: str) -> Raw | None:
        """Look up."""
        try:
            return self._namespace.get(kind.lower(), name)
        except KubectlError as error:
            if "NotFound" in str(error):
                return None
            raise

    def apply(self, name: str, spec: Raw) -> None:
        """Apply."""
        meta = {"name": name}
        body = {"apiVersion": "tunnelpool.dev/v1alpha1", "kind": "Tunnel", "metadata": meta, "spec": spec}
        self._namespace.apply(dict(body))

    def annotate(self, kind: str, name: str, **annotations: str) -> None:
        """Annotate."""
        pairs = [f"{key}={value}" for key, value in annotations.items()]
        self._namespace.kubectl("annotate", "--overwrite", kind.lower(), name, *pairs)

    def delete(self, name: str) -> None:
        """Delete."""
        self._namespace.kubectl("delete", "tunnel", name, "--wait=false")


@pytest.fixture(params=["fake", "api"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Run a test over both; without the other's cluster for the fake."""
    if request.param == "fake":
        yield OverTheFake()
    else:
        yield OverTheApi(request.getfixturevalue("ours"), request.getfixturevalue("namespace"))


def _frozen(manifest: Raw) -> FrozenObject:
    found = freeze(manifest)
    assert isinstance(found, FrozenObject)
    return found


def secret(stage: Stage, name: str = "s", owner: Raw | None = None, **annotations: str) -> FrozenObject:
    meta: dict[str, Any] = {
        "namespace": stage.namespace,
        "name": name,
        "labels": {"app.kubernetes.io/managed-by": "tunnelpool"},
        "annotations": annotations,
    }
    if owner is not None:
        named = {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        meta["ownerReferences"] = [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], **named}]
    return _frozen({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque"})


def deployment(stage: Stage, replicas: int = 0, **pod: Any) -> FrozenObject:
    labels = {"app": "d"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "x:1"}], **pod},
    }
    meta = {"namespace": stage.namespace, "name": "d"}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return _frozen({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})


def tunnel(stage: Stage) -> Raw:
    """Apply a Tunnel and look at it."""
    stage.apply("t", {"hostname": "a.example.com", "service": "http://web:80"})
    found = stage.get("Tunnel", "t")
    assert found is not None
    return found


def ref_of(raw: Raw, uid: str = "") -> ObjectRef:
    meta = raw["metadata"]
    return ObjectRef(raw["kind"], meta["namespace"], meta["name"], uid or meta["uid"])


async def set_finalizers(stage: Stage, raw: Raw, *finalizers: str) -> Raw | None:
    return await stage.ours.execute(SetFinalizer(ref_of(raw), raw["metadata"]["resourceVersion"], finalizers))


async def done(stage: Stage, step: CreateObject | ApplyObject | DeleteObject) -> Raw:
    """Carry a step out that leaves an object; again if a controller has written its status meanwhile."""
    async with asyncio.timeout(30):
        while True:
            try:
                answer = await stage.ours.execute(step)
            except StaleError:
                continue
            assert answer is not None
            return answer


async def test_a_new_object_has_an_identity_and_its_answer_is_what_is_there(stage: Stage) -> None:
    made = await done(stage, CreateObject(deployment(stage)))
    assert made["metadata"]["generation"] == 1
    assert made["metadata"]["uid"]
    assert made["metadata"]["creationTimestamp"].endswith("Z")
    found = stage.get("Deployment", "d")
    assert found is not None
    assert found["metadata"]["uid"] == made["metadata"]["uid"]


async def test_a_name_that_is_taken_is_not_overwritten(stage: Stage) -> None:
    made = await done(stage, CreateObject(secret(stage)))
    with pytest.raises(AlreadyExistsError):
        await stage.ours.execute(CreateObject(secret(stage, a="1")))
    step = WriteConnectorSecret(secret(stage), "t", exists=False)
    with pytest.raises(AlreadyExistsError):
        await stage.ours.execute(step, token="token-of-t")
    found = stage.get("Secret", "s")
    assert found is not None
    assert found["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_the_same_again_makes_no_new_version_and_something_else_does(stage: Stage) -> None:
    await done(stage, CreateObject(secret(stage, a="1")))
    once = (await done(stage, ApplyObject(secret(stage, a="1"))))["metadata"]
    again = (await done(stage, ApplyObject(secret(stage, a="1"))))["metadata"]
    assert again["resourceVersion"] == once["resourceVersion"]
    changed = (await done(stage, ApplyObject(secret(stage, a="2"))))["metadata"]
    assert changed["resourceVersion"] != once["resourceVersion"]
    assert changed["uid"] == once["uid"]


async def test_a_deployment_that_is_applied_again_rolls_only_if_it_differs(stage: Stage) -> None:
    await done(stage, CreateObject(deployment(stage)))
    again = await done(stage, ApplyObject(deployment(stage)))
    assert again["metadata"]["generation"] == 1
    other = await done(stage, ApplyObject(deployment(stage, nodeSelector={"none": "such"})))
    assert other["metadata"]["generation"] == 2


async def test_what_an_apply_leaves_out_goes_and_what_users_have_added_stays(stage: Stage) -> None:
    await stage.ours.execute(CreateObject(secret(stage, mine="1", old="1")))
    stage.annotate("Secret", "s", team="a")
    applied = await done(stage, ApplyObject(secret(stage, mine="2")))
    assert applied["metadata"]["annotations"] == {"mine": "2", "team": "a"}
    await stage.ours.execute(CreateObject(deployment(stage, nodeSelector={"disk": "ssd"})))
    spec = (await done(stage, ApplyObject(deployment(stage))))["spec"]["template"]["spec"]
    assert "nodeSelector" not in spec


async def test_the_server_fills_in_more_than_was_sent(stage: Stage) -> None:
    made = await done(stage, CreateObject(deployment(stage)))
    assert made["spec"]["progressDeadlineSeconds"] == 600
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert container["imagePullPolicy"] == "IfNotPresent"


async def test_generation_counts_the_spec_and_the_deletion_and_nothing_else(stage: Stage) -> None:
    made = tunnel(stage)
    held = await set_finalizers(stage, made, FINALIZER)
    assert held is not None
    stage.annotate("Tunnel", "t", team="a")
    status = {"observedGeneration": 1, "conditions": [CONDITION]}
    told = await stage.ours.write_status("Tunnel", stage.namespace, "t", status)
    assert told is not None
    assert told["metadata"]["generation"] == made["metadata"]["generation"] == 1
    stage.apply("t", {"hostname": "a.example.com", "service": "http://web:81"})
    after = stage.get("Tunnel", "t")
    assert after is not None
    assert after["metadata"]["generation"] == 2
    assert after["status"] == status
    stage.delete("t")
    ending = stage.get("Tunnel", "t")
    assert ending is not None
    assert ending["metadata"]["generation"] == 3
    await set_finalizers(stage, ending)


async def test_a_finalizer_holds_an_object_and_the_last_one_lets_it_go(stage: Stage) -> None:
    held = await set_finalizers(stage, tunnel(stage), FINALIZER)
    assert held is not None
    assert held["metadata"]["finalizers"] == [FINALIZER]
    ending = await done(stage, DeleteObject(ref_of(held)))
    assert ending["metadata"]["deletionTimestamp"]
    again = await done(stage, DeleteObject(ref_of(held)))
    assert again["metadata"]["resourceVersion"] == ending["metadata"]["resourceVersion"]
    assert await set_finalizers(stage, ending) is None
    assert stage.get("Tunnel", "t") is None
    assert await set_finalizers(stage, ending) is None


async def test_finalizers_are_not_written_over_what_others_did_meanwhile(stage: Stage) -> None:
    read = tunnel(stage)
    stage.annotate("Tunnel", "t", x="y")
    with pytest.raises(StaleError):
        await set_finalizers(stage, read, FINALIZER)
    now = stage.get("Tunnel", "t")
    assert now is not None
    assert await set_finalizers(stage, now, FINALIZER, "a.b/c") is not None
    found = stage.get("Tunnel", "t")
    assert found is not None
    assert found["metadata"]["finalizers"] == [FINALIZER, "a.b/c"]
    await set_finalizers(stage, found)


async def test_a_deletion_takes_the_object_that_was_meant_and_no_namesake(stage: Stage) -> None:
    made = await done(stage, CreateObject(secret(stage)))
    assert await stage.ours.execute(DeleteObject(ref_of(made, ELSE))) is None
    assert stage.get("Secret", "s") is not None
    assert await stage.ours.execute(DeleteObject(ref_of(made))) is None
    assert stage.get("Secret", "s") is None
    assert await stage.ours.execute(DeleteObject(ref_of(made))) is None


async def test_what_an_object_owns_goes_after_it_and_what_it_does_not_stays(stage: Stage) -> None:
    owner = tunnel(stage)
    await stage.ours.execute(CreateObject(secret(stage, "owned", owner)))
    await stage.ours.execute(CreateObject(secret(stage, "free")))
    held = await set_finalizers(stage, owner, FINALIZER)
    assert held is not None
    stage.delete("t")
    assert stage.get("Secret", "owned") is not None, "its owner is still there"
    ending = stage.get("Tunnel", "t")
    assert ending is not None
    await set_finalizers(stage, ending)
    async with asyncio.timeout(90):  # the collector looks for new kinds from time to time only
        while stage.get("Secret", "owned") is not None:  # noqa: ASYNC110 - the collector works in another process
            await asyncio.sleep(0.1)
    assert stage.get("Secret", "free") is not None


async def test_a_status_is_replaced_whole_and_the_same_again_makes_no_new_version(stage: Stage) -> None:
    tunnel(stage)
    first = {"observedGeneration": 1, "replicas": 2, "conditions": [CONDITION]}
    second = {"observedGeneration": 1, "conditions": [CONDITION]}
    assert await stage.ours.write_status("Tunnel", stage.namespace, "t", first) is not None
    written = await stage.ours.write_status("Tunnel", stage.namespace, "t", second)
    again = await stage.ours.write_status("Tunnel", stage.namespace, "t", second)
    assert written is not None
    assert again is not None
    assert again["status"] == second
    assert again["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]
    assert await stage.ours.write_status("Tunnel", stage.namespace, "none", first) is None


async def test_a_connectors_secret_is_made_and_written_again_with_the_token(stage: Stage) -> None:
    made = await stage.ours.execute(
        WriteConnectorSecret(secret(stage), "t", exists=False), token="token-of-t"
    )
    same = await stage.ours.execute(WriteConnectorSecret(secret(stage), "t", exists=True), token="token-of-t")
    next_ = await stage.ours.execute(WriteConnectorSecret(secret(stage), "t", exists=True), token="another")
    assert made is not None
    assert same is not None
    assert next_ is not None
    assert set(made["data"]) == set(next_["data"]) == {"token"}
    assert made["metadata"]["uid"] == next_["metadata"]["uid"]
    assert same["data"] == made["data"] != next_["data"]
