"""When an origin that serves may leave on purpose, and how long it stays disabled before it goes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from snapshots import (
    NOW,
    SITE,
    existing,
    member,
    observed,
    origin_name,
    referrer,
    slot,
    snapshot,
    states,
    tunnel,
)

from tunnelpool.build.intent import Intent
from tunnelpool.build.pool import build
from tunnelpool.build.removal import drain_s
from tunnelpool.build.snapshot import Member, PoolSnapshot, Running
from tunnelpool.domain.json import freeze
from tunnelpool.domain.reasons import Reason
from tunnelpool.domain.remote import LoadBalancer, Observed, ObservedPool, Pool

SHRINKING = member(slot(0), slot(1), slot(2, leaving=True))


def monitored(*members: Member, **verdicts: bool | None) -> ObservedPool:
    """Show the pool with a monitor; `o1=None` says that origin 1 has no verdict yet, the others are up."""
    shown = observed(replace(existing(*members).value, monitor="m"))
    told = {origin_name(int(name[1:])): verdict for name, verdict in verdicts.items()}
    health = replace(shown.health, origins={**shown.health.origins, **told})
    return replace(shown, health=health)


def built(shown: ObservedPool, *members: Member, **fields: Any) -> Intent[Pool]:
    """Build the pool."""
    shot: PoolSnapshot = snapshot(*members, observed=shown, referrers=(referrer("pool-1"),), **fields)
    return build(shot, SITE, NOW)


def test_no_origin_leaves_while_one_that_stays_waits_for_its_first_verdict() -> None:
    intent = built(monitored(SHRINKING, o1=None), SHRINKING)
    assert states(intent.desired) == {0: "in", 1: "in", 2: "in"}
    assert intent.problem is not None
    assert intent.problem.reason is Reason.WAITING_FOR_HEALTH
    assert origin_name(1) in intent.problem.message


@pytest.mark.parametrize("verdict", [True, False])
def test_it_leaves_with_the_verdict_whatever_that_is(*, verdict: bool) -> None:
    intent = built(monitored(SHRINKING, o1=verdict), SHRINKING)
    assert states(intent.desired) == {0: "in", 1: "in", 2: "out"}
    assert intent.problem is None


def test_nobody_waits_for_an_origin_that_leaves_itself_nor_without_a_health_check() -> None:
    assert states(built(monitored(SHRINKING, o2=None), SHRINKING).desired)[2] == "out"
    assert states(built(existing(SHRINKING), SHRINKING).desired)[2] == "out"


@pytest.mark.parametrize("verdict", [None, False])
def test_an_origin_that_nobody_is_sent_to_leaves_at_once(verdict: bool | None) -> None:
    assert states(built(monitored(SHRINKING, o1=None, o2=verdict), SHRINKING).desired)[2] == "out"


def test_one_that_comes_in_the_same_moment_is_waited_for_too() -> None:
    new, old = member(slot(0, name="new"), of=tunnel("new")), member(slot(0), of=tunnel(gone=True))
    old = replace(old, slots=tuple(replace(one, leaving=True) for one in old.slots))
    intent = built(monitored(old), old, new)
    assert intent.desired is not None
    assert [one.enabled for one in intent.desired.origins] == [True, True]
    assert intent.problem is not None
    assert intent.problem.reason is Reason.WAITING_FOR_HEALTH


def test_what_has_died_goes_out_whoever_waits_for_a_verdict() -> None:
    whole = member(slot(0), slot(1), slot(2, Running.ENDED))
    assert states(built(monitored(whole, o1=None), whole).desired) == {0: "in", 1: "in", 2: "out"}


def test_the_last_one_that_serves_leaves_only_when_another_is_back() -> None:
    whole = member(slot(0, Running.ENDED), slot(1, leaving=True))
    shown = existing(whole)
    intent = built(shown, whole)
    assert states(intent.desired) == {0: "out", 1: "in"}
    assert intent.problem is not None
    assert intent.problem.reason is Reason.WAITING_FOR_CONNECTORS
    elsewhere = built(shown, whole, alternatives=True)
    assert states(elsewhere.desired) == {0: "out", 1: "out"}


def test_a_deletion_does_not_wait_for_others_to_come_back() -> None:
    dead = member(slot(0, Running.ENDED), of=tunnel())
    gone = member(slot(1, leaving=True), of=tunnel(gone=True))
    intent = built(existing(dead, gone), dead, gone)
    assert states(intent.desired) == {0: "in", 1: "out"}


def sessions(affinity: str, drain: int | None, **fields: Any) -> Observed[LoadBalancer]:
    """Show a load balancer with session affinity."""
    one = referrer("pool-1")
    attributes = {} if drain is None else {"drain_duration": drain}
    value = replace(
        one.value, session_affinity=affinity, session_affinity_attributes=freeze(attributes), **fields
    )
    return replace(one, value=value)


def rule(**overrides: Any) -> Any:
    """Write a rule with these overrides."""
    return freeze([{"name": "r", "condition": "true", "overrides": overrides}])


@pytest.mark.parametrize(
    ("referrers", "expected"),
    [
        ((), 15),
        ((sessions("cookie", None),), 15),
        ((sessions("cookie", 10),), 15),
        ((sessions("cookie", 300),), 300),
        ((sessions("none", 300),), 15),
        ((sessions("cookie", 300), sessions("header", 600), sessions("", 900)), 600),
        ((sessions("none", 300, rules=rule(session_affinity="cookie")),), 300),
        ((sessions("cookie", 20, rules=rule(session_affinity_attributes={"drain_duration": 400})),), 400),
        ((sessions("cookie", 20, rules=rule(session_affinity="none")),), 20),
    ],
)
def test_an_origin_drains_for_the_longest_that_a_session_may_stay_on_it(
    referrers: tuple[Observed[LoadBalancer], ...], expected: float
) -> None:
    assert drain_s(tunnel(), referrers) == expected
