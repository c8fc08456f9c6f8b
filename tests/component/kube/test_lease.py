"""The Lease as the API speaks it, and the fence before every write to the cluster."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from tunnelpool.domain.errors import (
    AlreadyExistsError,
    NotFoundError,
    NotLeaderError,
    OutcomeUnknownError,
    StaleError,
)
from tunnelpool.engine.ports import LeaseRecord
from tunnelpool.kube.client import KubeClient
from tunnelpool.kube.lease import KubeLease

LEASES = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
AT = 1795524367.25
ANSWER = {
    "metadata": {"name": "tunnelpool", "resourceVersion": "41"},
    "spec": {
        "holderIdentity": "pod-a_1",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-11-24T12:46:07.000000Z",
        "renewTime": "2026-11-24T12:46:07.250000Z",
        "leaseTransitions": 3,
    },
}
RECORD = LeaseRecord("pod-a_1", 15, AT - 0.25, AT, 3, "41")


@pytest.fixture
def lease(client: KubeClient) -> KubeLease:
    return KubeLease(client, "ns", "tunnelpool")


async def test_a_lease_is_read_as_it_stands(api: Any, lease: KubeLease) -> None:
    api.answers.append((200, ANSWER))
    assert await lease.read() == RECORD
    assert (api.asked[0].method, api.asked[0].path) == ("GET", f"{LEASES}/tunnelpool")


async def test_no_lease_and_an_empty_one_can_be_read(api: Any, lease: KubeLease) -> None:
    api.answers += [(404, {}), (200, {"metadata": {"name": "tunnelpool", "resourceVersion": "1"}})]
    assert await lease.read() is None
    assert await lease.read() == LeaseRecord("", 0, 0.0, 0.0, 0, "1")


async def test_a_record_without_version_is_created(api: Any, lease: KubeLease) -> None:
    api.answers.append((201, ANSWER))
    assert await lease.write(replace(RECORD, version="")) == RECORD
    (asked,) = api.asked
    assert (asked.method, asked.path, asked.content_type) == ("POST", LEASES, "application/json")
    assert asked.body["metadata"] == {"name": "tunnelpool", "namespace": "ns"}
    assert asked.body["spec"] == ANSWER["spec"]


async def test_a_record_with_a_version_replaces_that_version_only(api: Any, lease: KubeLease) -> None:
    api.answers.append((200, ANSWER))
    assert await lease.write(RECORD) == RECORD
    (asked,) = api.asked
    assert (asked.method, asked.path) == ("PATCH", f"{LEASES}/tunnelpool")
    assert asked.content_type == "application/merge-patch+json"
    assert asked.body["metadata"]["resourceVersion"] == "41"


async def test_a_lease_that_is_given_back_names_nobody(api: Any, lease: KubeLease) -> None:
    api.answers.append((200, ANSWER))
    await lease.write(replace(RECORD, holder=""))
    assert api.asked[0].body["spec"]["holderIdentity"] is None


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [(409, "Conflict", StaleError), (409, "AlreadyExists", AlreadyExistsError), (404, "", NotFoundError)],
)
async def test_who_was_late_is_told_so(
    status: int, reason: str, error: type[Exception], api: Any, lease: KubeLease
) -> None:
    api.answers.append((status, {"kind": "Status", "reason": reason}))
    with pytest.raises(error):
        await lease.write(RECORD)


class Fence:
    """Allows so many seconds."""

    def __init__(self, left_s: float) -> None:
        self._left_s = left_s

    def limit(self, timeout_s: float) -> float:
        """Let the write pass if any time is left."""
        if not self._left_s:
            raise NotLeaderError("not the leader")
        return min(timeout_s, self._left_s)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_but_reading_passes_a_closed_fence(method: str, api: Any) -> None:
    client = await KubeClient.connect(str(api.kubeconfig), fence=Fence(0))
    try:
        with pytest.raises(NotLeaderError):
            await client.request(method, "/x", body={})
        assert api.asked == []
        assert await client.request("GET", "/x") == {}
    finally:
        await client.close()


async def test_a_write_is_given_up_when_the_lease_ends(api: Any) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    api.answers.append(hang)
    client = await KubeClient.connect(str(api.kubeconfig), fence=Fence(0.05))
    try:
        async with asyncio.timeout(5):
            with pytest.raises(OutcomeUnknownError):
                await client.request("POST", "/x", body={})
    finally:
        await client.close()


async def test_what_is_left_of_the_lease_is_not_rounded_up(client: KubeClient) -> None:
    fenced = KubeClient(client._api, fence=Fence(7.3))
    limit = fenced._limit("PATCH")
    assert (limit.total, limit.ceil_threshold) == (7.3, math.inf)
