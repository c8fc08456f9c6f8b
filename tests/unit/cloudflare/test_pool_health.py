"""Verdicts outlive a write that does not touch what they are about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tunnelpool.cloudflare.pool_health import with_known_health
from tunnelpool.domain.remote import ObservedPool, Origin, Pool, PoolHealth

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
A, B, C = (Origin(name, f"{name}.example.com") for name in "abc")
BEFORE = ObservedPool(
    "1",
    Pool("web", (A, B, replace(C, enabled=False)), monitor="m"),
    health=PoolHealth(healthy=True, origins={"a": True, "b": False, "c": None}, disabled_at={"c": SINCE}),
)


def written(pool: Pool) -> ObservedPool:
    return ObservedPool("1", pool, health=PoolHealth(None, {origin.name: None for origin in pool.origins}))


def test_verdicts_of_untouched_origins_stay() -> None:
    after = with_known_health(written(replace(BEFORE.value, description="new")), BEFORE)
    assert after.health == BEFORE.health
    assert after.value.description == "new"


def test_an_origin_that_was_switched_or_moved_has_no_verdict() -> None:
    pool = replace(BEFORE.value, origins=(replace(A, address="x.example.com"), B, C))
    after = with_known_health(written(pool), BEFORE)
    assert after.health.origins == {"a": None, "b": False, "c": None}
    assert after.health.disabled_at == {}


def test_another_monitor_makes_all_verdicts_void() -> None:
    after = with_known_health(written(replace(BEFORE.value, monitor="n")), BEFORE)
    assert after.health.healthy is None
    assert set(after.health.origins.values()) == {None}


def test_what_the_answer_says_itself_counts() -> None:
    told = replace(
        written(BEFORE.value), health=PoolHealth(healthy=False, origins={"a": False, "b": None, "c": None})
    )
    after = with_known_health(told, BEFORE)
    assert (after.health.healthy, after.health.origins["a"], after.health.origins["b"]) == (
        False,
        False,
        False,
    )


def test_a_pool_that_was_not_known_has_the_health_of_the_answer() -> None:
    assert with_known_health(written(BEFORE.value), None).health.healthy is None
