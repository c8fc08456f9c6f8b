"""Which node a pod goes to. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from devcluster.podrunner.unsupported import scheduling_refusals

Json = dict[str, Any]

REPELLING = {"NoSchedule", "NoExecute"}


class Unschedulable(Exception):  # noqa: N818 - Kubernetes' own word, the reason of the condition
    """No node takes the pod; the message says why."""


def choose_node(pod: Json, nodes: Collection[Json], pods: Collection[Json]) -> str:
    """Return the node with the fewest pods like this one, then the fewest pods, then the first name.

    "Like this one": selected by its first topology spread constraint, else of the same labels but for those
    that a controller adds. nodeSelector, taints and cordons are heeded. Raises Unschedulable.
    """
    if problems := scheduling_refusals(pod):
        raise Unschedulable(f"devcluster does not emulate {', '.join(problems)}")
    fitting = [str(node["metadata"]["name"]) for node in nodes if not _obstacle(pod, node)]
    if not fitting:
        reasons = Counter(filter(None, (_obstacle(pod, node) for node in nodes)))
        described = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        raise Unschedulable(f"0/{len(nodes)} nodes are available: {described or 'there are none'}.")
    selector = _siblings_selector(pod)
    namespace = pod["metadata"]["namespace"]
    alike: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for other in pods:
        node = other["spec"].get("nodeName")
        if not node or "deletionTimestamp" in other["metadata"]:
            continue
        total[node] += 1
        if other["metadata"]["namespace"] == namespace and matches(
            selector, other["metadata"].get("labels", {})
        ):
            alike[node] += 1
    return min(fitting, key=lambda name: (alike[name], total[name], name))


def matches(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector takes an object with these labels; an empty one takes all."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions", ()):
        present, value = rule["key"] in labels, labels.get(rule["key"])
        match rule["operator"]:
            case "In":
                satisfied = value in rule["values"]
            case "NotIn":
                satisfied = value not in rule["values"]
            case "Exists":
                satisfied = present
            case _:
                satisfied = not present
        if not satisfied:
            return False
    return True


def _siblings_selector(pod: Json) -> Json:
    for constraint in pod["spec"].get("topologySpreadConstraints", ()):
        selector: Json = constraint.get("labelSelector", {})
        return selector
    labels = pod["metadata"].get("labels", {})
    added = {"pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name"}
    added |= {"apps.kubernetes.io/pod-index"}
    own = {key: value for key, value in labels.items() if key not in added}
    return {"matchLabels": own} if own else {"matchExpressions": [{"key": "", "operator": "Exists"}]}


def _obstacle(pod: Json, node: Json) -> str | None:
    spec, labels = pod["spec"], node["metadata"].get("labels", {})
    if node["spec"].get("unschedulable") and not _tolerates(
        spec, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    ):
        return "node(s) were unschedulable"
    ready = {item["type"]: item["status"] for item in node.get("status", {}).get("conditions", ())}.get(
        "Ready"
    )
    if ready != "True":
        return "node(s) were not ready"
    for taint in node["spec"].get("taints", ()):
        if taint["effect"] in REPELLING and not _tolerates(spec, taint):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    if not matches({"matchLabels": spec.get("nodeSelector", {})}, labels):
        return "node(s) didn't match Pod's node affinity/selector"
    return None


def _tolerates(spec: Json, taint: Json) -> bool:
    return any(_covers(toleration, taint) for toleration in spec.get("tolerations", ()))


def _covers(toleration: Json, taint: Json) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    exists = bool(toleration.get("operator", "Equal") == "Exists")
    if not toleration.get("key"):
        return exists  # no key with Exists tolerates everything
    if toleration["key"] != taint["key"]:
        return False
    return exists or bool(toleration.get("value", "") == taint.get("value", ""))
