"""What we write, as a server with defaults of its own gives it back, is what we meant."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelpool.cloudflare.reading import (
    origins_as_written,
    read_dns_record,
    read_load_balancer,
    read_monitor,
    read_pool,
    read_tunnel,
)
from tunnelpool.cloudflare.writing import changes_to_wire, to_wire
from tunnelpool.domain.canonical import (
    canonical_address,
    canonical_affinity_attributes,
    canonical_notification_filter,
    canonical_rules,
)
from tunnelpool.domain.json import EMPTY, freeze, thaw, with_defaults
from tunnelpool.domain.remote import (
    LOAD_SHEDDING_DEFAULTS,
    LOCATION_STRATEGY_DEFAULTS,
    RANDOM_STEERING_DEFAULTS,
    REGIONAL_HEALTH,
    DnsRecord,
    LoadBalancer,
    Monitor,
    Origin,
    Pool,
    RemoteValue,
    Tunnel,
)
from tunnelpool.plan.diff import changes
from tunnelpool.plan.steps import Change

V = TypeVar("V", bound=RemoteValue)

ZONE = "z" * 32
words = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20)
hostnames = st.builds("{}.{}.example.com".format, words, words)
addresses = hostnames | st.ip_addresses().map(lambda address: canonical_address(str(address)))
ids = st.text("0123456789abcdef", min_size=32, max_size=32)
weights = st.integers(0, 100).map(lambda hundredths: hundredths / 100)

http_monitors = st.builds(
    Monitor,
    description=texts,
    type=st.sampled_from(["http", "https"]),
    method=st.sampled_from(["GET", "HEAD"]),
    path=words.map("/{}".format),
    port=st.integers(0, 65535),
    interval=st.integers(60, 3600),
    timeout=st.integers(1, 10),
    retries=st.integers(0, 5),
    consecutive_up=st.integers(0, 5),
    consecutive_down=st.integers(0, 5),
    expected_codes=st.sampled_from(["", "200", "2xx", "200,302"]),
    expected_body=texts,
    header=st.dictionaries(words, st.lists(texts, min_size=1, max_size=2), max_size=3).map(freeze),
    follow_redirects=st.booleans(),
    allow_insecure=st.booleans(),
    probe_zone=st.just("") | hostnames,
)
other_monitors = st.builds(
    lambda monitor, kind: replace(
        monitor,
        type=kind,
        method="connection_established" if kind == "tcp" else "",
        path="",
        expected_codes="",
        expected_body="",
        header=EMPTY,
        follow_redirects=False,
        allow_insecure=False,
        probe_zone="",
    ),
    http_monitors,
    st.sampled_from(["tcp", "icmp_ping", "smtp"]),
)
monitors = http_monitors | other_monitors

origins = st.builds(
    Origin,
    name=words,
    address=addresses,
    enabled=st.booleans(),
    weight=weights,
    port=st.integers(0, 65535),
    host=st.just("") | hostnames,
    flatten_cname=st.booleans(),
)
filter_choices = st.none() | st.fixed_dictionaries(
    {}, optional={"disable": st.booleans(), "healthy": st.none() | st.booleans()}
)
pools = st.builds(
    Pool,
    name=words,
    origins=st.lists(origins, min_size=1, max_size=4, unique_by=lambda origin: origin.name).map(
        lambda some: tuple(sorted(some, key=lambda origin: origin.name))
    ),
    description=texts,
    enabled=st.booleans(),
    minimum_origins=st.integers(0, 4),
    monitor=st.just("") | ids,
    check_regions=st.sets(st.sampled_from(["WNAM", "ENAM", "WEU"])).map(lambda some: tuple(sorted(some))),
    health_sources=st.sampled_from([(), REGIONAL_HEALTH]),
    latitude=st.none() | st.integers(-90, 90),
    longitude=st.none() | st.floats(-180, 180),
    load_shedding=st.fixed_dictionaries(
        {}, optional={"default_percent": st.integers(0, 100), "default_policy": st.just("hash")}
    ).map(lambda some: with_defaults(some, LOAD_SHEDDING_DEFAULTS)),
    origin_steering=st.sampled_from(["random", "hash"]).map(lambda policy: freeze({"policy": policy})),
    notification_filter=st.fixed_dictionaries(
        {}, optional={"origin": filter_choices, "pool": filter_choices}
    ).map(canonical_notification_filter),
)

places = st.dictionaries(
    st.sampled_from(["WNAM", "ENAM", "DE"]), st.lists(ids, min_size=1, max_size=2), max_size=2
).map(freeze)
affinity_attributes = st.fixed_dictionaries(
    {},
    optional={
        "samesite": st.sampled_from(["Auto", "Lax"]),
        "zero_downtime_failover": st.sampled_from(["none", "temporary"]),
        "drain_duration": st.integers(0, 600),
        "headers": st.lists(words, max_size=2),
        "require_all_headers": st.booleans(),
    },
).map(canonical_affinity_attributes)
overrides = st.fixed_dictionaries(
    {},
    optional={
        "default_pools": st.lists(ids, min_size=1, max_size=2),
        "fallback_pool": ids,
        "steering_policy": st.sampled_from(["off", "random"]),
        "region_pools": places.map(thaw),
        "random_steering": st.just({"pool_weights": {"a": 0.5}}),
        "session_affinity": st.sampled_from(["none", "cookie"]),
        "session_affinity_ttl": st.just(1800),
        "session_affinity_attributes": affinity_attributes.map(thaw),
        "adaptive_routing": st.booleans().map(lambda across: {"failover_across_pools": across}),
        "location_strategy": st.just({"mode": "pop"}),
        "ttl": st.integers(30, 300),
    },
)
rules = st.lists(
    st.fixed_dictionaries(
        {"name": words, "condition": texts},
        optional={
            "disabled": st.booleans(),
            "terminates": st.booleans(),
            "fixed_response": st.fixed_dictionaries({"status_code": st.just(503)}),
            "overrides": overrides,
        },
    ),
    max_size=3,
).map(canonical_rules)
any_balancers = st.builds(
    LoadBalancer,
    name=hostnames,
    default_pools=st.lists(ids, min_size=1, max_size=3, unique=True).map(tuple),
    fallback_pool=ids,
    description=texts,
    enabled=st.booleans(),
    proxied=st.booleans(),
    ttl=st.integers(30, 300),
    steering_policy=st.sampled_from(["off", "random", "geo"]),
    region_pools=places,
    country_pools=places,
    pop_pools=places,
    random_steering=st.dictionaries(ids, weights, max_size=2).map(
        lambda some: with_defaults({"pool_weights": some}, RANDOM_STEERING_DEFAULTS)
    ),
    session_affinity=st.sampled_from(["none", "cookie", "ip_cookie", "header"]),
    session_affinity_ttl=st.sampled_from([0, 1800, 3600]),
    session_affinity_attributes=affinity_attributes,
    adaptive_routing=st.booleans().map(lambda across: freeze({"failover_across_pools": across})),
    location_strategy=st.sampled_from(["pop", "resolver_ip"]).map(
        lambda mode: with_defaults({"mode": mode}, LOCATION_STRATEGY_DEFAULTS)
    ),
    rules=rules,
)
balancers = any_balancers.map(
    lambda one: replace(
        one,
        ttl=0 if one.proxied else one.ttl,
        session_affinity_ttl=0 if one.session_affinity == "none" else one.session_affinity_ttl,
    )
)
records = st.builds(
    DnsRecord,
    name=hostnames,
    type=st.just("CNAME"),
    content=hostnames,
    proxied=st.booleans(),
    ttl=st.sampled_from([1, 60, 300]),
    comment=texts,
).map(lambda record: replace(record, ttl=1) if record.proxied else record)
tunnels = st.builds(Tunnel, words)
values = st.one_of(monitors, pools, balancers, records, tunnels)


def served(body: Mapping[str, Any], kind: type[RemoteValue]) -> dict[str, Any]:
    """Answer as the API does: defaults filled in, read-only fields added, origins in its own order."""
    given_ = {name: value for name, value in copy.deepcopy(dict(body)).items() if value is not None}
    answer: dict[str, Any] = {"id": "1", "created_on": "2026-01-01T00:00:00Z"} | _DEFAULTS[kind] | given_
    if kind is Pool:
        answer["origins"] = [
            {"enabled": True, "weight": 1, "flatten_cname": True, "healthy": None} | origin
            for origin in sorted(answer["origins"], key=lambda origin: origin["address"])
        ]
        answer["load_shedding"] = LOAD_SHEDDING_DEFAULTS | answer["load_shedding"]
    if kind is LoadBalancer:
        if answer["session_affinity"] != "none" and "session_affinity_ttl" not in given_:
            answer["session_affinity_ttl"] = 1800 if answer["session_affinity"] == "header" else 82800
        if not answer["proxied"]:
            answer.setdefault("ttl", 30)
        for rule in answer["rules"]:
            rule["terminates"] = rule["terminates"] or "fixed_response" in rule
            rule["overrides"].setdefault("session_affinity", "")
    return answer


_DEFAULTS: dict[type[RemoteValue], dict[str, Any]] = {
    Monitor: {
        "type": "http",
        "method": "GET",
        "path": "/",
        "port": 0,
        "header": {},
        "expected_codes": "",
        "expected_body": "",
        "follow_redirects": False,
        "interval": 60,
        "timeout": 5,
        "retries": 2,
    },
    Pool: {
        "description": "",
        "enabled": True,
        "minimum_origins": 1,
        "check_regions": None,
        "load_shedding": {},
        "origin_steering": {"policy": "random"},
        "notification_email": "",
        "healthy": None,
    },
    LoadBalancer: {
        "description": "",
        "enabled": True,
        "proxied": False,
        "steering_policy": "",
        "region_pools": {},
        "country_pools": {},
        "pop_pools": {},
        "random_steering": {"default_weight": 1},
        "session_affinity": "none",
        "session_affinity_attributes": {"samesite": "Auto", "drain_duration": 0, "headers": []},
        "rules": [],
    },
    DnsRecord: {"proxied": False, "ttl": 1, "comment": None, "tags": []},
    Tunnel: {"config_src": "local", "status": "inactive"},
}


def read(raw: Mapping[str, Any], kind: type[V]) -> V:
    readers: dict[type[Any], Callable[[], Any]] = {
        Monitor: lambda: read_monitor(raw),
        Pool: lambda: read_pool(raw),
        LoadBalancer: lambda: read_load_balancer(raw, ZONE),
        DnsRecord: lambda: read_dns_record(raw, ZONE),
        Tunnel: lambda: read_tunnel(raw),
    }
    value: V = readers[kind]().value
    return value


def merged(base: Any, patch: Any) -> Any:
    """Merge as RFC 7396 does, which is how Cloudflare treats maps."""
    if not isinstance(base, Mapping) or not isinstance(patch, Mapping):
        return patch
    result = {**base, **{name: merged(base.get(name), value) for name, value in patch.items()}}
    return {name: value for name, value in result.items() if value is not None}


def replaced(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Replace each field that the patch names, nulls within it included."""
    return {**base, **patch}


@given(values)
def test_what_was_created_reads_as_what_was_desired(desired: RemoteValue) -> None:
    observed = read(served(to_wire(desired), type(desired)), type(desired))
    assert changes(desired, observed) == ()


@given(values)
def test_the_canonical_form_is_read_back_as_itself(desired: RemoteValue) -> None:
    once = read(served(to_wire(desired), type(desired)), type(desired))
    assert read(served(to_wire(once), type(once)), type(once)) == once


@pytest.mark.parametrize("server", [merged, replaced])
@given(
    pair=st.one_of(*(st.tuples(kind, kind) for kind in (http_monitors, pools, balancers, records, tunnels)))
)
def test_a_patch_of_what_differs_arrives_at_what_was_desired(
    server: Callable[[Any, Any], Any], pair: tuple[Any, Any]
) -> None:
    before, desired = pair
    kind = type(before)
    stored = served(to_wire(before), kind)
    body = changes_to_wire(desired, changes(desired, read(stored, kind)))
    assert changes(desired, read(served(server(stored, body), kind), kind)) == ()


@given(monitors, other_monitors)
def test_a_monitor_that_becomes_a_tcp_probe_says_nothing_of_http(before: Monitor, desired: Monitor) -> None:
    body = changes_to_wire(desired, changes(desired, before))
    assert not body.keys() & {"path", "header", "expected_codes", "expected_body", "follow_redirects"}


@given(pools)
def test_an_own_value_needs_no_patch(pool: Pool) -> None:
    assert changes_to_wire(pool, changes(pool, pool)) == {}


def test_a_creation_leaves_features_out_that_are_off() -> None:
    pool = Pool("web", (Origin("a", "a.example.com"),), check_regions=("WNAM",))
    assert to_wire(pool) == {
        "name": "web",
        "origins": [{"name": "a", "address": "a.example.com", "enabled": True, "weight": 1}],
        "minimum_origins": 1,
        "check_regions": ["WNAM"],
    }
    balancer = LoadBalancer("www.example.com", ("1",), "1")
    assert to_wire(balancer) == {
        "name": "www.example.com",
        "default_pools": ["1"],
        "fallback_pool": "1",
        "proxied": True,
        "steering_policy": "off",
    }


def test_a_tunnel_is_created_remotely_managed() -> None:
    assert to_wire(Tunnel("web")) == {"name": "web", "config_src": "cloudflare"}


def test_clearing_writes_null_or_empty() -> None:
    before = Pool(
        "web", (Origin("a", "a.example.com"),), monitor="1", check_regions=("WNAM",), latitude=1, longitude=2
    )
    desired = Pool("web", before.origins)
    assert changes_to_wire(desired, changes(desired, before)) == {
        "monitor": "",
        "check_regions": None,
        "latitude": None,
        "longitude": None,
    }


def test_an_entry_that_left_a_map_is_written_as_null() -> None:
    before = Monitor("m", header=freeze({"Host": ["a"], "X-A": ["1"]}))
    fewer = replace(before, header=freeze({"Host": ["b"]}))
    none = replace(before, header=EMPTY)
    assert changes_to_wire(fewer, changes(fewer, before)) == {"header": {"Host": ["b"], "X-A": None}}
    assert changes_to_wire(none, changes(none, before)) == {"header": None}


def test_another_kind_of_affinity_brings_its_own_time_to_live() -> None:
    before = LoadBalancer(
        "www.example.com", ("1",), "1", session_affinity="cookie", session_affinity_ttl=82800
    )
    desired = replace(before, session_affinity="header", session_affinity_ttl=0)
    assert changes_to_wire(desired, changes(desired, before)) == {
        "session_affinity": "header",
        "session_affinity_ttl": 1800,
    }


def test_what_is_not_ours_in_an_origin_is_written_back() -> None:
    raw = {
        "origins": [
            {"name": "b", "address": "10.0.0.1", "virtual_network_id": "v", "healthy": True},
            {"name": "a", "address": "A.example.com", "virtual_network_id": "w", "flatten_cname": False},
        ]
    }
    there = origins_as_written(raw)
    origins = (Origin("a", "a.example.com", weight=0.5), Origin("b", "10.0.0.1", enabled=False))
    pool = Pool("web", (*origins, Origin("c", "c.example.com")))
    body = changes_to_wire(pool, (Change("origins", (), pool.origins),), there)
    by_name = {origin.pop("name"): origin for origin in body["origins"]}
    assert by_name["a"]["virtual_network_id"] == "w"
    assert "flatten_cname" not in by_name["a"]  # that is ours: absent, as Cloudflare has it by default
    assert by_name["b"]["virtual_network_id"] == "v"
    assert by_name["c"].keys() == {"address", "enabled", "weight"}
    assert not any("healthy" in origin for origin in by_name.values())


def test_an_origin_that_stays_as_it_is_is_written_back_to_the_bit() -> None:
    raw = {
        "name": "b",
        "address": "OTHER.example.com",
        "enabled": True,
        "weight": 0.333,
        "header": {"host": ["Other.example.com", "second"]},
        "port": 0,
        "something_new": {"a": [1]},
    }
    told = {"healthy": True, "disabled_at": "2026-01-01T00:00:00Z"}
    pool = read_pool({"id": "1", "name": "web", "origins": [{**raw, **told}]}).value
    mine = Origin("a", "a.example.com")
    body = changes_to_wire(
        replace(pool, origins=(mine, *pool.origins)),
        (Change("origins", pool.origins, ()),),
        origins_as_written({"origins": [{**raw, **told}]}),
    )
    assert body["origins"][1] == raw


def test_regions_that_decide_for_themselves_are_written_in_the_one_order_that_is_taken() -> None:
    together = Pool("web", (Origin("a", "a.example.com"),), check_regions=("WEU",))
    apart = replace(together, health_sources=REGIONAL_HEALTH)
    assert to_wire(apart)["health_sources"] == ["regional", "global"]
    assert "health_sources" not in to_wire(together)
    assert changes_to_wire(together, changes(together, apart)) == {"health_sources": None}
    for told in (None, ["local", "global"]):
        assert (
            read_pool({"id": "1", "name": "web", "origins": [], "health_sources": told}).value.health_sources
            == ()
        )
