"""The tree of host names, pools and origins."""

from __future__ import annotations

from typing import Any

from tunnelpool.crd.base import Resource
from tunnelpool.crd.parsing import parse
from tunnelpool.overview.text import as_text
from tunnelpool.overview.tree import PoolRow, overview

AGES = {"old": "2026-01-01T00:00:00Z", "new": "2026-01-02T00:00:00Z"}


def resource(kind: str, name: str, spec: dict[str, Any], age: str = "old", /, **status: Any) -> Resource:
    meta = {"name": name, "namespace": "default", "creationTimestamp": AGES[age]}
    return parse(kind, {"metadata": meta, "spec": spec, "status": status})


def tunnel(name: str, pool: str, age: str = "old", **status: Any) -> Resource:
    spec = {"hostname": "my.example.com", "service": "http://web:8080", "pool": pool}
    return resource("Tunnel", name, spec, age, **status)


def lbpool(name: str, healthy: int, count: int, health: str, **spec: Any) -> Resource:
    numbers = {
        "id": f"id-{name}",
        "name": name,
        "health": health,
        "healthyOrigins": healthy,
        "origins": count,
    }
    return resource("LBPool", name, spec, **numbers)


def pools(*resources: Resource) -> dict[str, PoolRow]:
    (host,) = overview(resources).hosts
    return {pool.name: pool for pool in host.pools}


CHECKED = {"healthCheckRef": {"name": "web"}}


def test_the_pools_of_a_derived_load_balancer_come_in_the_order_of_the_tunnels_age() -> None:
    assert list(pools(tunnel("a", "second", "new"), tunnel("b", "first"))) == ["first", "second"]


def test_a_load_balancer_object_decides_the_order_and_the_fallback() -> None:
    spec = {"hostname": "my.example.com", "pools": ["second", "first"], "fallbackRef": {"name": "static"}}
    found = pools(tunnel("b", "first"), resource("LoadBalancer", "lb", spec))
    assert [(name, row.role) for name, row in found.items()] == [
        ("second", "pool"),
        ("first", "pool"),
        ("static", "fallback"),
    ]


def test_a_fallback_that_is_one_of_the_pools_stands_there_once() -> None:
    spec = {"hostname": "my.example.com", "pools": ["a", "b"], "fallbackRef": {"name": "b"}}
    (host,) = overview([resource("LoadBalancer", "lb", spec)]).hosts
    assert [(pool.name, pool.role) for pool in host.pools] == [("a", "pool"), ("b", "pool")]


def test_how_many_may_fail_is_what_is_above_the_threshold() -> None:
    found = pools(tunnel("t", "web"), lbpool("web", 5, 6, "degraded", minimumOrigins=2, **CHECKED))
    assert found["web"].may_fail == 3


def test_without_a_health_check_the_threshold_has_no_effect() -> None:
    found = pools(tunnel("t", "web"), lbpool("web", 3, 3, "healthy", minimumOrigins=3))
    assert (found["web"].may_fail, found["web"].checked) == (2, False)


def test_of_a_pool_that_is_passed_over_none_may_fail() -> None:
    found = pools(tunnel("t", "web"), lbpool("web", 1, 3, "critical", minimumOrigins=2, **CHECKED))
    assert found["web"].may_fail == 0


def test_a_pool_that_does_not_exist_yet_is_missing() -> None:
    assert pools(tunnel("t", "web"))["web"].may_fail is None


def test_a_suspended_tunnel_stands_where_it_would_stand() -> None:
    spec = {"hostname": "my.example.com", "service": "http://web:8080", "pool": "web", "suspend": True}
    assert list(pools(resource("Tunnel", "t", spec), lbpool("web", 1, 1, "healthy"))) == ["web"]


def test_origins_of_several_clusters_say_whose_they_are() -> None:
    names = ["tunnelpool_london_01234567_default_web_0", "tunnelpool_paris_89abcdef_default_web_0"]
    statuses = [{"name": name, "address": "x", "enabled": True, "healthy": True} for name in names]
    pool = resource("LBPool", "web", {}, id="i", health="healthy", originStatuses=statuses)
    found = pools(tunnel("t", "web"), pool)["web"]
    assert [one.name for one in found.origins] == ["default/web 0 of london", "default/web 0 of paris"]


def test_the_text_is_the_same_whatever_the_order_of_the_resources() -> None:
    there = [tunnel("b", "first"), tunnel("a", "second", "new"), lbpool("first", 1, 1, "healthy")]
    assert as_text(overview(there)) == as_text(overview(reversed(there)))
