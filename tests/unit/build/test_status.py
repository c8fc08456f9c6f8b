"""Status: what kstatus reads of it, byte-stable, and true."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshots import (
    HOST,
    NOW,
    balancer,
    check,
    existing,
    lbpool,
    member,
    observed,
    origin_name,
    pool_of,
    raw,
    referrer,
    slot,
    snapshot,
    static,
    taken_out,
    tunnel,
)

from tunnelpool.build.intent import HostIntent
from tunnelpool.build.snapshot import HostSnapshot, PoolSnapshot, PoolView, Running, Slot, TunnelSnapshot
from tunnelpool.build.status import (
    health_check_status,
    lbpool_status,
    load_balancer_status,
    pending,
    tunnel_status,
)
from tunnelpool.crd.base import Resource
from tunnelpool.crd.parsing import parse
from tunnelpool.domain.reasons import Problem, Reason

Told = Callable[[Problem | None], Mapping[str, Any]]


def kstatus(there: Mapping[str, Any]) -> str:
    """Judge an object as sigs.k8s.io/cli-utils/pkg/kstatus judges a custom resource."""
    meta, status = there["metadata"], there.get("status") or {}
    if meta.get("deletionTimestamp"):
        return "Terminating"
    generation = status.get("observedGeneration")
    if generation is not None and generation != meta["generation"]:
        return "InProgress"
    conditions = status.get("conditions") or []
    for one in conditions:
        if one["type"] == "Reconciling" and one["status"] == "True":
            return "InProgress"
        if one["type"] == "Stalled" and one["status"] == "True":
            return "Failed"
    for one in conditions:
        if one["type"] == "Ready":
            return "Current" if one["status"] == "True" else "InProgress"
    return "Current"


def tunnel_shot(*slots: Slot, **fields: Any) -> TunnelSnapshot:
    """Build the snapshot of a Tunnel all of whose origins are in its pool."""
    joined = slots or (slot(0), slot(1))
    shown = existing(member(*joined))
    view = PoolView("my-pool", observed=shown, members=(member(*joined),))
    given = {"pools": (shown,), "pool": view, "load_balancer": referrer("pool-1"), **fields}
    given.setdefault("balanced_pools", {"pool-1": shown})
    return TunnelSnapshot("default", "web", tunnel(), None, joined, **given)


def tell_tunnel(problem: Problem | None) -> Mapping[str, Any]:
    return tunnel_status(tunnel_shot(), tunnel(), problem, NOW)


def tell_check(problem: Problem | None) -> Mapping[str, Any]:
    return health_check_status(check(), "monitor-1", problem, NOW)


def tell_pool(problem: Problem | None) -> Mapping[str, Any]:
    shown = observed(pool_of(snapshot(lbpools=(static(),))))
    return lbpool_status(snapshot(lbpools=(static(),), observed=shown), static(), problem, NOW)


def tell_balancer(problem: Problem | None) -> Mapping[str, Any]:
    shot = host_shot(referrer("pool-1"))
    return load_balancer_status(shot, balancer(), HostIntent(), problem, NOW)


def host_shot(shown: Any) -> HostSnapshot:
    """Build the snapshot of a host name with a LoadBalancer."""
    pools = {"my-pool": PoolView("my-pool", observed=existing(member(slot())))}
    return HostSnapshot(HOST, "default", load_balancers=(balancer(),), observed=shown, pools=pools)


TOLD: dict[str, Told] = {
    "Tunnel": tell_tunnel,
    "HealthCheck": tell_check,
    "LBPool": tell_pool,
    "LoadBalancer": tell_balancer,
}
SPECS: dict[str, dict[str, Any]] = {
    "Tunnel": {"hostname": HOST, "service": "http://web:80", "pool": "my-pool"},
    "LoadBalancer": {"hostname": HOST, "pools": ["my-pool"]},
}


def conditions(status: Mapping[str, Any]) -> dict[str, str]:
    """Read the conditions as `status/reason`."""
    return {one["type"]: f"{one['status']}/{one['reason']}" for one in status["conditions"]}


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize(
    ("problem", "verdict"),
    [
        (None, "Current"),
        (Problem(Reason.PENDING, "soon"), "InProgress"),
        (Problem(Reason.CREDENTIALS_MISSING, "act", stalled=True), "Failed"),
    ],
)
def test_kstatus_reads_what_is_meant(kind: str, problem: Problem | None, verdict: str) -> None:
    there = {**raw(kind, "web", SPECS.get(kind, {})), "status": TOLD[kind](problem)}
    assert kstatus(there) == verdict
    held = conditions(there["status"])
    assert not {"Reconciling", "Stalled"} <= held.keys()
    assert ("Reconciling" in held or "Stalled" in held) is (problem is not None)
    # kstatus reads the abnormal conditions first, so it would not notice a Ready that is always True.
    assert held["Ready"].startswith("True/" if problem is None else "False/")


@pytest.mark.parametrize("kind", TOLD)
def test_the_first_touch_is_in_progress(kind: str) -> None:
    there = raw(kind, "web", SPECS.get(kind, {}))
    there["status"] = pending(parse(kind, there), NOW)
    assert kstatus(there) == "InProgress"
    assert conditions(there["status"])["Ready"] == "Unknown/Pending"


@pytest.mark.parametrize("kind", TOLD)
def test_a_newer_generation_is_in_progress_until_it_is_looked_at(kind: str) -> None:
    there = {**raw(kind, "web", SPECS.get(kind, {}), generation=2), "status": TOLD[kind](None)}
    assert kstatus(there) == "InProgress"


problems = st.none() | st.builds(Problem, st.sampled_from(Reason), st.text(max_size=5), st.booleans())


@given(st.lists(problems, min_size=1, max_size=6))
def test_whatever_comes_after_whatever_times_move_with_the_status_only(found: list[Problem | None]) -> None:
    resource: Resource = check()
    for minute, problem in enumerate(found):
        now = NOW + timedelta(minutes=minute)
        before = {one.type: one for one in resource.status.conditions}
        status = health_check_status(check_with(resource), "m", problem, now)
        again = health_check_status(check_with(resource), "m", problem, now + timedelta(hours=1))
        resource = parse("HealthCheck", {**raw("HealthCheck", "web", {}), "status": status})
        once_more = health_check_status(check_with(resource), "m", problem, now + timedelta(hours=1))
        assert once_more == status
        assert {one["type"] for one in again["conditions"]} == {one["type"] for one in status["conditions"]}
        for one in resource.status.conditions:
            old = before.get(one.type)
            moved = old is None or old.status != one.status
            expected = now if moved or old is None else old.last_transition_time
            assert one.last_transition_time == expected.astimezone(UTC)


def check_with(resource: Resource) -> Any:
    """Read a HealthCheck with the status of another."""
    there = raw("HealthCheck", "web", {})
    there["status"] = resource.status.wire()
    return parse("HealthCheck", there)


def test_a_tunnel_in_order_counts_and_names_everything() -> None:
    status = tell_tunnel(None)
    assert conditions(status) == {
        "Ready": "True/Ready",
        "Connected": "True/Ready",
        "Registered": "True/Ready",
    }
    assert (status["billableOrigins"], [one["state"] for one in status["origins"]]) == (2, ["Registered"] * 2)
    assert status["loadBalancer"] == {"id": "lb-1", "servingPools": ["my-pool"], "onFallback": False}


@pytest.mark.parametrize(
    ("shot", "expected"),
    [
        (tunnel_shot(slot(0), slot(1, leaving=True)), Reason.DRAINING),
        (tunnel_shot(slot(0), slot(1, Running.NOT_READY)), Reason.WAITING_FOR_CONNECTORS),
        (tunnel_shot(pool=PoolView("my-pool"), pools=()), Reason.WAITING_FOR_POOL),
        (tunnel_shot(load_balancer=None), Reason.PENDING),
        (replace(tunnel_shot(), slots=()), Reason.NO_ORIGINS),
    ],
)
def test_a_tunnel_that_is_not_in_order_says_why(shot: TunnelSnapshot, expected: Reason) -> None:
    status = tunnel_status(shot, tunnel(), None, NOW)
    assert conditions(status)["Ready"] == f"False/{expected}"
    assert "Reconciling" in conditions(status)


@pytest.mark.parametrize(("ready_pods", "expected"), [(1, Reason.WAITING_FOR_CONNECTORS), (2, Reason.READY)])
def test_a_shared_origin_waits_for_each_of_its_connectors(ready_pods: int, expected: Reason) -> None:
    shown = existing(member(slot(0)))
    pool = PoolView("my-pool", observed=shown)
    shot = tunnel_shot(replace(slot(0), pods=2, ready_pods=ready_pods), pools=(shown,), pool=pool)
    owner = tunnel(registration="Shared", replicas=2)
    status = tunnel_status(replace(shot, tunnel=owner), owner, None, NOW)
    (found,) = [one for one in status["conditions"] if one["type"] == "Ready"]
    assert found["reason"] == expected


def test_the_state_of_an_origin_tells_who_has_taken_it_out() -> None:
    whole = member(slot(0), slot(1), slot(2, leaving=True))
    for shown, expected in (
        (taken_out(existing(whole), 1, 2), "OutByOperator"),
        (existing(whole, off=[1]), "Disabled"),
    ):
        status = tunnel_status(tunnel_shot(*whole.slots, pools=(shown,)), tunnel(), None, NOW)
        assert [one["state"] for one in status["origins"]] == ["Registered", expected, "Draining"]


def pool_status(up: list[int], *, minimum: int = 1, monitor: str = "m") -> dict[str, Any]:
    """Build the status of a pool of three of which these are up."""
    spec = lbpool(minimumOrigins=minimum)
    shown = existing(member(slot(0), slot(1), slot(2)), lbpools=(spec,))
    shown = observed(replace(shown.value, monitor=monitor), up=[origin_name(index) for index in up])
    shot: PoolSnapshot = snapshot(lbpools=(spec,), observed=shown, serving=frozenset({"pool-1"}))
    return lbpool_status(shot, spec, None, NOW)


@pytest.mark.parametrize(
    ("up", "minimum", "health", "condition"),
    [
        ([0, 1, 2], 2, "healthy", "True/Healthy"),
        ([0, 1], 2, "degraded", "True/Degraded"),
        ([0], 2, "critical", "False/BelowThreshold"),
        ([], 1, "critical", "False/BelowThreshold"),
        ([0, 1, 2], 3, "healthy", "True/Healthy"),
        ([0, 1, 2], 4, "critical", "False/ThresholdTooHigh"),
    ],
)
def test_the_health_of_a_pool_is_told_against_its_threshold(
    up: list[int], minimum: int, health: str, condition: str
) -> None:
    status = pool_status(up, minimum=minimum)
    assert (status["health"], status["healthyOrigins"], status["origins"]) == (health, len(up), 3)
    assert conditions(status)["Healthy"] == condition
    assert status["serving"] is True


@pytest.mark.parametrize(
    ("slots", "off", "condition"),
    [
        # One has yet to be made, so three may be up.
        ((slot(0), slot(1), slot(2, remote=None)), (), "False/BelowThreshold"),
        ((slot(0), slot(1), slot(2, leaving=True)), (), "False/ThresholdTooHigh"),
        # Taken out by the operator it comes back by itself; by somebody else it does not.
        ((slot(0), slot(1), slot(2)), "operator", "False/BelowThreshold"),
        ((slot(0), slot(1), slot(2)), "somebody", "False/ThresholdTooHigh"),
    ],
)
def test_a_threshold_above_what_there_may_be_is_told_from_one_that_is_not_met(
    slots: tuple[Slot, ...], off: str, condition: str
) -> None:
    spec = lbpool(minimumOrigins=3)
    there = [one for one in slots if one.remote is not None]
    shown = existing(member(*there), lbpools=(spec,), off=(2,) if off == "somebody" else ())
    shown = taken_out(shown, 2) if off == "operator" else shown
    shown = observed(replace(shown.value, monitor="m"), up=[origin_name(0), origin_name(1)])
    shot = snapshot(member(*slots), lbpools=(spec,), observed=shown)
    assert conditions(lbpool_status(shot, spec, None, NOW))["Healthy"] == condition


def test_a_pool_without_monitor_says_that_a_threshold_has_no_effect() -> None:
    assert conditions(pool_status([], monitor=""))["Healthy"] == "Unknown/NoHealthCheck"
    told = conditions(pool_status([], minimum=2, monitor=""))["Healthy"]
    assert told == "Unknown/ThresholdNeedsHealthCheck"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("off", "False/TLSNotEnforced"),
        ("flexible", "False/TLSNotEnforced"),
        ("full", "True/TLSEnforced"),
        ("strict", "True/TLSEnforced"),
        (None, "Unknown/TLSUnknown"),
    ],
)
def test_the_zones_ssl_mode_is_told_of_a_pool_that_requires_tls(mode: str | None, expected: str) -> None:
    shot = snapshot(lbpools=(static(),), used_as_fallback=True, ssl_modes={"example.com": mode})
    shot = replace(shot, observed=observed(pool_of(shot)))
    assert conditions(lbpool_status(shot, static(), None, NOW))["TLSEnforced"] == expected


def test_who_comes_second_says_conflict_and_by_whom() -> None:
    second = lbpool(namespace="other")
    status = lbpool_status(snapshot(lbpools=(lbpool(), second)), second, None, NOW)
    assert conditions(status)["Ready"] == "False/Conflict"
    assert "LBPool default/my-pool is older" in str(status)
    assert "id" not in status
    late = balancer(namespace="other")
    told = load_balancer_status(host_shot(referrer("pool-1")), late, HostIntent(), None, NOW)
    assert conditions(told)["Ready"] == "False/Conflict"


def test_a_load_balancer_tells_who_answers() -> None:
    status = tell_balancer(None)
    assert (status["servingPool"], status["onFallback"]) == ("my-pool", False)
    assert status["pools"] == [{"name": "my-pool", "id": "pool-1", "health": "healthy"}]


def test_times_are_whole_seconds_in_utc() -> None:
    now = datetime(2026, 1, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    (ready,) = health_check_status(check(), "m", None, now)["conditions"]
    assert ready["lastTransitionTime"] == "2026-01-01T12:00:00Z"
