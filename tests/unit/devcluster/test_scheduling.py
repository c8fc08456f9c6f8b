"""Which node a pod goes to."""

from typing import Any

import pytest

from devcluster.podrunner.scheduling import Unschedulable, choose_node, matches

Json = dict[str, Any]


def node(name: str, *, ready: str = "True", **spec: Any) -> Json:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def pod(labels: Json | None = None, node_name: str | None = None, **spec: Any) -> Json:
    placed = {"nodeName": node_name} if node_name else {}
    return {"metadata": {"namespace": "n", "labels": labels or {}}, "spec": {**placed, **spec}}


WEB = {"app": "web"}


def test_pods_alike_are_spread_before_pods_in_all() -> None:
    others = [pod(WEB, "a"), pod({"app": "db"}, "b"), pod({"app": "db"}, "b")]
    assert choose_node(pod(WEB), [node("a"), node("b")], others) == "b"
    assert choose_node(pod({"app": "new"}), [node("a"), node("b")], others) == "a"


def test_what_a_controller_adds_to_the_labels_does_not_tell_pods_apart() -> None:
    others = [pod({**WEB, "pod-template-hash": "1"}, "a")]
    assert choose_node(pod({**WEB, "pod-template-hash": "2"}), [node("a"), node("b")], others) == "b"


def test_a_topology_spread_constraint_says_which_pods_are_alike() -> None:
    others = [pod({"tunnel": "t", "origin": "1"}, "a"), pod({"x": "y"}, "b"), pod({"x": "y"}, "b")]
    selector = {"matchLabels": {"tunnel": "t"}}
    newcomer = pod({"tunnel": "t", "origin": "2"}, topologySpreadConstraints=[{"labelSelector": selector}])
    assert choose_node(newcomer, [node("a"), node("b")], others) == "b"


def test_pods_that_are_ending_do_not_count() -> None:
    ending = pod(WEB, "a")
    ending["metadata"]["deletionTimestamp"] = "now"
    assert choose_node(pod(WEB), [node("a"), node("b")], [ending]) == "a"


@pytest.mark.parametrize(
    ("unfit", "reason"),
    [
        (node("a", unschedulable=True), "node(s) were unschedulable"),
        (node("a", ready="Unknown"), "node(s) were not ready"),
        (node("a", taints=[{"key": "k", "effect": "NoSchedule"}]), "node(s) had untolerated taint {k: }"),
    ],
)
def test_a_node_that_takes_no_pods_is_passed_over_and_the_reason_told(unfit: Json, reason: str) -> None:
    assert choose_node(pod(), [unfit, node("b")], [pod({}, "b")]) == "b"
    with pytest.raises(Unschedulable) as caught:
        choose_node(pod(), [unfit], [])
    assert str(caught.value) == f"0/1 nodes are available: 1 {reason}."


@pytest.mark.parametrize(
    "toleration",
    [
        {"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"},
        {"key": "k", "value": "v"},
        {"key": "k", "operator": "Exists"},
        {"operator": "Exists"},
    ],
)
def test_a_toleration_opens_a_tainted_node(toleration: Json) -> None:
    tainted = node("a", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    assert choose_node(pod(tolerations=[toleration]), [tainted], []) == "a"
    other = {**toleration, "effect": "NoExecute"}
    with pytest.raises(Unschedulable):
        choose_node(pod(tolerations=[other]), [tainted], [])


def test_a_node_selector_is_heeded() -> None:
    chosen = pod(nodeSelector={"kubernetes.io/hostname": "b"})
    assert choose_node(chosen, [node("a"), node("b")], [pod({}, "b")]) == "b"


def test_a_hard_rule_that_is_not_emulated_is_refused_and_a_wish_is_not() -> None:
    rule = "DuringSchedulingIgnoredDuringExecution"
    with pytest.raises(Unschedulable, match="does not emulate required nodeAffinity"):
        choose_node(
            pod(affinity={"nodeAffinity": {f"required{rule}": {"nodeSelectorTerms": []}}}), [node("a")], []
        )
    with pytest.raises(Unschedulable, match="does not emulate required podAntiAffinity"):
        choose_node(pod(affinity={"podAntiAffinity": {f"required{rule}": [{}]}}), [node("a")], [])
    assert choose_node(pod(affinity={"nodeAffinity": {f"preferred{rule}": [{}]}}), [node("a")], []) == "a"


@pytest.mark.parametrize(
    ("operator", "values", "labels", "expected"),
    [
        ("In", ["a"], {"k": "a"}, True),
        ("In", ["a"], {}, False),
        ("NotIn", ["a"], {"k": "a"}, False),
        ("NotIn", ["a"], {}, True),
        ("Exists", None, {"k": "x"}, True),
        ("Exists", None, {}, False),
        ("DoesNotExist", None, {}, True),
    ],
)
def test_label_selectors_match_as_in_kubernetes(
    operator: str, values: list[str] | None, labels: dict[str, str], expected: bool
) -> None:
    rule = {"key": "k", "operator": operator, **({"values": values} if values else {})}
    assert matches({"matchExpressions": [rule]}, labels) is expected
