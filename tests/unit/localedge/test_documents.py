"""What is written: defaults, refusals, and that what was read can always be written again."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from localedge.documents.dns_records import read_dns_record
from localedge.documents.fields import merge
from localedge.documents.hostnames import hostname, without_port, zone_of
from localedge.documents.load_balancers import read_load_balancer
from localedge.documents.monitors import read_monitor
from localedge.documents.pools import read_pool
from localedge.documents.refusal import InvalidError, NotEmulatedError, NotUniqueError
from localedge.plan import PLANS, PlanName

PRO = PLANS[PlanName.PRO]
ENTERPRISE = PLANS[PlanName.ENTERPRISE]
ZONES = ["example.com"]
LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)

monitors = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["http", "https"]),
        "description": st.text(max_size=20),
        "method": st.sampled_from(["GET", "HEAD"]),
        "path": st.sampled_from(["/", "/up?x=1"]),
        "port": st.integers(0, 65535),
        "header": st.just({"Host": ["a.example.com"]}),
        "expected_codes": st.sampled_from(["", "200", "2xx,301-302"]),
        "interval": st.integers(61, 3600),
        "timeout": st.integers(1, 10),
        "consecutive_up": st.integers(0, 5) | st.none(),
    },
)
origins = st.fixed_dictionaries(
    {"name": LABELS, "address": st.ip_addresses().map(str) | LABELS.map("{}.example.net".format)},
    optional={
        "enabled": st.booleans(),
        "weight": st.floats(0, 1),
        "port": st.integers(0, 65535),
        "header": st.none() | LABELS.map(lambda label: {"Host": [f"{label.upper()}.example.com"]}),
    },
)
pools = st.fixed_dictionaries(
    {
        "name": LABELS,
        "origins": st.lists(
            origins, min_size=1, max_size=4, unique_by=(lambda o: o["name"], lambda o: o["address"])
        ),
        "check_regions": st.just(["WNAM"]),
    },
    optional={
        "enabled": st.booleans(),
        "minimum_origins": st.integers(0, 9),
        "load_shedding": st.none()
        | st.fixed_dictionaries({}, optional={"default_percent": st.floats(0, 100)}),
        "notification_filter": st.none() | st.just({"pool": {"healthy": False}}),
        "monitor": st.sampled_from([None, "", "0" * 32]),
    },
)


places = st.dictionaries(
    st.sampled_from(["WNAM", "WEU"]), st.lists(st.sampled_from("abc"), min_size=1, unique=True), max_size=2
)
balancers = st.fixed_dictionaries(
    {"name": st.just("My.example.com"), "default_pools": st.just(["a", "b"]), "fallback_pool": st.just("b")},
    optional={
        "proxied": st.sampled_from([True]),
        "steering_policy": st.sampled_from(["", "off", "random", "geo", "least_outstanding_requests", None]),
        "region_pools": places | st.none(),
        "country_pools": st.just({"GB": ["c"]}),
        "random_steering": st.just({"pool_weights": {"a": 0.5}}),
        "session_affinity_attributes": st.fixed_dictionaries(
            {},
            optional={
                "samesite": st.sampled_from(["Auto", "Strict"]),
                "drain_duration": st.integers(0, 900),
                "zero_downtime_failover": st.sampled_from(["none", "temporary", "sticky"]),
            },
        ),
    },
)


@given(balancers, st.sampled_from(["none", "", "cookie", "ip_cookie"]))
def test_a_load_balancer_that_was_read_reads_the_same_again(body: dict[str, Any], affinity: str) -> None:
    if body.get("proxied"):
        body = {**body, "session_affinity": affinity}
    once = read_load_balancer(body, ENTERPRISE, "example.com")
    assert read_load_balancer(once, ENTERPRISE, "example.com") == once


@given(monitors)
def test_a_monitor_that_was_read_reads_the_same_again(body: dict[str, Any]) -> None:
    once = read_monitor(body, PRO)
    assert read_monitor(once, PRO) == once


@given(pools)
def test_a_pool_that_was_read_reads_the_same_again(body: dict[str, Any]) -> None:
    once = read_pool(body, PRO, ZONES)
    assert read_pool(once, PRO, ZONES) == once


@given(pools, st.randoms(use_true_random=False))
def test_the_order_of_origins_does_not_matter(body: dict[str, Any], chance: Any) -> None:
    shuffled = {**body, "origins": list(body["origins"])}
    chance.shuffle(shuffled["origins"])
    assert read_pool(shuffled, PRO, ZONES) == read_pool(body, PRO, ZONES)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@example(float("inf"), "minimum_origins")
@example(float("nan"), "weight")
@example(10**400, "minimum_origins")
@example(float("nan"), "interval")
@given(
    json_values,
    st.sampled_from(
        [
            "name",
            "origins",
            "check_regions",
            "header",
            "load_shedding",
            "enabled",
            "minimum_origins",
            "interval",
            "weight",
            "ttl",
            "region_pools",
            "rules",
            "session_affinity_attributes",
        ]
    ),
)
def test_nonsense_is_refused_and_never_crashes(value: Any, field: str) -> None:
    body = {"name": "p", "origins": [{"name": "a", "address": "192.0.2.1"}], "check_regions": ["WNAM"]}
    balancer = {"name": "my.example.com", "default_pools": ["p"], "fallback_pool": "p"}
    with contextlib.suppress(InvalidError, NotEmulatedError, NotUniqueError):
        read_load_balancer({**balancer, field: value}, ENTERPRISE, "example.com")
    for read in (
        lambda b: read_pool(b, PRO, ZONES),
        lambda b: read_monitor(b, PRO),
        lambda b: read_load_balancer(b, PRO, "example.com"),
        lambda b: read_dns_record(b, "example.com"),
    ):
        for broken in ({**body, field: value}, value, {**body, "origins": [{field: value}]}):
            try:
                read(broken)
            except (InvalidError, NotEmulatedError, NotUniqueError):
                continue


@given(json_values, json_values)
def test_a_merge_keeps_what_the_patch_does_not_name(base: Any, patch: Any) -> None:
    merged = merge(base, patch)
    if isinstance(base, dict) and isinstance(patch, dict):
        assert merged.keys() == base.keys() | patch.keys()
        assert all(merged[name] is base[name] for name in base.keys() - patch.keys())
        assert repr(merge(merged, patch)) == repr(merged)
    else:
        assert merged is patch


def test_a_merge_replaces_arrays_whole_and_merges_objects() -> None:
    base = {"a": [1, 2], "b": {"c": 1, "d": 2}}
    assert merge(base, {"a": [3], "b": {"d": None}}) == {"a": [3], "b": {"c": 1, "d": None}}
    assert base == {"a": [1, 2], "b": {"c": 1, "d": 2}}


@pytest.mark.parametrize(
    "name", ["", "com", "-a.example.com", "a..example.com", "a b.example.com", "x" * 250 + ".com"]
)
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidError, match="invalid hostname"):
        hostname("name", name)


def test_host_names_are_lower_case_and_without_the_last_dot() -> None:
    assert hostname("name", "*.My.Example.COM.") == "*.my.example.com"
    assert without_port("My.Example.com:8443") == "my.example.com"
    assert without_port("[2001:DB8::1]:80") == "2001:db8::1"


def test_a_name_belongs_to_the_most_specific_zone() -> None:
    zones = ["example.com", "b.example.com"]
    assert zone_of("a.b.example.com", zones) == "b.example.com"
    assert zone_of("notexample.com", zones) is None
    assert zone_of("example.com", zones) == "example.com"
