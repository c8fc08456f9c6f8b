"""Judged over all end-to-end tests, at their end: rights, and what is left."""

from __future__ import annotations

import pytest

from demo.audit import Use
from demo.decoys import ours
from demo.installation import NAMESPACE
from demo.scene import PREFIX
from demo.stage import Stage
from demo.waiting import NotYetError, wait_for


async def test_when_every_resource_is_deleted_nothing_of_ours_is_left_anywhere(theatre: Stage) -> None:
    async def look() -> None:
        namespaces = (await theatre.cluster.api.get("/api/v1/namespaces"))["items"]
        left = [one["metadata"]["name"] for one in namespaces if one["metadata"]["name"].startswith(PREFIX)]
        left += [f"{one['kind']} {one['metadata']['name']}" for one in await theatre.cluster.resources()]
        if left:
            raise NotYetError(f"left: {left}")

    await wait_for("every scene to be gone", look, within_s=90)
    state = await theatre.edge.state()
    assert ours(state) == []
    assert theatre.decoys.harmed(state) == []


async def test_the_operator_uses_what_it_is_granted_and_is_granted_what_it_uses(
    theatre: Stage, request: pytest.FixtureRequest
) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    roles = [
        await theatre.cluster.find(f"{rbac}/clusterroles/tunnelpool"),
        await theatre.cluster.find(f"{rbac}/namespaces/{NAMESPACE}/roles/tunnelpool"),
    ]
    granted = {
        Use(group, resource, verb)
        for role in roles
        for rule in (role or {}).get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    entries = theatre.cluster.audit.entries(theatre.operator.user)
    assert sorted({str(one.use) for one in entries if one.forbidden}) == []
    used = {one.use for one in entries}
    assert sorted(str(one) for one in used - granted) == []
    files = {item.path for item in request.session.items if "tests/e2e/" in item.nodeid}
    if len(files) < len(list(request.path.parent.glob("test_*.py"))):
        pytest.skip("not every end-to-end test has run: nothing can be said of unused rights")
    assert sorted(str(one) for one in granted - used) == []
