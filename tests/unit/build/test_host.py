"""What answers for a host name, when it may, and what must not be touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from snapshots import (
    CLONE,
    HOST,
    OWNER,
    SITE,
    STRANGER,
    balancer,
    existing,
    lbpool,
    member,
    observed,
    origin_name,
    pool_of,
    referrer,
    slot,
    snapshot,
    static,
    tunnel,
)

from tunnelpool.build.host import build, pool_names
from tunnelpool.build.intent import HostIntent
from tunnelpool.build.snapshot import HostSnapshot, Member, PoolView, Running
from tunnelpool.domain.json import thaw
from tunnelpool.domain.ownership import Mark
from tunnelpool.domain.reasons import Reason
from tunnelpool.domain.remote import DnsRecord, Observed, TunnelStatus, Zone

ZONE = Zone("zone-com", "example.com")
OURS = str(Mark(OWNER))


def view(name: str = "my-pool", *members: Member, id_: str = "pool-1", **fields: Any) -> PoolView:
    """Show a pool of Tunnels that exists."""
    joined = members or (member(slot(0), slot(1)),)
    return PoolView(name, observed=replace(existing(*joined), id=id_), members=joined, **fields)


def fallback_view(name: str = "static", id_: str = "pool-f") -> PoolView:
    """Show a pool of an address that exists."""
    spec = static(name)
    return PoolView(name, spec, observed(pool_of(snapshot(lbpools=(spec,))), id_))


def host(*members: Member, **fields: Any) -> HostSnapshot:
    """Build the snapshot of a host name whose pool is there."""
    joined = members or (member(slot(0), slot(1)),)
    given = {"namespace": "default", "zone": ZONE, "pools": {"my-pool": view()}, **fields}
    return HostSnapshot(HOST, members=joined, **given)


def reason(intent: HostIntent) -> Reason | None:
    """Tell the reason of a problem."""
    return intent.problem.reason if intent.problem else None


def record(
    type_: str = "CNAME", comment: str = OURS, content: str = "x.cfargotunnel.com"
) -> Observed[DnsRecord]:
    """Show a DNS record of the host name."""
    return Observed("record-1", DnsRecord(HOST, type_, content, comment=comment), "zone-com")


def test_a_load_balancer_is_derived_from_the_tunnels_pool() -> None:
    intent = build(host(), SITE)
    assert intent.load_balancer is not None
    assert intent.record is None
    assert intent.load_balancer.default_pools == ("pool-1",)
    assert intent.load_balancer.fallback_pool == "pool-1"
    assert intent.load_balancer.proxied
    assert intent.load_balancer.description == str(Mark(OWNER, f"host/{HOST}", shared=True, has=("pool-1",)))


def test_nothing_is_made_before_an_origin_is_connected() -> None:
    asleep = member(slot(0, Running.NOT_READY, status=TunnelStatus.INACTIVE))
    shown = {"my-pool": replace(view(), members=(asleep,))}
    intent = build(host(asleep, pools=shown), SITE)
    assert intent.hold
    assert reason(intent) is Reason.WAITING_FOR_CONNECTORS


def test_a_monitored_pool_needs_a_healthy_origin_first() -> None:
    pool = view()
    assert pool.observed is not None
    monitored = replace(pool.observed.value, monitor="m")
    none_up = replace(pool, observed=observed(monitored, "pool-1", up=()))
    assert reason(build(host(pools={"my-pool": none_up}), SITE)) is Reason.WAITING_FOR_HEALTH
    one_up = replace(pool, observed=observed(monitored, "pool-1", up=[origin_name(0)]))
    assert build(host(pools={"my-pool": one_up}), SITE).load_balancer is not None


def test_what_answers_once_stays_whatever_its_health() -> None:
    pool = view()
    assert pool.observed is not None
    none_up = replace(pool, observed=observed(replace(pool.observed.value, monitor="m"), up=()))
    shot = host(pools={"my-pool": none_up}, observed=referrer("pool-1"))
    assert build(shot, SITE).load_balancer is not None


def test_the_pools_of_a_derived_load_balancer_are_in_the_order_of_the_tunnels() -> None:
    older, newer = member(slot(0), of=tunnel(pool="b")), member(slot(0, name="n"), of=tunnel("n", pool="a"))
    pools = {"a": view("a", newer, id_="pool-a"), "b": view("b", older, id_="pool-b")}
    intent = build(host(older, newer, pools=pools), SITE)
    assert intent.load_balancer is not None
    assert intent.load_balancer.default_pools == ("pool-b", "pool-a")


def test_the_fallback_is_that_of_the_first_pool_else_the_first_pool() -> None:
    first = view(lbpool=lbpool(fallbackRef={"name": "static"}))
    intent = build(host(pools={"my-pool": first, "static": fallback_view()}), SITE)
    assert intent.load_balancer is not None
    assert intent.load_balancer.fallback_pool == "pool-f"
    assert pool_names(host()) == (("my-pool",), None)


def test_a_load_balancer_object_has_the_say_over_pools_and_fallback() -> None:
    spec = balancer(fallbackRef={"name": "static"}, description="mine")
    pools = {"my-pool": view(), "static": fallback_view()}
    intent = build(host(pools=pools, load_balancers=(spec,)), SITE)
    assert intent.load_balancer is not None
    assert intent.load_balancer.fallback_pool == "pool-f"
    assert intent.load_balancer.description.startswith("mine [")


@pytest.mark.parametrize("spec", [balancer(namespace="other"), balancer(gone=True)])
def test_a_load_balancer_object_elsewhere_or_on_its_way_out_has_no_say(spec: Any) -> None:
    without, with_it = build(host(), SITE), build(host(load_balancers=(spec,)), SITE)
    assert with_it == without


def test_pools_without_origins_are_left_out_and_said_to_be_waited_for() -> None:
    spec = balancer(pools=["empty", "my-pool"])
    pools = {"empty": PoolView("empty", lbpool("empty")), "my-pool": view()}
    intent = build(host(pools=pools, load_balancers=(spec,)), SITE)
    assert intent.load_balancer is not None
    assert intent.load_balancer.default_pools == ("pool-1",)
    assert reason(intent) is Reason.WAITING_FOR_POOL


def test_places_and_weights_are_translated_to_ids_and_lose_what_does_not_exist() -> None:
    spec = balancer(
        steeringPolicy="random",
        randomSteering={"defaultWeight": 0.5, "poolWeights": {"my-pool": 0.2, "empty": 1}},
        regionPools={"WEU": ["empty", "my-pool"], "ENAM": ["empty"]},
    )
    pools = {"empty": PoolView("empty", lbpool("empty")), "my-pool": view()}
    intent = build(host(pools=pools, load_balancers=(spec,)), SITE)
    assert intent.load_balancer is not None
    assert thaw(intent.load_balancer.region_pools) == {"WEU": ["pool-1"]}
    assert thaw(intent.load_balancer.random_steering) == {
        "default_weight": 0.5,
        "pool_weights": {"pool-1": 0.2},
    }


def test_rules_name_their_pools_by_id_and_have_a_priority_each() -> None:
    rules = [
        {"name": "shop", "condition": "c", "overrides": {"pools": ["empty", "my-pool"], "ttlSeconds": 60}},
        {"name": "late", "overrides": {"pools": ["empty"], "fallbackRef": {"name": "static"}}},
        {"name": "later", "overrides": {"pools": ["empty"]}},
        {"name": "closed", "fixedResponse": {"statusCode": 503, "messageBody": "later"}},
    ]
    pools = {"empty": PoolView("empty", lbpool("empty")), "my-pool": view(), "static": fallback_view()}
    intent = build(host(pools=pools, load_balancers=(balancer(rules=rules),)), SITE)
    assert intent.load_balancer is not None
    plain = {"condition": "", "disabled": False, "terminates": False}
    assert thaw(intent.load_balancer.rules) == [
        {
            **plain,
            "name": "shop",
            "condition": "c",
            "priority": 0,
            "overrides": {"default_pools": ["pool-1"], "ttl": 60},
        },
        {
            **plain,
            "name": "late",
            "priority": 1,
            "overrides": {"default_pools": ["pool-f"], "fallback_pool": "pool-f"},
        },
        # No pool of it exists, so the fallback answers: another pool is not what the rule asks for.
        {**plain, "name": "later", "priority": 2, "overrides": {"default_pools": ["pool-1"]}},
        {
            **plain,
            "name": "closed",
            "priority": 3,
            "terminates": True,
            "fixed_response": {"status_code": 503, "message_body": "later"},
            "overrides": {},
        },
    ]
    assert intent.load_balancer.pools == {"pool-1", "pool-f"}
    assert reason(intent) is Reason.WAITING_FOR_POOL


@pytest.mark.parametrize(
    "spec",
    [
        {"regionPools": {"WEU": ["nowhere"]}},
        {"rules": [{"name": "r", "overrides": {"pools": ["nowhere"]}}]},
    ],
)
def test_a_pool_that_nothing_defines_is_named_wherever_it_stands(spec: dict[str, Any]) -> None:
    intent = build(host(load_balancers=(balancer(**spec),)), SITE)
    assert (intent.hold, reason(intent)) == (True, Reason.POOL_NOT_FOUND)


def test_the_fallback_of_a_rule_has_to_exist() -> None:
    rule = {"name": "r", "overrides": {"fallbackRef": {"name": "nowhere"}}}
    intent = build(host(load_balancers=(balancer(rules=[rule]),)), SITE)
    assert (intent.hold, reason(intent)) == (True, Reason.FALLBACK_NOT_FOUND)


def test_where_only_dns_is_answered_no_pool_of_tunnels_may_be_named() -> None:
    pools = {"my-pool": view(), "static": fallback_view()}
    refused = build(host(pools=pools, load_balancers=(balancer(proxied=False),)), SITE)
    assert (refused.hold, reason(refused)) == (True, Reason.PROXY_REQUIRED)
    taken = build(host(pools=pools, load_balancers=(balancer(proxied=False, pools=["static"]),)), SITE)
    assert taken.load_balancer is not None
    assert not taken.load_balancer.proxied


def test_with_every_pool_gone_the_load_balancer_goes() -> None:
    leaving = member(slot(0, leaving=True))
    shot = host(leaving, pools={"my-pool": view("my-pool", leaving)}, observed=referrer("pool-1"))
    intent = build(shot, SITE)
    assert not intent.hold
    assert intent.load_balancer is None
    assert reason(intent) is Reason.NO_ORIGINS


def test_only_the_fallback_left_answers_alone() -> None:
    none = member(of=tunnel(replicas=0))
    pools = {
        "my-pool": PoolView("my-pool", lbpool(fallbackRef={"name": "static"}), members=(none,)),
        "static": fallback_view(),
    }
    intent = build(host(none, pools=pools), SITE)
    assert intent.load_balancer is not None
    assert intent.load_balancer.default_pools == ("pool-f",)


def test_a_fallback_does_not_go_first_while_tunnels_are_on_their_way() -> None:
    asleep = member(slot(0, Running.NOT_READY, status=TunnelStatus.INACTIVE))
    pools = {
        "my-pool": PoolView("my-pool", lbpool(fallbackRef={"name": "static"}), members=(asleep,)),
        "static": fallback_view(),
    }
    intent = build(host(asleep, pools=pools), SITE)
    assert intent.hold
    assert reason(intent) is Reason.WAITING_FOR_CONNECTORS


def test_an_unknown_pool_and_an_unknown_fallback_are_named() -> None:
    unknown = build(host(load_balancers=(balancer(pools=["nowhere"]),)), SITE)
    assert (unknown.hold, reason(unknown)) == (True, Reason.POOL_NOT_FOUND)
    missing = build(host(load_balancers=(balancer(fallbackRef={"name": "nowhere"}),)), SITE)
    assert (missing.hold, reason(missing)) == (True, Reason.FALLBACK_NOT_FOUND)


def test_a_pool_of_addresses_does_not_answer_for_a_tunnel_that_names_it() -> None:
    intent = build(host(pools={"my-pool": fallback_view("my-pool")}), SITE)
    assert (intent.hold, reason(intent)) == (True, Reason.MIXED_POOL)


def test_without_zone_nothing_is_touched() -> None:
    intent = build(host(zone=None), SITE)
    assert (intent.hold, reason(intent)) == (True, Reason.ZONE_NOT_FOUND)


@pytest.mark.parametrize("type_", ["A", "AAAA", "CNAME"])
@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("", Reason.HOSTNAME_IN_USE),
        (str(Mark(STRANGER)), Reason.HOSTNAME_IN_USE),
        (str(Mark(CLONE)), Reason.CLUSTER_NAME_TAKEN),
    ],
)
def test_a_foreign_record_is_never_beaten(type_: str, comment: str, expected: Reason) -> None:
    for shot in (host(), host(member(slot(0), of=tunnel(pool=None)))):
        intent = build(replace(shot, records=(record(type_, comment),)), SITE)
        assert (intent.hold, reason(intent)) == (True, expected)


@pytest.mark.parametrize("type_", ["TXT", "MX", "CAA"])
def test_a_record_that_answers_no_request_is_in_nobodys_way(type_: str) -> None:
    assert build(host(records=(record(type_, ""),)), SITE).load_balancer is not None


@pytest.mark.parametrize("owner", [None, STRANGER])
def test_a_foreign_load_balancer_is_held(owner: Any) -> None:
    intent = build(host(observed=referrer("pool-1", owner=owner)), SITE)
    assert (intent.hold, reason(intent)) == (True, Reason.HOSTNAME_IN_USE)


def test_a_tunnel_without_pool_gets_a_cname_once_connected() -> None:
    plain = tunnel(pool=None)
    intent = build(host(member(slot(0), of=plain), pools={}), SITE)
    assert intent.record == DnsRecord(HOST, "CNAME", "tunnel-web-0.cfargotunnel.com", comment=OURS)
    asleep = member(slot(0, Running.NOT_READY, status=TunnelStatus.INACTIVE), of=plain)
    assert reason(build(host(asleep, pools={}), SITE)) is Reason.WAITING_FOR_CONNECTORS


def test_a_cname_that_answers_stays_while_its_connectors_are_away() -> None:
    asleep = member(slot(0, Running.ENDED, status=TunnelStatus.DOWN), of=tunnel(pool=None))
    intent = build(host(asleep, pools={}, records=(record(),)), SITE)
    assert intent.record is not None


def test_a_cname_stays_until_the_load_balancer_can_take_its_place() -> None:
    nothing_yet = {"my-pool": PoolView("my-pool", members=(member(slot(0)),))}
    intent = build(host(pools=nothing_yet, records=(record(),)), SITE)
    assert intent.record == record().value
    assert intent.load_balancer is None


def test_a_host_name_that_nobody_claims_is_given_up() -> None:
    assert build(HostSnapshot(HOST, zone=ZONE), SITE) == HostIntent()
    gone = host(member(of=tunnel(gone=True)))
    assert build(gone, SITE) == HostIntent()
