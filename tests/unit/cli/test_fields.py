"""What a step changes is named field by field, and nothing secret with it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelpool.build.manifests import HASH_ANNOTATION
from tunnelpool.domain.json import FrozenObject, freeze
from tunnelpool.domain.remote import Monitor, Observed, Origin, Pool
from tunnelpool.plan.diff import update
from tunnelpool.plan.fields import ABSENT, HIDDEN, changed_fields, differences, masked
from tunnelpool.plan.steps import ApplyObject, Create, CreateObject, Update, WriteConnectorSecret

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)
POOL = Pool("my-pool", (Origin("web_0", "a.example.net"), Origin("web.1", "b.example.net")))


def frozen(raw: dict[str, Any]) -> FrozenObject:
    found = freeze(raw)
    assert isinstance(found, FrozenObject)
    return found


def change(before: Pool, after: Pool) -> Update:
    step = update(after, Observed("p", before))
    assert step is not None
    return step


@given(JSON, JSON)
def test_equal_values_have_no_difference_and_different_ones_have_one(before: Any, after: Any) -> None:
    found = list(differences("spec", before, after))
    assert bool(found) == (before != after)
    assert all(one.before != one.after and one.path.startswith("spec") for one in found)


def test_an_origin_is_called_by_its_name() -> None:
    after = Pool("my-pool", (Origin("web_0", "a.example.net", enabled=False), Origin("new", "c.example.net")))
    found = {one.path: (one.before, one.after) for one in changed_fields(change(POOL, after))}
    assert found["origins[web_0].enabled"] == (True, False)
    assert found["origins[new]"][0] is ABSENT
    assert found["origins[web.1]"][1] is ABSENT
    assert len(found) == 3


def test_a_creation_tells_what_is_not_left_to_its_default() -> None:
    found = {one.path: one.after for one in changed_fields(Create(Pool("p", (), minimum_origins=2)))}
    assert found == {"minimum_origins": 2, "origins": []}


def test_headers_of_a_monitor_are_hidden_but_for_host() -> None:
    header = freeze({"Host": ["my.example.com"], "Authorization": ["hush"]})
    (created,) = (one for one in changed_fields(Create(Monitor("d", header=header))) if one.path == "header")
    assert created.after == {"Host": ["my.example.com"], "Authorization": HIDDEN}
    step = update(Monitor("d", header=header), Observed("m", Monitor("d", header=freeze({"X": ["hush"]}))))
    assert step is not None
    assert "hush" not in str(changed_fields(step))


@pytest.mark.parametrize("path", ["spec.headers", "header"])
def test_headers_are_hidden_in_resources_as_well(path: str) -> None:
    for before, after in (
        ({"A": ["hush"]}, {"A": ["hush hush"]}),
        (ABSENT, {"A": ["hush"]}),
        ({"A": ["hush"]}, ABSENT),
    ):
        found = [masked(one) for one in differences(path, before, after)]
        assert found
        assert "hush" not in str(found)


MANIFEST = {
    "kind": "Deployment",
    "metadata": {"name": "d", "namespace": "n", "annotations": {HASH_ANNOTATION: "new"}},
    "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}},
}


def test_of_an_applied_manifest_only_what_it_says_counts() -> None:
    there = {
        **MANIFEST,
        "metadata": {"name": "d", "namespace": "n", "annotations": {HASH_ANNOTATION: "old", "theirs": "x"}},
        "spec": {
            "replicas": 1,
            "progressDeadlineSeconds": 600,
            "template": {"spec": {"containers": [{"name": "c", "image": "one"}, {"name": "theirs"}]}},
        },
    }
    found = {
        one.path: (one.before, one.after) for one in changed_fields(ApplyObject(frozen(MANIFEST)), there)
    }
    assert found.pop("spec.template.spec.containers[c].image") == ("one", "two")
    assert found.pop("spec.template.spec.containers[theirs]")[1] is ABSENT
    assert not found


def test_the_hash_is_told_if_nothing_else_differs() -> None:
    there = {**MANIFEST, "metadata": {"name": "d", "namespace": "n", "annotations": {HASH_ANNOTATION: "old"}}}
    (found,) = changed_fields(ApplyObject(frozen(MANIFEST)), there)
    assert (found.before, found.after) == ("old", "new")


def test_what_a_secret_holds_is_hidden() -> None:
    secret = {"kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": {"ca.pem": "bmV3"}}
    there = {**secret, "data": {"ca.pem": "b2xk", "token": "aHVzaA=="}}
    found = changed_fields(WriteConnectorSecret(frozen(secret), "t", exists=True), there)
    assert [(one.path, one.before, one.after) for one in found] == [("data[ca.pem]", HIDDEN, HIDDEN)]


def test_a_creation_in_the_cluster_is_told_by_its_name() -> None:
    assert changed_fields(CreateObject(frozen(MANIFEST))) == ()
