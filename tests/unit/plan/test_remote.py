"""Steps for remote objects: only what differs, only our own, create before delete (laws 1, 2, 4)."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from snapshots import (
    CLONE,
    HOST,
    NOW,
    OWNER,
    SITE,
    STRANGER,
    balancer,
    check,
    existing,
    lbpool,
    member,
    origin_name,
    referrer,
    slot,
    snapshot,
    static,
    taken_out,
    tunnel,
)

from tunnelpool.build import host as host_builder
from tunnelpool.build import monitor as monitor_builder
from tunnelpool.build import pool as pool_builder
from tunnelpool.build.intent import HostIntent, Intent
from tunnelpool.build.ownership import is_ours
from tunnelpool.build.snapshot import (
    HealthCheckView,
    HostSnapshot,
    MonitorSnapshot,
    PoolSnapshot,
    PoolView,
    Running,
)
from tunnelpool.domain.ownership import Mark
from tunnelpool.domain.remote import (
    KIND_OF,
    DnsRecord,
    LoadBalancer,
    Monitor,
    Observed,
    ObservedPool,
    Origin,
    Pool,
    PoolHealth,
    TunnelStatus,
    Zone,
)
from tunnelpool.plan.diff import changes, update
from tunnelpool.plan.remote import plan, plan_host
from tunnelpool.plan.steps import Create, Delete, RemoteStep, Update

ZONE = Zone("zone-com", "example.com")
owners = st.sampled_from((OWNER, OWNER, OWNER, STRANGER, CLONE, None))
slots = st.lists(
    st.builds(
        slot,
        st.integers(0, 3),
        st.sampled_from(Running),
        leaving=st.booleans(),
        for_s=st.sampled_from((0.0, 2.0, 60.0)),
        status=st.sampled_from(TunnelStatus),
        remote=st.just(None) | st.builds(lambda: slot(0).remote),
    ).map(lambda one: one if one.remote is None else replace(one, remote=slot(one.index).remote)),
    max_size=4,
    unique_by=lambda one: one.index,
)
members = st.builds(lambda found: member(*found), slots)


@st.composite
def listed_pools(draw: st.DrawFn) -> ObservedPool:
    """Draw a pool as it may stand at Cloudflare, ours or not."""
    indices = draw(st.sets(st.integers(0, 4), min_size=1))
    origins = tuple(
        Origin(origin_name(i), f"tunnel-web-{i}.cfargotunnel.com", draw(st.booleans()), host=HOST)
        for i in sorted(indices)
    )
    owner = draw(owners)
    out = tuple(o.name for o in origins if not o.enabled and draw(st.booleans()))
    text = str(Mark(owner, "pool/my-pool", out)) if owner else draw(st.sampled_from(("", "by hand")))
    disabled = {o.name: NOW - timedelta(seconds=draw(st.integers(0, 60))) for o in origins if not o.enabled}
    verdicts = {o.name: draw(st.sampled_from((True, False, None))) for o in origins}
    value = Pool(
        "my-pool", origins, text, draw(st.booleans()), draw(st.integers(1, 3)), check_regions=("WNAM",)
    )
    return ObservedPool("pool-1", value, health=PoolHealth(None, verdicts, disabled))


@st.composite
def pool_snapshots(draw: st.DrawFn) -> PoolSnapshot:
    """Draw any situation of a pool."""
    view = draw(
        st.none()
        | st.just(HealthCheckView("web", None))
        | st.builds(HealthCheckView, st.just("web"), st.just(check()), st.sampled_from(("", "monitor-1")))
    )
    lbpools = draw(st.sampled_from(((), (lbpool(minimumOrigins=2),), (static(),), (lbpool(gone=True),))))
    return snapshot(
        draw(members),
        lbpools=lbpools,
        observed=draw(st.none() | listed_pools()),
        referrers=draw(st.sampled_from(((), (referrer("pool-1"),), (referrer("pool-1", owner=None),)))),
        alternatives=draw(st.booleans()),
        health_check=view if lbpools else None,
    )


def pool_steps(shot: PoolSnapshot) -> tuple[RemoteStep, ...]:
    """Plan a pool."""
    return plan(pool_builder.build(shot, SITE, NOW), shot.observed, OWNER)


def carried_out(shot: PoolSnapshot) -> PoolSnapshot:
    """Show what a pool is after its plan."""
    for step in pool_steps(shot):
        match step:
            case Create(value=Pool() as value):
                shot = replace(shot, observed=ObservedPool("pool-1", value))
            case Update(value=Pool() as value) if shot.observed is not None:
                disabled = {o.name: NOW for o in value.origins if not o.enabled}
                health = replace(
                    shot.observed.health, disabled_at={**disabled, **shot.observed.health.disabled_at}
                )
                shot = replace(shot, observed=replace(shot.observed, value=value, health=health))
            case _:
                shot = replace(shot, observed=None)
    return shot


@given(pool_snapshots())
def test_no_snapshot_makes_us_touch_a_pool_that_is_not_ours(shot: PoolSnapshot) -> None:
    steps = pool_steps(shot)
    if shot.observed is not None and not is_ours(shot.observed.value, OWNER):
        assert not steps
    assert len(steps) <= 1
    for step in steps:
        if isinstance(step, (Create, Update)):
            assert isinstance(step.value, Pool)
            assert step.value.origins
            assert is_ours(step.value, OWNER)


@given(pool_snapshots())
def test_a_pool_comes_to_rest_without_anything_happening(shot: PoolSnapshot) -> None:
    once = carried_out(shot)
    twice = carried_out(once)
    assert pool_steps(twice) == ()


@given(pool_snapshots())
def test_a_pool_that_a_load_balancer_refers_to_is_never_deleted(shot: PoolSnapshot) -> None:
    if shot.referrers:
        assert not any(isinstance(step, Delete) for step in pool_steps(shot))


@st.composite
def dying_pools(draw: st.DrawFn) -> PoolSnapshot:
    """Draw a pool of ours all of whose connectors have died in some way, and some may be leaving."""
    ways = st.sampled_from(((Running.ENDED, TunnelStatus.HEALTHY), (Running.NOT_READY, TunnelStatus.DOWN)))
    found = draw(st.lists(st.tuples(ways, st.booleans(), st.booleans()), min_size=1, max_size=4))
    slots = [slot(i, how, status=said, leaving=gone) for i, ((how, said), gone, _) in enumerate(found)]
    shown = existing(member(*slots))
    shown = taken_out(shown, *(i for i, (_, _, was_out) in enumerate(found) if was_out))
    return snapshot(
        member(*slots, of=tunnel(gone=draw(st.booleans()))), observed=shown, referrers=(referrer("pool-1"),)
    )


@given(pool_snapshots() | dying_pools())
def test_the_last_enabled_origin_is_never_taken_out_without_an_alternative(shot: PoolSnapshot) -> None:
    staying = {s.remote.value.name for m in shot.members for s in m.slots if s.remote and not s.leaving}
    if not shot.referrers or shot.alternatives or shot.observed is None:
        return
    before = {o.name for o in shot.observed.value.origins if o.enabled} & staying
    for step in pool_steps(shot):
        if isinstance(step, Update) and isinstance(step.value, Pool) and before:
            assert any(o.enabled for o in step.value.origins)


@st.composite
def host_snapshots(draw: st.DrawFn) -> HostSnapshot:
    """Draw any situation of a host name."""
    joined = draw(members)
    plain = draw(st.booleans())
    if plain:
        joined = replace(joined, tunnel=tunnel(pool=None))
    shown = replace(existing(member(slot(0), slot(1))), id="pool-1")
    pools = {"my-pool": PoolView("my-pool", observed=draw(st.sampled_from((None, shown))), members=(joined,))}
    owner = draw(owners)
    records = draw(
        st.lists(
            st.builds(
                lambda number, type_, comment: Observed(
                    f"record-{number}",
                    DnsRecord(HOST, type_, "tunnel-web-0.cfargotunnel.com", comment=comment),
                    "zone-com",
                ),
                st.integers(0, 9),
                st.sampled_from(("CNAME", "A", "TXT")),
                st.sampled_from(("", str(Mark(OWNER)), str(Mark(STRANGER)))),
            ),
            max_size=3,
            unique_by=lambda one: one.id,
        )
    )
    return HostSnapshot(
        HOST,
        "default",
        load_balancers=draw(st.sampled_from(((), (balancer(),), (balancer(gone=True),)))),
        members=draw(st.sampled_from(((), (joined,)))),
        zone=ZONE,
        observed=draw(st.sampled_from((None, referrer("pool-1", owner=owner)))),
        records=tuple(records),
        pools=pools,
    )


@given(host_snapshots())
def test_no_snapshot_makes_us_touch_an_answer_that_is_not_ours(shot: HostSnapshot) -> None:
    steps = plan_host(host_builder.build(shot, SITE), shot, OWNER)
    listed: list[Observed[Any]] = [*shot.records, *([shot.observed] if shot.observed else [])]
    foreign = {one.id for one in listed if not is_ours(one.value, OWNER)}
    touched = [step.id for step in steps if isinstance(step, (Update, Delete))]
    assert not foreign & {*touched}
    assert len(touched) == len({*touched})
    order = [isinstance(step, Delete) for step in steps]
    assert order == sorted(order)
    if any(one.value.type != "TXT" and one.id in foreign for one in shot.records):
        assert not any(isinstance(step, Create) for step in steps)


@given(
    st.lists(st.sampled_from((str(Mark(OWNER, "monitor/default/web")), "", str(Mark(STRANGER)))), max_size=3)
)
def test_duplicates_of_a_monitor_go_if_they_are_ours_and_unused(descriptions: list[str]) -> None:
    shown = tuple(Observed(f"m-{n}", Monitor(text)) for n, text in enumerate(descriptions))
    shot = MonitorSnapshot("default", "web", check(), None, shown, in_use=frozenset({"m-1"}))
    intent = monitor_builder.build(shot, SITE)
    steps = plan(intent, monitor_builder.chosen(shot), OWNER)
    for step in steps:
        if isinstance(step, (Update, Delete)):
            assert is_ours(next(one for one in shown if one.id == step.id).value, OWNER)
            assert not (isinstance(step, Delete) and step.id == "m-1")


VALUES: tuple[Any, ...] = (
    Monitor("d"),
    Pool("p", (Origin("o", "192.0.2.1"),)),
    LoadBalancer("h", ("a",), "b"),
    DnsRecord("h", "CNAME", "t"),
)


def test_what_is_as_desired_needs_no_step_and_what_is_not_needs_one() -> None:
    for value in VALUES:
        assert changes(value, value) == ()
        other = (
            replace(value, description="x") if hasattr(value, "description") else replace(value, comment="x")
        )
        step = update(other, Observed("id", value, "z"))
        assert isinstance(step, Update)
        assert (step.id, step.zone_id, len(step.changes)) == ("id", "z", 1)


def test_every_field_that_differs_is_named() -> None:
    before = Monitor("d")
    after = Monitor("e", "http", "HEAD", "/x", 80, 61, 6, 3, 1, 1, "2xx", "b", "h", True, True, "z")  # noqa: FBT003 - all fields by position
    assert {change.field for change in changes(after, before)} == {field.name for field in fields(Monitor)}


def test_what_the_server_decides_is_not_asked_back() -> None:
    shown = LoadBalancer("h", ("a",), "b", ttl=30, session_affinity_ttl=82800)
    assert changes(replace(shown, ttl=0, session_affinity_ttl=0), shown) == ()
    assert changes(replace(shown, ttl=60), shown)


def test_what_is_wanted_no_more_is_deleted_only_if_it_is_ours() -> None:
    for owner, expected in ((OWNER, 1), (STRANGER, 0), (CLONE, 0), (None, 0)):
        shown = referrer("pool-1", owner=owner)
        steps = plan_host(HostIntent(), HostSnapshot(HOST, zone=ZONE, observed=shown), OWNER)
        assert len(steps) == expected
    assert plan(Intent(hold=True), existing(member(slot())), OWNER) == ()


def test_a_load_balancer_comes_before_its_cname_goes_and_the_other_way_round() -> None:
    record = Observed("r", DnsRecord(HOST, "CNAME", "t", comment=str(Mark(OWNER))), "zone-com")
    up = HostIntent(load_balancer=referrer("pool-1").value)
    steps = plan_host(up, HostSnapshot(HOST, zone=ZONE, records=(record,)), OWNER)
    assert [type(step) for step in steps] == [Create, Delete]
    off = HostIntent(record=record.value)
    steps = plan_host(off, HostSnapshot(HOST, zone=ZONE, observed=referrer("pool-1")), OWNER)
    assert [type(step) for step in steps] == [Create, Delete]
    assert {KIND_OF[type(step.value)] for step in steps if isinstance(step, Create)} == {"DNS record"}


def test_adoption_changes_what_is_unmarked_and_never_deletes_it() -> None:
    pool = Pool("my-pool", (Origin("a", "192.0.2.1"),), "by hand")
    wanted = replace(pool, description=str(Mark(OWNER, "pool/my-pool")))
    (step,) = plan(Intent(wanted, adopt=True), Observed("1", pool), OWNER)
    assert isinstance(step, Update)
    assert plan(Intent(None, adopt=True), Observed("1", pool), OWNER) == ()
    for owner in (STRANGER, CLONE):
        theirs = replace(pool, description=str(Mark(owner, "pool/my-pool")))
        assert plan(Intent(wanted, adopt=True), Observed("1", theirs), OWNER) == ()


def test_adoption_of_a_record_passes_over_those_that_do_not_answer() -> None:
    text = Observed("1", DnsRecord(HOST, "TXT", "v=spf1 -all"), ZONE.id)
    address = Observed("2", DnsRecord(HOST, "A", "192.0.2.7"), ZONE.id)
    wanted = DnsRecord(HOST, "CNAME", "tunnel.cfargotunnel.com", comment=str(Mark(OWNER)))
    snapshot_of = HostSnapshot(HOST, zone=ZONE, records=(text, address))
    (step,) = plan_host(HostIntent(record=wanted, adopt=True), snapshot_of, OWNER)
    assert isinstance(step, Update)
    assert step.id == "2"
