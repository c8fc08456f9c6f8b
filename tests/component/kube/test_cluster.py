from typing import Any

import pytest

from tunnelpool.domain.errors import ClusterRefusedError, StaleError
from tunnelpool.domain.json import FrozenObject, freeze
from tunnelpool.domain.kinds import DEPLOYMENT, SECRET, TUNNEL
from tunnelpool.kube.client import KubeClient
from tunnelpool.kube.cluster import KubeCluster
from tunnelpool.kube.events import EventRecorder
from tunnelpool.plan.steps import ApplyObject, DeleteObject, ObjectRef, SetFinalizer, WriteConnectorSecret


class _Clock:
    def monotonic(self) -> float:
        return 0.0

    def now(self) -> float:
        return 0.0


@pytest.fixture
def cluster(client: KubeClient) -> KubeCluster:
    return KubeCluster(client, EventRecorder(client, _Clock()))


def _secret() -> FrozenObject:
    found = freeze(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": "a", "name": "s"},
            "data": {"ca.pem": "eA=="},
        }
    )
    assert isinstance(found, FrozenObject)
    return found


async def _names(cluster: KubeCluster) -> list[str]:
    return [raw["metadata"]["name"] async for page in cluster.list_pages(DEPLOYMENT) for raw in page]


def _page(*names: str, token: str = "") -> tuple[int, Any]:
    return 200, {"metadata": {"continue": token}, "items": [{"metadata": {"name": name}} for name in names]}


async def test_all_pages_are_listed_by_our_label_and_items_say_what_they_are(
    api: Any, cluster: KubeCluster
) -> None:
    api.answers += [_page("a", "b", token="t1"), _page("c")]
    found = [raw async for page in cluster.list_pages(SECRET) for raw in page]
    assert [(raw["apiVersion"], raw["kind"], raw["metadata"]["name"]) for raw in found] == [
        ("v1", "Secret", name) for name in "abc"
    ]
    selector = "app.kubernetes.io/managed-by=tunnelpool"
    assert [asked.query for asked in api.asked] == [
        {"limit": "500", "labelSelector": selector},
        {"limit": "500", "labelSelector": selector, "continue": "t1"},
    ]


async def test_our_own_kinds_are_listed_whole_and_in_the_namespace_asked_for(
    api: Any, cluster: KubeCluster
) -> None:
    api.answers.append((200, {"items": None}))
    assert [page async for page in cluster.list_pages(TUNNEL, "a")] == [[]]
    assert api.asked[0].path == "/apis/tunnelpool.dev/v1alpha1/namespaces/a/tunnels"
    assert api.asked[0].query == {"limit": "500"}


async def test_a_listing_whose_token_expires_begins_again(api: Any, cluster: KubeCluster) -> None:
    api.answers += [_page("a", token="t1"), (410, {"reason": "Expired"}), _page("a", token="t2"), _page("b")]
    assert await _names(cluster) == ["a", "a", "b"]


async def test_a_first_page_that_is_refused_is_not_asked_for_for_ever(api: Any, cluster: KubeCluster) -> None:
    api.answers.append((410, {"reason": "Expired"}))
    with pytest.raises(StaleError):
        await _names(cluster)


async def test_a_connector_secret_is_never_written_without_its_token(api: Any, cluster: KubeCluster) -> None:
    for token in (None, ""):
        with pytest.raises(ValueError, match="with its token"):
            await cluster.execute(WriteConnectorSecret(_secret(), "t", exists=False), token=token)
    assert api.asked == []


async def test_the_token_joins_what_the_manifest_holds(api: Any, cluster: KubeCluster) -> None:
    await cluster.execute(WriteConnectorSecret(_secret(), "t", exists=False), token="abc")
    assert api.asked[0].method == "POST"
    assert api.asked[0].query == {"fieldManager": "tunnelpool"}
    assert api.asked[0].body["data"] == {"ca.pem": "eA==", "token": "YWJj"}


async def test_what_an_apply_does_not_have_to_move_is_one_request(api: Any, cluster: KubeCluster) -> None:
    api.answers.append(
        (200, {"metadata": {"managedFields": [{"manager": "tunnelpool", "operation": "Apply"}]}})
    )
    await cluster.execute(ApplyObject(_secret()))
    (asked,) = api.asked
    assert (asked.method, asked.content_type) == ("PATCH", "application/apply-patch+yaml")
    assert asked.query == {"fieldManager": "tunnelpool", "force": "true"}


async def test_a_finalizer_is_written_only_at_the_version_and_uid_that_were_read(
    api: Any, cluster: KubeCluster
) -> None:
    api.answers.append((409, {"reason": "Conflict", "message": "changed"}))
    with pytest.raises(StaleError):
        await cluster.execute(SetFinalizer(ObjectRef("Tunnel", "a", "x", "u"), "5", ("f",)))
    assert api.asked[0].content_type == "application/merge-patch+json"
    assert api.asked[0].body == {"metadata": {"resourceVersion": "5", "uid": "u", "finalizers": ["f"]}}


async def test_a_deletion_that_is_forbidden_is_not_taken_for_done(api: Any, cluster: KubeCluster) -> None:
    api.answers.append((403, {"message": "no"}))
    with pytest.raises(ClusterRefusedError):
        await cluster.execute(DeleteObject(ObjectRef("Secret", "a", "s", "u")))
    assert api.asked[0].body == {"propagationPolicy": "Background", "preconditions": {"uid": "u"}}


@pytest.mark.parametrize("status", [404, 409])
async def test_a_deletion_of_what_is_gone_or_replaced_is_success(
    status: int, api: Any, cluster: KubeCluster
) -> None:
    api.answers.append((status, {"reason": "Conflict"}))
    assert await cluster.execute(DeleteObject(ObjectRef("Secret", "a", "s", "u"))) is None
