import asyncio
import base64
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from devcluster.testing import Namespace, eventually
from tunnelpool.domain.address_ranges import AddressRanges
from tunnelpool.domain.errors import (
    AlreadyExistsError,
    ClusterRefusedError,
    NotFoundError,
    StaleError,
)
from tunnelpool.domain.json import FrozenObject, freeze
from tunnelpool.domain.kinds import SECRET, TUNNEL
from tunnelpool.engine.address_keeper import CONFIG_MAP_NAME, config_map
from tunnelpool.kube import cluster as module
from tunnelpool.kube.cluster import KubeCluster
from tunnelpool.plan.steps import (
    ApplyObject,
    CreateObject,
    DeleteObject,
    ObjectRef,
    SetFinalizer,
    WriteConnectorSecret,
)

pytestmark = pytest.mark.integration

_FINALIZER = "tunnelpool.dev/cleanup"
_OURS = {"app.kubernetes.io/managed-by": "tunnelpool"}


def _frozen(manifest: Mapping[str, Any]) -> FrozenObject:
    found = freeze(manifest)
    assert isinstance(found, FrozenObject)
    return found


def _deployment(
    namespace: str, *, selector: Mapping[str, str] | None = None, image: str = "x:1"
) -> FrozenObject:
    pod: dict[str, Any] = {"containers": [{"name": "c", "image": image}]}
    if selector is not None:
        pod["nodeSelector"] = dict(selector)
    return _frozen(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"namespace": namespace, "name": "d", "labels": _OURS},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "d"}},
                "template": {"metadata": {"labels": {"app": "d"}}, "spec": pod},
            },
        }
    )


def _secret(namespace: str, name: str = "s", **annotations: str) -> FrozenObject:
    meta = {"namespace": namespace, "name": name, "labels": _OURS, "annotations": annotations}
    return _frozen({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque"})


@pytest.fixture
def tunnel(namespace: Namespace) -> Callable[[], dict[str, Any]]:
    namespace.apply(
        {
            "apiVersion": "tunnelpool.dev/v1alpha1",
            "kind": "Tunnel",
            "metadata": {"name": "t"},
            "spec": {"hostname": "a.example.com", "service": "http://web:80"},
        }
    )
    return lambda: namespace.get("tunnel", "t")


def _ref(raw: Mapping[str, Any]) -> ObjectRef:
    meta = raw["metadata"]
    return ObjectRef(raw["kind"], meta["namespace"], meta["name"], meta["uid"])


async def _set_finalizers(
    ours: KubeCluster, raw: Mapping[str, Any], *finalizers: str
) -> Mapping[str, Any] | None:
    return await ours.execute(SetFinalizer(_ref(raw), raw["metadata"]["resourceVersion"], finalizers))


async def _apply(ours: KubeCluster, step: ApplyObject) -> None:
    """Apply a Deployment, again if its controller has written the status meanwhile; so does the engine."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(StaleError):
                await ours.execute(step)
                return


async def test_a_name_that_is_taken_is_never_overwritten(ours: KubeCluster, namespace: Namespace) -> None:
    made = await ours.execute(CreateObject(_deployment(namespace.name)))
    assert made is not None
    with pytest.raises(AlreadyExistsError):
        await ours.execute(CreateObject(_deployment(namespace.name, image="y:1")))
    found = namespace.get("deployment", "d")
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "x:1"


async def test_what_a_later_apply_leaves_out_goes_although_a_post_made_it(
    ours: KubeCluster, namespace: Namespace
) -> None:
    await ours.execute(CreateObject(_deployment(namespace.name, selector={"disk": "ssd"})))
    await _apply(ours, ApplyObject(_deployment(namespace.name, image="x:2")))
    spec = namespace.get("deployment", "d")["spec"]["template"]["spec"]
    assert "nodeSelector" not in spec
    assert spec["containers"][0]["image"] == "x:2"
    assert (
        spec["terminationGracePeriodSeconds"] == 30
    )  # a default, owned by the POST, comes back as a default
    await _apply(ours, ApplyObject(_deployment(namespace.name, selector={"disk": "ssd"})))
    await _apply(ours, ApplyObject(_deployment(namespace.name)))
    assert "nodeSelector" not in namespace.get("deployment", "d")["spec"]["template"]["spec"]


async def test_applying_the_same_twice_makes_no_new_version(ours: KubeCluster, namespace: Namespace) -> None:
    await ours.execute(CreateObject(_secret(namespace.name, a="1")))
    first = await ours.execute(ApplyObject(_secret(namespace.name, a="1")))
    second = await ours.execute(ApplyObject(_secret(namespace.name, a="1")))
    assert first is not None
    assert second is not None
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_what_users_add_to_our_objects_is_left_alone(ours: KubeCluster, namespace: Namespace) -> None:
    await ours.execute(CreateObject(_secret(namespace.name)))
    namespace.kubectl("annotate", "secret", "s", "team=a")
    applied = await ours.execute(ApplyObject(_secret(namespace.name, mine="1")))
    assert applied is not None
    assert applied["metadata"]["annotations"] == {"mine": "1", "team": "a"}


async def test_the_secret_of_a_connector_holds_its_token_and_a_new_one_replaces_it(
    ours: KubeCluster, namespace: Namespace
) -> None:
    await ours.execute(WriteConnectorSecret(_secret(namespace.name), "t", exists=False), token="first")
    assert dict(await ours.secret(namespace.name, "s")) == {"token": b"first"}
    await ours.execute(WriteConnectorSecret(_secret(namespace.name), "t", exists=True), token="second")
    assert namespace.get("secret", "s")["data"] == {"token": base64.b64encode(b"second").decode()}


async def test_a_secret_that_is_not_there_is_not_found(ours: KubeCluster, namespace: Namespace) -> None:
    with pytest.raises(NotFoundError):
        await ours.secret(namespace.name, "none")


async def test_a_deletion_takes_the_object_that_was_meant_and_no_namesake(
    ours: KubeCluster, namespace: Namespace
) -> None:
    made = await ours.execute(CreateObject(_secret(namespace.name)))
    assert made is not None
    other = ObjectRef("Secret", namespace.name, "s", "00000000-0000-0000-0000-000000000000")
    assert await ours.execute(DeleteObject(other)) is None
    assert namespace.get("secret", "s")["metadata"]["uid"] == made["metadata"]["uid"]
    assert await ours.execute(DeleteObject(_ref(made))) is None
    with pytest.raises(NotFoundError):
        await ours.secret(namespace.name, "s")
    assert await ours.execute(DeleteObject(_ref(made))) is None


async def test_a_deleted_deployment_takes_its_replica_sets_along(
    ours: KubeCluster, namespace: Namespace
) -> None:
    made = await ours.execute(CreateObject(_deployment(namespace.name)))
    assert made is not None
    eventually(lambda: bool(namespace.get("replicasets")["items"]))
    await ours.execute(DeleteObject(_ref(made)))
    eventually(lambda: not namespace.get("replicasets")["items"])


async def test_a_finalizer_holds_an_object_until_it_is_taken_off(
    ours: KubeCluster, tunnel: Callable[[], dict[str, Any]]
) -> None:
    held = await _set_finalizers(ours, tunnel(), _FINALIZER)
    assert held is not None
    assert held["metadata"]["finalizers"] == [_FINALIZER]
    ending = await ours.execute(DeleteObject(_ref(held)))
    assert ending is not None
    assert ending["metadata"]["deletionTimestamp"]
    assert await _set_finalizers(ours, ending) is None
    assert await _set_finalizers(ours, ending) is None  # gone by now


async def test_a_finalizer_is_not_written_over_what_others_did_meanwhile(
    ours: KubeCluster, namespace: Namespace, tunnel: Callable[[], dict[str, Any]]
) -> None:
    read = tunnel()
    namespace.kubectl("label", "tunnel", "t", "x=y")
    with pytest.raises(StaleError):
        await _set_finalizers(ours, read, _FINALIZER)
    assert "finalizers" not in tunnel()["metadata"]


async def test_the_finalizers_of_others_stay(
    ours: KubeCluster, namespace: Namespace, tunnel: Callable[[], dict[str, Any]]
) -> None:
    namespace.kubectl("patch", "tunnel", "t", "--type=merge", "-p", '{"metadata":{"finalizers":["a.b/c"]}}')
    await _set_finalizers(ours, tunnel(), "a.b/c", _FINALIZER)
    remains = await _set_finalizers(ours, tunnel(), "a.b/c")
    assert remains is not None
    assert remains["metadata"]["finalizers"] == ["a.b/c"]
    await _set_finalizers(ours, remains)


async def test_a_status_is_replaced_whole_and_the_same_again_makes_no_new_version(
    ours: KubeCluster, namespace: Namespace, tunnel: Callable[[], dict[str, Any]]
) -> None:
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "Pending",
        "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    first = {
        "observedGeneration": 1,
        "replicas": 2,
        "conditions": [condition, {**condition, "type": "Connected"}],
    }
    assert await ours.write_status("Tunnel", namespace.name, "t", first) is not None
    assert tunnel()["status"] == first
    second = {"observedGeneration": 1, "conditions": [condition]}
    written = await ours.write_status("Tunnel", namespace.name, "t", second)
    assert tunnel()["status"] == second
    again = await ours.write_status("Tunnel", namespace.name, "t", second)
    assert written is not None
    assert again is not None
    assert again["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]


async def test_the_status_of_what_is_gone_is_no_error(ours: KubeCluster, namespace: Namespace) -> None:
    assert await ours.write_status("Tunnel", namespace.name, "none", {"replicas": 1}) is None


async def test_a_manifest_that_the_api_refuses_says_why(ours: KubeCluster, namespace: Namespace) -> None:
    bad = _frozen(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace.name, "name": "A_b"}}
    )
    with pytest.raises(ClusterRefusedError, match=r"metadata\.name: Invalid value"):
        await ours.execute(CreateObject(bad))


async def test_an_event_is_found_beside_its_object(
    ours: KubeCluster, namespace: Namespace, tunnel: Callable[[], dict[str, Any]]
) -> None:
    for _ in range(2):
        await ours.event(tunnel(), reason="FailedOver", message="to the fallback", warning=True)
    described = namespace.kubectl("describe", "tunnel", "t")
    assert "FailedOver" in described
    assert "to the fallback" in described
    events = namespace.get("events", "--field-selector=reason=FailedOver")["items"]
    assert len(events) == 1


async def test_listings_go_through_all_pages_of_what_is_ours(
    ours: KubeCluster, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    for name in ("a", "b", "c"):
        await ours.execute(CreateObject(_secret(namespace.name, name)))
    namespace.kubectl("create", "secret", "generic", "not-ours")
    pages = [page async for page in ours.list_pages(SECRET, namespace.name)]
    assert [[raw["metadata"]["name"] for raw in page] for page in pages] == [["a", "b"], ["c"]]


async def test_all_namespaces_are_listed_together(
    ours: KubeCluster, tunnel: Callable[[], dict[str, Any]]
) -> None:
    uid = tunnel()["metadata"]["uid"]
    found = [raw async for page in ours.list_pages(TUNNEL) for raw in page]
    assert uid in {raw["metadata"]["uid"] for raw in found}
    assert {raw["kind"] for raw in found} == {"Tunnel"}


async def test_a_cluster_is_known_by_its_system_namespace(ours: KubeCluster, namespace: Namespace) -> None:
    assert await ours.uid_of_cluster() == namespace.cluster.get("namespace", "kube-system")["metadata"]["uid"]


async def test_the_address_ranges_are_made_read_and_changed_and_what_others_add_stays(
    ours: KubeCluster, namespace: Namespace
) -> None:
    name = CONFIG_MAP_NAME
    assert await ours.config_map(namespace.name, name) is None
    first, second = (AddressRanges.of([one], ["::1/128"]) for one in ("127.0.0.0/8", "192.0.2.0/24"))
    await ours.execute(CreateObject(config_map(namespace.name, first)))
    namespace.kubectl("patch", "configmap", name, "--patch", '{"data": {"note": "of a person"}}')
    await ours.execute(ApplyObject(config_map(namespace.name, second)))
    there = await ours.config_map(namespace.name, name)
    assert there is not None
    assert (there["data"]["ipv4"], there["data"]["note"]) == ("192.0.2.0/24\n", "of a person")
