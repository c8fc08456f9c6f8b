"""Back-off, probe verdicts, refusals, endpoints, rewritten paths, addresses."""

from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.loopback import AddressPool
from devcluster.podrunner.backoff import BackOff
from devcluster.podrunner.isolation import rewrite
from devcluster.podrunner.probes import Settings, Verdict, port_number
from devcluster.podrunner.services import endpoints_of
from devcluster.podrunner.unsupported import refusals

Json = dict[str, Any]


def test_the_back_off_begins_at_once_doubles_from_ten_seconds_and_stops_at_five_minutes() -> None:
    back_off = BackOff()
    assert [back_off.after(1) for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]


def test_the_back_off_begins_anew_after_ten_good_minutes() -> None:
    back_off = BackOff()
    assert [back_off.after(ran) for ran in (1, 1, 1, 601, 1)] == [0, 10, 20, 0, 10]


@given(st.lists(st.booleans()), st.integers(1, 3), st.integers(1, 3))
def test_a_verdict_changes_exactly_when_a_row_of_results_is_long_enough(
    results: list[bool], successes: int, failures: int
) -> None:
    verdict = Verdict(Settings(0, 1, 1, successes, failures))
    believed: bool | None = None
    for count, result in enumerate(results, 1):
        length = successes if result else failures
        row = results[max(0, count - length) : count]
        changed = verdict.take(result)
        decided = len(row) == length and set(row) == {result}
        assert changed == (decided and believed != result)
        believed = result if decided else believed
        assert verdict.healthy is believed


def test_a_port_is_found_by_number_and_by_name() -> None:
    container = {"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}
    assert (port_number(1, container), port_number("2", container), port_number("http", container)) == (
        1,
        2,
        8080,
    )
    with pytest.raises(ValueError, match="container c has no port named grpc"):
        port_number("grpc", container)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {}}]}, ["hostPath volumes"]),
        ({"volumes": [{"name": "a", "persistentVolumeClaim": {}}]}, ["persistentVolumeClaim volumes"]),
        (
            {"volumes": [{"name": "a", "projected": {"sources": [{"clusterTrustBundle": {}}]}}]},
            ["projected clusterTrustBundle"],
        ),
        (
            {"initContainers": [{"name": "s", "restartPolicy": "Always"}]},
            ["init containers with a restartPolicy"],
        ),
        ({"containers": [{"name": "c", "livenessProbe": {"grpc": {}}}]}, ["livenessProbe by grpc"]),
        ({"containers": [{"name": "c", "lifecycle": {"postStart": {"exec": {}}}}]}, ["postStart hooks"]),
        ({"hostPID": True}, ["hostPID"]),
    ],
)
def test_what_the_runner_cannot_do_is_known_by_name(spec: Json, expected: list[str]) -> None:
    assert refusals({"spec": {"containers": [], **spec}}) == expected


SERVICE = {"metadata": {"namespace": "n"}, "spec": {"selector": {"app": "web"}}}
PORT = {"port": 80, "targetPort": "http"}


def backend(name: str, ready: str = "True", *, ending: bool = False, port: int = 8080) -> Json:
    return {
        "metadata": {
            "namespace": "n",
            "name": name,
            "labels": {"app": "web"},
            **({"deletionTimestamp": "now"} if ending else {}),
        },
        "spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": port}]}]},
        "status": {"podIP": f"ip-{name}", "conditions": [{"type": "Ready", "status": ready}]},
    }


def test_a_service_sends_to_its_ready_pods_by_their_own_port_numbers() -> None:
    pods = [backend("b", port=81), backend("a"), backend("c", "False"), backend("d", ending=True)]
    foreign = backend("e")
    foreign["metadata"]["namespace"] = "other"
    assert endpoints_of(SERVICE, PORT, [*pods, foreign]) == [("ip-a", 8080), ("ip-b", 81)]


def test_a_service_falls_back_to_ready_pods_that_are_ending() -> None:
    assert endpoints_of(SERVICE, PORT, [backend("a", "False"), backend("b", ending=True)]) == [("ip-b", 8080)]


def test_a_service_without_selector_or_ready_pod_has_no_endpoint() -> None:
    assert endpoints_of(SERVICE, PORT, [backend("a", "False")]) == []
    assert endpoints_of({"metadata": {"namespace": "n"}, "spec": {}}, PORT, [backend("a")]) == []


def test_paths_are_rewritten_whole_and_the_longest_first() -> None:
    places = {"/etc/app": "/run/1", "/etc/app/keys": "/run/2"}
    text = "--keys=/etc/app/keys/a --config=/etc/app/c /etc/apple /etc/app /etc/app/keys-old"
    assert rewrite(text, places) == "--keys=/run/2/a --config=/run/1/c /etc/apple /run/1 /run/1/keys-old"


def test_a_freed_address_comes_round_again_last() -> None:
    pool = AddressPool(IPv4Network("127.9.0.0/29"))
    taken = [pool.take() for _ in range(6)]
    assert taken[0] == "127.9.0.1"
    with pytest.raises(RuntimeError, match=r"all addresses of 127\.9\.0\.0/29 are in use"):
        pool.take()
    pool.give_back(taken[3])
    pool.give_back(taken[1])
    assert [pool.take(), pool.take()] == [taken[3], taken[1]]
