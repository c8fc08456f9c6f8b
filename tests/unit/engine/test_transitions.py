"""Which changes of a status are told by an Event, about whom, and which are no news."""

from __future__ import annotations

from typing import Any

import pytest

from tunnelpool.engine.transitions import events_of


def told(kind: str, before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str]]:
    """List reason and message of each Event; warnings and good news are told apart."""
    found = list(events_of(kind, before, after))
    assert all(event.warning is (event.reason != "FailedBack") for event in found)
    return [(event.reason, event.message) for event in found]


def balancer(serving: str, **fields: Any) -> dict[str, Any]:
    return {"servingPool": serving, "pools": [{"name": "a"}, {"name": "b"}], **fields}


def pool(health: str, verdicts: str, *, up: int = 0) -> dict[str, Any]:
    """Write the status of a pool: `+` for an origin that is up, `-` for one that is down, `?` for neither."""
    said = {"+": {"healthy": True}, "-": {"healthy": False}, "?": {}}
    origins = [{"name": str(n), "enabled": True, **said[one]} for n, one in enumerate(verdicts)]
    return {"health": health, "healthyOrigins": up, "origins": len(verdicts), "originStatuses": origins}


def tunnel(
    serving: list[str], *, health: str = "healthy", fallback: bool = False, **fields: Any
) -> dict[str, Any]:
    balancer = {"servingPools": serving, "onFallback": fallback}
    return {"loadBalancer": balancer, "pool": {"name": "own", "health": health}, **fields}


@pytest.mark.parametrize(
    ("before", "after", "reason", "message"),
    [
        ("a", "b", "FailedOver", "pool 'b' answers instead of 'a'"),
        ("b", "a", "FailedBack", "pool 'a' answers again, no longer 'b'"),
        ("b", "static", "FailedOver", "pool 'static' answers instead of 'b'"),
        ("static", "b", "FailedBack", "pool 'b' answers again, no longer 'static'"),
    ],
)
def test_a_load_balancer_tells_who_answers_instead_and_who_again(
    before: str, after: str, reason: str, message: str
) -> None:
    assert told("LoadBalancer", balancer(before), balancer(after)) == [(reason, message)]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("LoadBalancer", {}, balancer("a")),
        ("LoadBalancer", balancer("a"), balancer("a", onFallback=True)),
        (
            "LoadBalancer",
            balancer("a", observedGeneration=1),
            balancer("b", observedGeneration=2),
        ),
        ("LBPool", {}, pool("healthy", "+")),
        ("LBPool", pool("healthy", "+"), pool("healthy", "++")),
        ("LBPool", pool("unknown", "?"), pool("degraded", "+?")),
        # An origin that has just come in counts as down until it has been probed.
        ("LBPool", pool("healthy", "+"), pool("degraded", "+?", up=1)),
        ("LBPool", pool("degraded", "+-"), pool("healthy", "++")),
        ("LBPool", pool("unknown", "??"), pool("critical", "+?")),
        ("Tunnel", {}, tunnel(["own"])),
        ("Tunnel", tunnel(["own"]), {}),
        ("Tunnel", tunnel(["own"]), tunnel(["own", "b"])),
        ("HealthCheck", {"id": "1"}, {"id": "2"}),
    ],
)
def test_what_is_no_news_is_not_told(kind: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert told(kind, before, after) == []


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            pool("healthy", "++"),
            pool("degraded", "+-", up=1),
            "the pool is degraded: 1 of 2 origins are up",
        ),
        (
            pool("degraded", "+-"),
            pool("critical", "--"),
            "the pool is critical: 0 of 2 origins are up",
        ),
        (
            pool("healthy", "++", up=2),
            pool("critical", "??"),
            "the pool is critical: 0 of 2 origins are up",
        ),
        (pool("unknown", "?"), pool("critical", "-"), "the pool is critical: 0 of 1 origins are up"),
    ],
)
def test_a_pool_tells_that_it_is_worse_than_before(
    before: dict[str, Any], after: dict[str, Any], message: str
) -> None:
    assert told("LBPool", before, after) == [("PoolDegraded", message)]


@pytest.mark.parametrize(
    ("before", "after", "reason", "message"),
    [
        (
            tunnel(["own"]),
            tunnel(["static"], health="critical", fallback=True),
            "FailedOver",
            "pool 'static' answers as the fallback",
        ),
        (
            tunnel(["static"], health="critical", fallback=True),
            tunnel(["own"]),
            "FailedBack",
            "pool 'own' answers again",
        ),
        (tunnel(["own"]), tunnel(["b"], health="critical"), "FailedOver", "pool 'b' answers instead"),
        (tunnel(["b"], health="critical"), tunnel(["own"]), "FailedBack", "pool 'own' answers again"),
        # The second pool of the hostname: it comes in for the first one, and leaves when that is back.
        (tunnel(["a"]), tunnel(["own"]), "FailedOver", "pool 'own' answers instead"),
        (tunnel(["own"]), tunnel(["a"]), "FailedBack", "pool 'a' answers again"),
    ],
)
def test_a_tunnel_tells_when_its_pool_stops_and_begins_to_answer(
    before: dict[str, Any], after: dict[str, Any], reason: str, message: str
) -> None:
    assert told("Tunnel", before, after) == [(reason, message)]


def test_a_tunnel_that_changes_its_pool_tells_nothing() -> None:
    after = {**tunnel(["other"]), "pool": {"name": "other", "health": "healthy"}}
    assert told("Tunnel", tunnel(["own"]), after) == []


def test_a_tunnel_tells_which_of_its_origins_are_lost_each_once() -> None:
    def of(*origins: tuple[str, bool | None]) -> dict[str, Any]:
        return {
            "origins": [
                {"name": f"o{n}", "state": state, **({} if healthy is None else {"healthy": healthy})}
                for n, (state, healthy) in enumerate(origins)
            ]
        }

    well, out = ("Registered", True), ("OutByOperator", None)
    lost = told("Tunnel", of(well, well, well), of(out, ("Registered", False), out))
    assert lost == [
        ("PoolDegraded", "origins out of the pool for want of a connector: 'o0', 'o2'"),
        ("PoolDegraded", "origins that fail the health check: 'o1'"),
    ]
    assert told("Tunnel", of(out, well), of(out, well)) == []
    assert told("Tunnel", of(out, well), of(well, well)) == []
    assert told("Tunnel", of(("Registered", False)), of(out)) == []
    assert told("Tunnel", of(well), of(("Draining", False))) == []
    assert told("Tunnel", {}, of(("Registered", False))) == []
