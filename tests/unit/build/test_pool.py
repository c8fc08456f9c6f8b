"""Who is in a pool, who is out of it for the moment, and who leaves it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from snapshots import (
    CLONE,
    HOST,
    NOW,
    OWNER,
    SITE,
    STRANGER,
    check,
    existing,
    lbpool,
    marked_out,
    member,
    observed,
    origin_name,
    pool_of,
    referrer,
    slot,
    snapshot,
    states,
    static,
    taken_out,
    tunnel,
)

from tunnelpool.build.evidence import BACK_WITHIN_S
from tunnelpool.build.pool import build, requires_tls
from tunnelpool.build.snapshot import Fleet, HealthCheckView, Running
from tunnelpool.domain.ownership import Mark
from tunnelpool.domain.reasons import Reason
from tunnelpool.domain.remote import Origin, Pool, TunnelStatus

NEVER = TunnelStatus.INACTIVE


# -- joining ----------------------------------------------------------------------------------------


def test_an_origin_joins_once_a_connector_is_ready() -> None:
    shot = snapshot(member(slot(0), slot(1, Running.NOT_READY, status=NEVER)))
    assert states(build(shot, SITE, NOW).desired) == {0: "in"}


def test_an_origin_joins_on_cloudflares_word_alone() -> None:
    shot = snapshot(member(slot(0, Running.NOT_READY, status=TunnelStatus.DEGRADED)))
    assert states(build(shot, SITE, NOW).desired) == {0: "in"}


def test_an_origin_has_its_tunnels_address_host_and_weight() -> None:
    (origin,) = pool_of(snapshot(member(slot(), of=tunnel(weight=0.5)))).origins
    assert origin == Origin(origin_name(0), "tunnel-web-0.cfargotunnel.com", weight=0.5, host=HOST)


def test_origins_of_several_tunnels_are_sorted_by_name() -> None:
    others = member(slot(0, name="a"), of=tunnel("a"))
    names = [o.name for o in pool_of(snapshot(member(slot(1), slot(0)), others)).origins]
    assert names == sorted(names)
    assert len(names) == 3


def test_a_slot_without_remote_tunnel_is_not_in_the_pool() -> None:
    intent = build(snapshot(member(slot(remote=None))), SITE, NOW)
    assert intent.desired is None
    assert not intent.hold
    assert intent.problem is not None
    assert intent.problem.reason is Reason.WAITING_FOR_CONNECTORS


def test_a_pool_without_origins_does_not_exist_and_says_what_to_apply() -> None:
    intent = build(snapshot(lbpools=(lbpool(),)), SITE, NOW)
    assert intent.desired is None
    assert intent.problem is not None
    assert intent.problem.reason is Reason.NO_ORIGINS
    assert "apply a Tunnel with `pool` 'my-pool'" in intent.problem.message


# -- leaving ----------------------------------------------------------------------------------------


def test_an_origin_that_leaves_is_disabled_first() -> None:
    whole = member(slot(0), slot(1, leaving=True))
    shot = snapshot(whole, observed=existing(whole), referrers=(referrer("pool-1"),))
    intent = build(shot, SITE, NOW)
    assert states(intent.desired) == {0: "in", 1: "out"}
    assert intent.recheck_s == 15


@pytest.mark.parametrize(("for_s", "there"), [(0, True), (14.9, True), (15.0, False), (900, False)])
def test_a_disabled_origin_goes_when_it_has_been_disabled_for_the_drain(for_s: float, *, there: bool) -> None:
    whole = member(slot(0), slot(1, leaving=True))
    shown = taken_out(existing(whole), 1)
    shown = observed(shown.value, disabled_for_s=for_s)
    intent = build(snapshot(whole, observed=shown, referrers=(referrer("pool-1"),)), SITE, NOW)
    assert (1 in states(intent.desired)) is there
    assert intent.recheck_s == (pytest.approx(15 - for_s) if there else None)


def test_an_origin_without_known_time_of_disabling_waits() -> None:
    whole = member(slot(0), slot(1, leaving=True))
    shot = snapshot(whole, observed=taken_out(existing(whole), 1), referrers=(referrer("pool-1"),))
    assert states(build(shot, SITE, NOW).desired) == {0: "in", 1: "out"}


def test_where_no_load_balancer_refers_to_the_pool_there_is_nothing_to_drain() -> None:
    whole = member(slot(0), slot(1, leaving=True))
    assert states(build(snapshot(whole, observed=existing(whole)), SITE, NOW).desired) == {0: "in"}


def test_a_leaving_origin_is_out_of_a_user_s_reach_but_a_returning_one_comes_back() -> None:
    whole = member(slot(0), slot(1))
    shown = observed(taken_out(existing(whole), 1).value, disabled_for_s=3)
    shot = snapshot(whole, observed=shown, referrers=(referrer("pool-1"),))
    assert states(build(shot, SITE, NOW).desired) == {0: "in", 1: "in"}


def test_when_all_leave_the_load_balancers_let_go_first() -> None:
    whole = member(slot(0, leaving=True))
    shot = snapshot(whole, observed=existing(whole), referrers=(referrer("pool-1"),))
    intent = build(shot, SITE, NOW)
    assert intent.hold
    assert intent.problem is not None
    assert HOST in intent.problem.message
    without = build(replace(shot, referrers=()), SITE, NOW)
    assert without.desired is None
    assert not without.hold


# -- fast failover ----------------------------------------------------------------------------------


def out_of(running: Running, **fields: object) -> dict[int, str]:
    """Build the pool of a healthy origin 0 and an origin 1 that is in this state."""
    failing = slot(1, running, **fields)  # type: ignore[arg-type]  # fields of a slot
    whole = member(slot(0), failing)
    shot = snapshot(whole, observed=existing(whole), referrers=(referrer("pool-1"),))
    return dict(states(build(shot, SITE, NOW).desired))


def test_an_origin_whose_connector_has_ended_for_three_seconds_is_out() -> None:
    assert out_of(Running.ENDED, for_s=BACK_WITHIN_S) == {0: "in", 1: "out"}


def test_an_origin_whose_connector_has_just_ended_is_in_and_looked_at_again() -> None:
    whole = member(slot(0), slot(1, Running.ENDED, for_s=1.0))
    shot = snapshot(whole, observed=existing(whole), referrers=(referrer("pool-1"),))
    intent = build(shot, SITE, NOW)
    assert states(intent.desired) == {0: "in", 1: "in"}
    assert intent.recheck_s == pytest.approx(2.0)


def test_an_origin_that_is_not_ready_is_out_if_cloudflare_calls_it_down_too() -> None:
    assert out_of(Running.NOT_READY, status=TunnelStatus.DOWN) == {0: "in", 1: "out"}


@pytest.mark.parametrize("status", [s for s in TunnelStatus if s is not TunnelStatus.DOWN])
def test_an_origin_that_is_not_ready_is_in_on_any_other_word(status: TunnelStatus) -> None:
    assert out_of(Running.NOT_READY, status=status) == {0: "in", 1: "in"}


@pytest.mark.parametrize("status", list(TunnelStatus))
def test_an_origin_with_a_ready_connector_is_in_whatever_cloudflare_says(status: TunnelStatus) -> None:
    assert out_of(Running.READY, status=status) == {0: "in", 1: "in"}


def test_an_origin_that_cloudflare_alone_calls_down_is_out_when_it_is_believed() -> None:
    failing = slot(1, status=TunnelStatus.DOWN, down_for_s=10)
    whole = member(slot(0), failing)
    shot = snapshot(whole, observed=existing(whole), referrers=(referrer("pool-1"),))
    assert states(build(shot, SITE, NOW).desired) == {0: "in", 1: "in"}
    shot = replace(shot, fleet=Fleet(2, (failing,)))
    assert states(build(shot, SITE, NOW).desired) == {0: "in", 1: "out"}


def test_an_origin_that_is_out_on_cloudflares_word_stays_out_until_that_is_taken_back() -> None:
    failing = slot(1, status=TunnelStatus.DOWN)
    whole = member(slot(0), failing)
    shot = snapshot(whole, observed=taken_out(existing(whole), 1), referrers=(referrer("pool-1"),))
    assert states(build(shot, SITE, NOW).desired) == {0: "in", 1: "out"}
    shot = replace(shot, members=(member(slot(0), replace(failing, ready_since_s=NOW.timestamp())),))
    assert states(build(shot, SITE, NOW).desired) == {0: "in", 1: "in"}, "the pod's word is newer"


def test_without_fast_failover_nothing_goes_out() -> None:
    whole = member(slot(0), slot(1, Running.ENDED, status=TunnelStatus.DOWN))
    shot = snapshot(whole, observed=existing(whole), referrers=(referrer("pool-1"),))
    slow = replace(SITE, fast_failover=False)
    assert states(build(shot, slow, NOW).desired) == {0: "in", 1: "in"}


def test_who_was_taken_out_stands_in_the_mark_and_comes_back_when_ready() -> None:
    whole = member(slot(0), slot(1, Running.NOT_READY))
    shown = taken_out(existing(whole), 1)
    shot = snapshot(whole, observed=shown, referrers=(referrer("pool-1"),))
    assert states(build(shot, SITE, NOW).desired) == {0: "in", 1: "out"}
    assert marked_out(build(shot, SITE, NOW).desired) == {1}
    back = build(replace(shot, members=(member(slot(0), slot(1)),)), SITE, NOW).desired
    assert states(back) == {0: "in", 1: "in"}
    assert marked_out(back) == set()


def test_who_was_taken_out_comes_back_even_with_fast_failover_off() -> None:
    whole = member(slot(0), slot(1))
    shot = snapshot(whole, observed=taken_out(existing(whole), 1), referrers=(referrer("pool-1"),))
    assert states(build(shot, replace(SITE, fast_failover=False), NOW).desired) == {0: "in", 1: "in"}


@pytest.mark.parametrize("running", list(Running))
def test_a_users_switch_is_respected_whatever_the_connector_does(running: Running) -> None:
    whole = member(slot(0), slot(1, running))
    shot = snapshot(whole, observed=existing(whole, off=[1]), referrers=(referrer("pool-1"),))
    desired = build(shot, SITE, NOW).desired
    assert states(desired) == {0: "in", 1: "out"}
    assert marked_out(desired) == set()


# -- the last enabled origin ------------------------------------------------------------------------


def test_the_last_enabled_origin_stays_in_where_nothing_else_can_answer() -> None:
    whole = member(slot(0, Running.ENDED), slot(1, Running.ENDED))
    shown = taken_out(existing(whole), 0)
    desired = build(snapshot(whole, observed=shown, referrers=(referrer("pool-1"),)), SITE, NOW).desired
    assert states(desired) == {0: "out", 1: "in"}
    assert desired is not None
    assert desired.enabled


def test_of_the_last_two_that_die_in_one_look_one_stays_in_that_may_come_back() -> None:
    whole = member(slot(0, Running.ENDED, pods=0), slot(1, Running.ENDED))
    shot = snapshot(whole, observed=existing(whole), referrers=(referrer("pool-1"),))
    assert states(build(shot, SITE, NOW).desired) == {0: "out", 1: "in"}
    hanging = member(slot(0, Running.NOT_READY, status=TunnelStatus.DOWN), slot(1, Running.ENDED))
    shot = snapshot(hanging, observed=existing(hanging), referrers=(referrer("pool-1"),))
    assert states(build(shot, SITE, NOW).desired) == {0: "in", 1: "out"}


def test_with_an_alternative_the_last_one_goes_out_and_the_pool_is_disabled() -> None:
    whole = member(slot(0, Running.ENDED), slot(1, Running.ENDED))
    shot = snapshot(
        whole, observed=existing(whole), referrers=(referrer("pool-1", fallback="f"),), alternatives=True
    )
    desired = build(shot, SITE, NOW).desired
    assert desired is not None
    assert states(desired) == {0: "out", 1: "out"}
    assert not desired.enabled


def test_a_disabled_pool_is_enabled_again_with_its_first_origin() -> None:
    whole = member(slot(0), slot(1, Running.ENDED))
    shown = taken_out(existing(whole), 0, 1)
    shown = replace(shown, value=replace(shown.value, enabled=False))
    shot = snapshot(whole, observed=shown, referrers=(referrer("pool-1", fallback="f"),), alternatives=True)
    desired = build(shot, SITE, NOW).desired
    assert desired is not None
    assert states(desired) == {0: "in", 1: "out"}
    assert desired.enabled


def test_a_pool_that_its_user_disables_is_disabled() -> None:
    assert not pool_of(snapshot(member(slot()), lbpools=(lbpool(enabled=False),))).enabled


# -- settings ---------------------------------------------------------------------------------------


def test_without_an_lbpool_the_defaults_are_those_that_every_plan_takes() -> None:
    desired = pool_of(snapshot(member(slot())))
    assert desired.check_regions == ("WNAM",)
    assert (desired.minimum_origins, desired.monitor, desired.enabled) == (1, "", True)
    assert desired.description == str(Mark(OWNER, "pool/my-pool", shared=True))


def test_the_lbpool_of_the_winning_namespace_has_the_say() -> None:
    mine, theirs = lbpool(minimumOrigins=2), lbpool(namespace="other", minimumOrigins=9)
    assert pool_of(snapshot(member(slot()), lbpools=(theirs, mine))).minimum_origins == 2
    assert pool_of(snapshot(member(slot()), lbpools=(theirs,))).minimum_origins == 1


def test_an_lbpool_that_is_being_deleted_says_nothing_any_more() -> None:
    shot = snapshot(member(slot()), lbpools=(lbpool(gone=True, minimumOrigins=2),))
    assert pool_of(shot).minimum_origins == 1


def test_the_monitor_is_named_once_it_is_there() -> None:
    view = HealthCheckView("web", check(), "monitor-1")
    assert pool_of(snapshot(member(slot()), lbpools=(lbpool(),), health_check=view)).monitor == "monitor-1"


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (HealthCheckView("web", None), Reason.HEALTH_CHECK_NOT_FOUND),
        (HealthCheckView("web", check()), Reason.WAITING_FOR_HEALTH_CHECK),
        (HealthCheckView("web", check(type="tcp", port=80), "m"), Reason.HEALTH_CHECK_NOT_SUPPORTED),
    ],
)
def test_a_health_check_that_is_missing_or_wrong_keeps_a_pool_from_being_made_and_no_origin_from_leaving(
    view: HealthCheckView, reason: Reason
) -> None:
    whole = member(slot(0), slot(1, leaving=True))
    shot = snapshot(whole, lbpools=(lbpool(),), health_check=view)
    fresh = build(shot, SITE, NOW)
    assert fresh.hold
    assert fresh.problem is not None
    assert fresh.problem.reason is reason
    shown = existing(whole)
    shown = observed(replace(shown.value, monitor="old"))
    kept = build(replace(shot, observed=shown, referrers=(referrer("pool-1"),)), SITE, NOW)
    assert kept.problem == fresh.problem
    assert states(kept.desired) == {0: "in", 1: "out"}
    assert kept.desired is not None
    assert kept.desired.monitor == "old"


def test_addresses_keep_what_they_say_and_get_no_port_unless_tls_is_required() -> None:
    pool = static()
    assert pool_of(snapshot(lbpools=(pool,))).origins == (Origin("one", "192.0.2.1"),)
    assert pool_of(snapshot(lbpools=(pool,), used_as_fallback=True)).origins[0].port == 443


@pytest.mark.parametrize(
    ("asked", "fallback", "required"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False)],
)
def test_a_fallback_requires_tls_unless_it_says_otherwise(
    asked: bool | None, *, fallback: bool, required: bool
) -> None:
    pool = static() if asked is None else static(requireTLS=asked)
    assert requires_tls(snapshot(lbpools=(pool,), used_as_fallback=fallback)) is required


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({}, False),
        ({"type": "http"}, True),
        ({"allowInsecure": True}, True),
        ({"type": "tcp", "port": 443}, True),
    ],
)
def test_a_pool_that_requires_tls_takes_only_a_health_check_that_proves_it(
    spec: dict[str, Any], *, refused: bool
) -> None:
    view = HealthCheckView("web", check(**spec), "m")
    intent = build(snapshot(lbpools=(static(requireTLS=True),), health_check=view), SITE, NOW)
    assert intent.hold is refused
    if refused:
        assert intent.problem is not None
        assert (intent.problem.reason, intent.problem.stalled) == (Reason.TLS_REQUIRED, True)


def test_a_pool_of_addresses_that_loses_its_lbpool_is_held_while_it_is_referred_to() -> None:
    shown = observed(pool_of(snapshot(lbpools=(static(),))))
    shot = snapshot(lbpools=(static(gone=True),), observed=shown, referrers=(referrer("pool-1"),))
    assert build(shot, SITE, NOW).hold
    assert not build(replace(shot, referrers=()), SITE, NOW).hold


# -- ownership --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("", Reason.NAME_IN_USE),
        ("made by hand", Reason.NAME_IN_USE),
        (str(Mark(STRANGER, "pool/my-pool")), Reason.NAME_IN_USE),
        (str(Mark(CLONE, "pool/my-pool")), Reason.CLUSTER_NAME_TAKEN),
    ],
)
def test_a_pool_of_somebody_else_is_held_and_named(description: str, reason: Reason) -> None:
    shown = observed(Pool("my-pool", (Origin("o", "192.0.2.1"),), description))
    intent = build(snapshot(member(slot()), observed=shown), SITE, NOW)
    assert intent.hold
    assert intent.desired is None
    assert intent.problem is not None
    assert (intent.problem.reason, intent.problem.stalled) == (reason, True)
