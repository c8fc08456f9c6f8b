"""A workload is read as Kubernetes means it, and told in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelpool.build.companion import affinity, companion, unfollowed
from tunnelpool.crd.v1alpha1.tunnel import MAX_REPLICAS, WorkloadRef
from tunnelpool.domain.reasons import Reason

REF = WorkloadRef(name="shop")
SELECTOR = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["shop", "till"]}]}


def _workload(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shop"}, "spec": {"selector": SELECTOR, **spec}}


@given(st.none() | st.integers(0, 100), st.integers(0, 20))
def test_as_many_connectors_as_replicas_up_to_the_limit(replicas: int | None, present: int) -> None:
    given_there = companion(REF, _workload(**({} if replicas is None else {"replicas": replicas})), present)
    assert given_there.connectors == min(1 if replicas is None else replicas, MAX_REPLICAS)
    assert companion(REF, None, present).connectors == present


def test_connectors_prefer_any_node_of_the_workloads_pods_and_need_none() -> None:
    found = affinity(companion(REF, _workload(), 0), None)
    assert found is not None
    assert list(found) == ["podAffinity"]
    assert list(found["podAffinity"]) == ["preferredDuringSchedulingIgnoredDuringExecution"]
    (preferred,) = found["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["podAffinityTerm"]["labelSelector"] == SELECTOR


def test_without_the_workload_pods_keep_what_they_have_so_that_none_is_replaced() -> None:
    lost = companion(REF, None, 3)
    made = {"spec": {"template": {"spec": {"affinity": {"podAffinity": {"x": []}}}}}}
    assert affinity(lost, made) == {"podAffinity": {"x": []}}
    assert affinity(lost, None) is None
    assert affinity(None, made) is None


@pytest.mark.parametrize(
    ("workload", "reason", "says"),
    [
        (None, Reason.WORKLOAD_NOT_FOUND, "Deployment 'shop' must exist in the same namespace"),
        (_workload(replicas=21), Reason.TOO_MANY_REPLICAS, "has 21 replicas, and a Tunnel at most 20"),
    ],
)
def test_why_a_workload_is_not_followed_is_told(
    workload: dict[str, Any] | None, reason: Reason, says: str
) -> None:
    problem = unfollowed(companion(REF, workload, 2))
    assert problem is not None
    assert problem.reason is reason
    assert says in problem.message
