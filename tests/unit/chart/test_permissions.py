"""The operator's rights: few, named, and none that lets it give itself more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from tunnelpool.crd.v1alpha1 import KINDS

Render: TypeAlias = Callable[..., list[dict[str, Any]]]
PLURALS = sorted(model.NAMES.plural for model in KINDS.values())
OURS = {"list", "watch", "create", "patch", "delete"}


def _rights(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def _role(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (role,) = [one for one in objects if one["kind"] == "ClusterRole" and one["metadata"]["name"] == name]
    return role


@pytest.fixture
def operator(render: Render) -> dict[str, Any]:
    """Return the operator's ClusterRole."""
    return _role(render(), "tunnelpool")


def test_the_operator_may_do_what_it_does_and_nothing_else(operator: dict[str, Any]) -> None:
    assert _rights(operator) == {
        **{("tunnelpool.dev", plural): {"list", "watch", "patch"} for plural in PLURALS},
        **{("tunnelpool.dev", f"{plural}/status"): {"patch"} for plural in PLURALS},
        ("apps", "deployments"): OURS,
        ("policy", "poddisruptionbudgets"): OURS - {"delete"},
        ("", "secrets"): OURS | {"get"},
        ("", "pods"): {"list", "watch"},
        ("apps", "statefulsets"): {"list", "watch"},
        ("", "services"): {"list", "watch"},
        ("events.k8s.io", "events"): {"create"},
        ("", "namespaces"): {"get"},
    }


def test_in_its_own_namespace_the_operator_may_keep_its_lease_and_the_ranges_and_nothing_else(
    render: Render,
) -> None:
    objects = render()
    (role,) = [one for one in objects if one["kind"] == "Role"]
    assert role["metadata"]["namespace"] == "tunnelpool-system"
    ranges = {"apiGroups": [""], "resources": ["configmaps"]}
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    assert role["rules"] == [
        {**lease, "resourceNames": ["tunnelpool"], "verbs": ["get", "patch"]},
        {**lease, "verbs": ["create"]},
        {**ranges, "resourceNames": ["tunnelpool-cloudflare-addresses"], "verbs": ["get", "patch"]},
        {**ranges, "verbs": ["create"]},
    ]
    (binding,) = [one for one in objects if one["kind"] == "RoleBinding"]
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("Role", role["metadata"]["name"])
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "tunnelpool", "namespace": "tunnelpool-system"}
    ]


def test_of_namespaces_the_operator_sees_kube_system_only(operator: dict[str, Any]) -> None:
    (rule,) = [rule for rule in operator["rules"] if "namespaces" in rule["resources"]]
    assert rule["resourceNames"] == ["kube-system"]


def test_no_right_is_a_wildcard_or_gives_rights(operator: dict[str, Any]) -> None:
    for (group, resource), verbs in _rights(operator).items():
        assert "*" not in (group, resource)
        assert not {"*", "escalate", "bind", "impersonate", "deletecollection"} & verbs
        assert resource not in {"customresourcedefinitions", "clusterroles", "serviceaccounts", "pods/exec"}


def test_the_operator_neither_makes_nor_deletes_what_users_apply(operator: dict[str, Any]) -> None:
    for (group, _), verbs in _rights(operator).items():
        if group == "tunnelpool.dev":
            assert not {"create", "delete", "update"} & verbs


def test_the_binding_names_the_account_that_the_pod_runs_under(render: Render) -> None:
    for values, account in (
        ({}, "tunnelpool"),
        ({"serviceAccount": {"create": False, "name": "mine"}}, "mine"),
    ):
        objects = render(values)
        (binding,) = [one for one in objects if one["kind"] == "ClusterRoleBinding"]
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account, "namespace": "tunnelpool-system"}
        ]
        (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
        assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == account
        made = [one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"]
        assert made == ([account] if account == "tunnelpool" else [])


def test_whoever_may_edit_a_namespace_may_edit_our_kinds_in_it(render: Render) -> None:
    objects = render()
    view, edit = (_role(objects, f"tunnelpool-{name}") for name in ("view", "edit"))
    prefix = "rbac.authorization.k8s.io/aggregate-to"
    assert {f"{prefix}-view", f"{prefix}-edit", f"{prefix}-admin"} <= set(view["metadata"]["labels"])
    assert {f"{prefix}-edit", f"{prefix}-admin"} <= set(edit["metadata"]["labels"])
    assert f"{prefix}-view" not in edit["metadata"]["labels"]
    assert {group for role in (view, edit) for group, _ in _rights(role)} == {"tunnelpool.dev"}
    assert {resource for _, resource in _rights(view)} == set(PLURALS)
    assert set().union(*_rights(view).values()) == {"get", "list", "watch"}


def test_rights_can_be_left_to_somebody_else(render: Render) -> None:
    objects = render({"rbac": {"create": False, "aggregateClusterRoles": False}})
    assert not [one for one in objects if "Role" in one["kind"]]
