"""JSON as values, host names, keys, kinds and reasons."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelpool.domain.canonical import (
    canonical_address,
    canonical_affinity_attributes,
    canonical_notification_filter,
    canonical_rules,
)
from tunnelpool.domain.hostnames import canonical_hostname, zone_of
from tunnelpool.domain.json import EMPTY, freeze, thaw, with_defaults
from tunnelpool.domain.keys import HostKey, MonitorKey, PoolKey, TunnelKey
from tunnelpool.domain.kinds import KINDS, WATCHED, Kind
from tunnelpool.domain.reasons import EXPLANATIONS, Reason
from tunnelpool.domain.remote import LoadBalancer, Origin, Zone, tunnel_address

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_a_frozen_value_thaws_to_what_it_was(value: Any) -> None:
    assert thaw(freeze(value)) == value


@given(json_values)
def test_freezing_is_idempotent_and_gives_a_hashable_value(value: Any) -> None:
    frozen = freeze(value)
    assert freeze(frozen) == frozen
    hash(frozen)


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=5))
def test_the_order_of_names_does_not_count_and_that_of_items_does(value: dict[str, int]) -> None:
    assert freeze(dict(reversed(value.items()))) == freeze(value)
    assert freeze([1, 2]) != freeze([2, 1])


def test_one_and_one_point_zero_are_the_same_and_objects_are_not_lists_of_pairs() -> None:
    assert json.dumps(thaw(freeze({"weight": 1.0}))) == '{"weight": 1}'
    assert type(freeze({})) is not type(freeze([]))


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes"])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="not JSON"):
        freeze(value)


def test_defaults_are_filled_in_where_nothing_or_null_was_given() -> None:
    filled = with_defaults({"a": 1, "b": None}, {"b": 2, "c": 3})
    assert thaw(filled) == {"a": 1, "b": 2, "c": 3}
    assert with_defaults(filled, {"b": 2, "c": 3}) == filled
    assert with_defaults(None, {}) == EMPTY


@pytest.mark.parametrize(
    ("hostname", "zone"),
    [
        ("my.example.com", "com"),
        ("example.com", "com"),
        ("EXAMPLE.com.", "com"),
        ("a.b.deep.example.com", "deep"),
        ("deep.example.com", "deep"),
        ("notexample.com", None),
        ("com", None),
        ("example.com.evil.net", None),
    ],
)
def test_a_host_name_is_in_the_most_specific_zone_that_it_ends_in(hostname: str, zone: str | None) -> None:
    zones = (Zone("com", "example.com"), Zone("deep", "deep.example.com"))
    found = zone_of(hostname, zones)
    assert (found.id if found else None) == zone


@given(st.text("abcAZ.-", max_size=20))
def test_canonical_host_names_stay_what_they_are(text: str) -> None:
    once = canonical_hostname(text)
    assert canonical_hostname(once) == once
    assert once == once.lower()


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        ("2001:DB8:0:0::5", "2001:db8::5"),
        ("192.0.2.1", "192.0.2.1"),
        ("Origin.Example.NET.", "origin.example.net"),
    ],
)
def test_an_address_has_one_spelling(address: str, canonical: str) -> None:
    assert canonical_address(address) == canonical
    assert canonical_address(canonical) == canonical


def test_idle_affinity_attributes_and_filters_say_nothing() -> None:
    assert canonical_affinity_attributes({"drain_duration": 0, "headers": []}) == (
        canonical_affinity_attributes({})
    )
    nothing = {"pool": {"disable": False, "healthy": None}, "origin": None}
    assert canonical_notification_filter(nothing) is None
    assert thaw(canonical_notification_filter({"pool": {"healthy": False}})) == {
        "pool": {"disable": False, "healthy": False}
    }


def test_every_reason_has_an_explanation_that_is_a_sentence() -> None:
    assert set(EXPLANATIONS) == set(Reason)
    for reason, text in EXPLANATIONS.items():
        assert text.endswith("."), reason
        assert reason.isidentifier(), reason


def test_keys_are_told_apart_and_name_themselves() -> None:
    keys = [TunnelKey("a", "b"), MonitorKey("a", "b"), PoolKey("a", "b"), HostKey("b")]
    assert [str(key) for key in keys] == ["tunnel/a/b", "monitor/a/b", "pool/a/b", "host/b"]
    assert len({*keys}) == 4
    assert PoolKey("account", "web").mark == "pool/web"


def test_a_load_balancer_refers_to_every_pool_that_it_names_anywhere() -> None:
    places = freeze({"WEU": ["c", "d"]})
    balancer = LoadBalancer("h", ("a",), "b", region_pools=places, pop_pools=freeze({"LHR": ["e"]}))
    assert balancer.pools == {"a", "b", "c", "d", "e"}


def test_an_origin_knows_its_tunnel() -> None:
    assert Origin("o", tunnel_address("1234")).tunnel_id == "1234"
    assert Origin("o", "1234.example.com").tunnel_id is None


def test_kinds_have_the_paths_of_the_api() -> None:
    assert KINDS["Tunnel"].path("default", "web", "status") == (
        "/apis/tunnelpool.dev/v1alpha1/namespaces/default/tunnels/web/status"
    )
    assert KINDS["Pod"].path() == "/api/v1/pods"
    assert Kind("Pod", "", "v1", "pods").path("a/b", "..") == "/api/v1/namespaces/a%2Fb/pods/.."
    assert [kind.name for kind in WATCHED[:4]] == ["Tunnel", "LBPool", "HealthCheck", "LoadBalancer"]


def test_rules_stand_in_their_order_and_each_has_its_priority() -> None:
    named = [{"name": "a"}, {"name": "b", "fixed_response": {"status_code": 503, "location": ""}}]
    in_order = thaw(canonical_rules(named))
    assert [(one["name"], one["priority"], one["terminates"]) for one in in_order] == [
        ("a", 0, False),
        ("b", 1, True),
    ]
    turned = thaw(canonical_rules([{"name": "a", "priority": 7}, {"name": "b", "priority": 2}]))
    assert [(one["name"], one["priority"]) for one in turned] == [("b", 2), ("a", 7)]
    assert thaw(canonical_rules(turned)) == turned


def test_overrides_of_a_rule_that_say_nothing_are_left_out() -> None:
    (rule,) = thaw(
        canonical_rules(
            [
                {
                    "name": "a",
                    "overrides": {
                        "session_affinity": "",
                        "ttl": 0,
                        "region_pools": {"weu": ["1"], "ENAM": []},
                        "random_steering": {"pool_weights": {"1": 0.5}},
                    },
                }
            ]
        )
    )
    assert rule["overrides"] == {
        "region_pools": {"WEU": ["1"]},
        "random_steering": {"default_weight": 1, "pool_weights": {"1": 0.5}},
    }


def test_a_load_balancer_refers_to_the_pools_of_its_rules_too() -> None:
    overrides = {"default_pools": ["2"], "fallback_pool": "3", "country_pools": {"GB": ["4"]}}
    rules = canonical_rules([{"name": "a", "overrides": overrides}, {"name": "b"}])
    assert LoadBalancer("a.example.com", ("1",), "1", rules=rules).pools == {"1", "2", "3", "4"}
