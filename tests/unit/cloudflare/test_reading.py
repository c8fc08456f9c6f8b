"""What a listing of Cloudflare's says, whoever wrote it down and however."""

from __future__ import annotations

from typing import Any

import pytest

from tunnelpool.cloudflare.reading import (
    read_dns_record,
    read_load_balancer,
    read_pool,
    read_tunnel,
    read_zone,
)
from tunnelpool.domain.canonical import (
    canonical_address,
)
from tunnelpool.domain.json import thaw
from tunnelpool.domain.remote import (
    ADAPTIVE_ROUTING_DEFAULTS,
    SESSION_AFFINITY_ATTRIBUTES_DEFAULTS,
    TunnelStatus,
)

ZONE = "z" * 32


def test_a_pool_tells_its_health_and_since_when_origins_are_disabled() -> None:
    pool = read_pool(
        {
            "id": "1",
            "name": "web",
            "healthy": False,
            "origins": [
                {
                    "name": "b",
                    "address": "b.example.com",
                    "enabled": False,
                    "disabled_at": "2026-01-02T03:04:05.6Z",
                },
                {
                    "name": "a",
                    "address": "a.example.com",
                    "healthy": True,
                    "header": {"host": ["WWW.example.com"]},
                },
            ],
        }
    )
    assert [origin.name for origin in pool.value.origins] == ["a", "b"]
    assert pool.value.origins[0].host == "www.example.com"
    assert pool.health.healthy is False
    assert pool.health.origins == {"a": True, "b": None}
    assert pool.health.disabled_at["b"].isoformat() == "2026-01-02T03:04:05.600000+00:00"


def test_names_are_read_in_lower_case_without_trailing_dot() -> None:
    assert read_zone({"id": "1", "name": "Example.COM"}).name == "example.com"
    record = read_dns_record(
        {"id": "1", "type": "CNAME", "name": "WWW.example.com", "content": "X.example.com.", "proxied": True},
        ZONE,
    )
    assert (record.value.name, record.value.content) == ("www.example.com", "x.example.com")
    assert canonical_address("2001:DB8:0:0::5") == "2001:db8::5"


def test_a_time_to_live_that_proxying_overrules_is_not_read() -> None:
    record = {"id": "1", "type": "A", "name": "a.example.com", "content": "192.0.2.1", "ttl": 300}
    balancer: dict[str, Any] = {"id": "1", "name": "a.example.com", "default_pools": ["1"], "ttl": 30}
    for proxied, of_record, of_balancer in ((True, 1, 0), (False, 300, 30)):
        assert read_dns_record(record | {"proxied": proxied}, ZONE).value.ttl == of_record
        assert read_load_balancer(balancer | {"proxied": proxied}, ZONE).value.ttl == of_balancer


def test_a_weight_is_read_in_hundredths() -> None:
    origin = {"name": "a", "address": "a.example.com", "weight": 0.1 + 0.2}
    assert read_pool({"id": "1", "name": "web", "origins": [origin]}).value.origins[0].weight == 0.3


@pytest.mark.parametrize(
    ("raw", "status", "remote"),
    [
        ({"status": "healthy", "config_src": "cloudflare"}, TunnelStatus.HEALTHY, True),
        ({"status": "down", "remote_config": True}, TunnelStatus.DOWN, True),
        ({"status": "levitating", "config_src": "local"}, TunnelStatus.INACTIVE, False),
        ({}, TunnelStatus.INACTIVE, False),
    ],
)
def test_a_tunnel_tells_its_status(raw: dict[str, Any], status: TunnelStatus, *, remote: bool) -> None:
    tunnel = read_tunnel({"id": "1", "name": "web", **raw})
    assert (tunnel.status, tunnel.remotely_managed) == (status, remote)


def test_a_steering_policy_that_is_left_to_the_server_follows_the_maps() -> None:
    raw: dict[str, Any] = {
        "id": "1",
        "name": "www.example.com",
        "default_pools": ["1"],
        "steering_policy": "",
    }
    assert read_load_balancer(raw, ZONE).value.steering_policy == "off"
    raw["region_pools"] = {"wnam": ["1"], "ENAM": []}
    value = read_load_balancer(raw, ZONE).value
    assert value.steering_policy == "geo"
    assert thaw(value.region_pools) == {"WNAM": ["1"]}
    assert thaw(value.adaptive_routing) == ADAPTIVE_ROUTING_DEFAULTS
    assert thaw(value.session_affinity_attributes) == SESSION_AFFINITY_ATTRIBUTES_DEFAULTS


@pytest.mark.parametrize(
    "raw",
    [
        {"name": 5},
        {"origins": {}},
        {"origins": ["a"]},
        {"minimum_origins": "many"},
        {"minimum_origins": 1.5},
        {"enabled": "yes"},
        {"latitude": True},
        {"load_shedding": []},
    ],
)
def test_json_that_is_not_a_pool_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is not expected to be"):
        read_pool({"id": "1", "name": "web", "origins": [], **raw})


@pytest.mark.parametrize(
    "rules",
    [
        {},
        ["a"],
        [{"overrides": []}],
        [{"fixed_response": "no"}],
        [{"overrides": {"random_steering": 1}}],
        [{"overrides": {"region_pools": ["1"]}}],
    ],
)
def test_json_that_is_no_list_of_rules_is_refused(rules: Any) -> None:
    with pytest.raises(ValueError, match="is not expected to be"):
        read_load_balancer({"id": "1", "name": "a.example.com", "rules": rules}, ZONE)
