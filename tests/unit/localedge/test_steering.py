"""Which pool and which origin: the rules of failover, for any topology."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from localedge.balance.health import PoolHealth, Verdict, listed_health, pool_health, usable_origins
from localedge.balance.steering import choose, choose_beside, weighted
from localedge.balance.topology import LoadBalancer, Origin, Pool


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - choices of a test repeat themselves


Verdicts = dict[tuple[str, str], Verdict]


def origin(name: str, *, enabled: bool = True, weight: float = 1) -> Origin:
    return Origin(name, f"{name}.example.net", enabled, weight, 0, None)


def pool(name: str, *origins: Origin, monitor: str | None = "m", minimum: int = 1) -> Pool:
    return Pool(
        id=name,
        name=name,
        enabled=True,
        minimum_origins=minimum,
        monitor_id=monitor,
        origin_steering="random",
        shed_percent=0,
        shed_policy="random",
        check_regions=(),
        origins=origins,
    )


def balancer(*pools: Pool, fallback: Pool) -> LoadBalancer:
    return LoadBalancer(
        id="lb",
        name="my.example.com",
        zone_id="z",
        pools=pools,
        fallback=fallback,
        steering_policy="off",
        pool_weights=tuple(1.0 for _ in pools),
        failover_across_pools=False,
    )


def served(lb: LoadBalancer, up: set[str], seed: int = 0) -> str | None:
    choice = choose(lb, lambda p, o: f"{p.name}/{o.name}" in up, seeded(seed), "192.0.2.1")
    return None if choice is None else f"{choice.pool.name}/{choice.origin.name}"


A = pool("a", origin("a1"), origin("a2"), minimum=2)
B = pool("b", origin("b1"))
F = pool("f", origin("f1"))
LB = balancer(A, B, fallback=F)


def test_the_first_usable_pool_serves() -> None:
    assert served(LB, {"a/a1", "a/a2", "b/b1"}) in {"a/a1", "a/a2"}


def test_a_pool_below_its_threshold_fails_over_though_an_origin_is_up() -> None:
    assert served(LB, {"a/a1", "b/b1"}) == "b/b1"


def test_the_fallback_pool_serves_when_all_others_are_critical_and_its_health_is_not_asked() -> None:
    choice = choose(LB, lambda _p, _o: False, seeded(0), "")
    assert choice is not None
    assert (choice.pool.name, choice.on_fallback) == ("f", True)


def test_a_monitored_origin_without_verdict_counts_as_down() -> None:
    choice = choose(LB, lambda _p, _o: None, seeded(0), "")
    assert choice is not None
    assert choice.on_fallback


def test_traffic_returns_as_soon_as_the_threshold_is_met_again() -> None:
    assert served(LB, {"a/a1"}) == "f/f1"
    assert served(LB, {"a/a1", "a/a2"}) in {"a/a1", "a/a2"}


def test_a_disabled_fallback_pool_does_not_serve() -> None:
    assert served(balancer(A, fallback=replace(F, enabled=False)), set()) is None


def test_a_disabled_pool_is_passed_over() -> None:
    assert served(balancer(replace(A, enabled=False), B, fallback=F), {"a/a1", "a/a2", "b/b1"}) == "b/b1"


def test_a_disabled_origin_counts_for_nothing() -> None:
    half = pool("a", origin("a1"), origin("a2", enabled=False), minimum=2)
    assert pool_health(half, lambda _p, _o: True) is PoolHealth.CRITICAL
    whole = pool("a", origin("a1"), origin("a2", enabled=False))
    assert pool_health(whole, lambda _p, _o: True) is PoolHealth.HEALTHY


def test_without_a_monitor_the_threshold_has_no_effect() -> None:
    unmonitored = pool("a", origin("a1"), monitor=None, minimum=5)
    assert served(balancer(unmonitored, fallback=F), set()) == "a/a1"
    assert listed_health(unmonitored, lambda _p, _o: None) is None


def test_a_pool_is_listed_without_health_until_the_first_verdict() -> None:
    assert listed_health(A, lambda _p, _o: None) is None
    assert listed_health(A, lambda _p, o: True if o.name == "a1" else None) is False
    assert listed_health(A, lambda _p, _o: True) is True


def test_origins_without_weight_get_nothing_and_the_next_pool_serves() -> None:
    lb = balancer(pool("a", origin("a1", weight=0)), B, fallback=F)
    assert served(lb, {"a/a1", "b/b1"}) == "b/b1"


def test_origins_share_by_weight() -> None:
    lb = balancer(pool("a", origin("a1", weight=0.75), origin("a2", weight=0.25)), fallback=F)
    chance = seeded(7)
    picks = Counter()
    for _ in range(4000):
        choice = choose(lb, lambda _p, _o: True, chance, "")
        assert choice is not None
        picks[choice.origin.name] += 1
    assert 2850 < picks["a1"] < 3150


def test_random_steering_shares_pools_by_weight_and_skips_critical_ones() -> None:
    lb = replace(balancer(A, B, fallback=F), steering_policy="random", pool_weights=(0.5, 0.5))
    both = {served(lb, {"a/a1", "a/a2", "b/b1"}, seed) for seed in range(50)}
    assert both == {"a/a1", "a/a2", "b/b1"}
    assert {served(lb, {"b/b1"}, seed) for seed in range(20)} == {"b/b1"}


def test_hash_steering_keeps_a_visitor_on_one_origin() -> None:
    hashed = replace(pool("a", *(origin(f"o{n}") for n in range(5))), origin_steering="hash")
    lb = balancer(hashed, fallback=F)

    def pick(ip: str, seed: int) -> str:
        choice = choose(lb, lambda _p, _o: True, seeded(seed), ip)
        assert choice is not None
        return choice.origin.name

    assert len({pick("192.0.2.7", seed) for seed in range(20)}) == 1
    assert len({pick(f"192.0.2.{n}", 0) for n in range(60)}) == 5


def test_a_shedding_pool_gives_its_share_to_the_next() -> None:
    lb = balancer(replace(B, shed_percent=30), pool("c", origin("c1")), fallback=F)
    chance = seeded(3)
    picks = Counter()
    for _ in range(2000):
        choice = choose(lb, lambda _p, _o: True, chance, "")
        assert choice is not None
        picks[choice.pool.name] += 1
    assert 500 < picks["c"] < 700


def test_a_second_try_goes_to_another_healthy_origin_of_the_pool() -> None:
    failed = choose(LB, lambda _p, _o: True, seeded(0), "")
    assert failed is not None
    other = choose_beside(failed, lambda _p, _o: True, seeded(0), "", frozenset({failed.origin.address}))
    assert other is not None
    assert {failed.origin.name, other.origin.name} == {"a1", "a2"}


@given(
    weights=st.lists(st.floats(0, 1), min_size=1, max_size=20),
    point=st.floats(0, 1, exclude_max=True),
)
def test_what_has_no_weight_is_never_chosen(weights: list[float], point: float) -> None:
    index = weighted(range(len(weights)), weights, point)
    if sum(weights) <= 0:
        assert index is None
    else:
        assert index is not None
        assert weights[index] > 0


@st.composite
def topologies(draw: st.DrawFn) -> tuple[LoadBalancer, Verdicts]:
    pools = []
    verdicts: Verdicts = {}
    for number in range(draw(st.integers(1, 4))):
        origins = [
            origin(f"o{n}", enabled=draw(st.booleans()), weight=draw(st.sampled_from([0, 0.01, 0.5, 1])))
            for n in range(draw(st.integers(1, 4)))
        ]
        made = replace(
            pool(f"p{number}", *origins, monitor=draw(st.sampled_from(["m", None]))),
            enabled=draw(st.booleans()),
            minimum_origins=draw(st.integers(0, 3)),
            shed_percent=draw(st.sampled_from([0, 50, 100])),
            origin_steering=draw(st.sampled_from(["random", "hash"])),
        )
        pools.append(made)
        verdicts.update({(made.id, o.name): draw(st.sampled_from([True, False, None])) for o in origins})
    lb = replace(
        balancer(*pools, fallback=draw(st.sampled_from(pools))),
        steering_policy=draw(st.sampled_from(["off", "random"])),
        pool_weights=tuple(draw(st.sampled_from([0, 0.5, 1])) for _ in pools),
    )
    return lb, verdicts


@given(made=topologies(), seed=st.integers(), ip=st.ip_addresses().map(str))
def test_a_choice_is_always_allowed_and_the_fallback_is_the_last_resort(
    made: tuple[LoadBalancer, Verdicts], seed: int, ip: str
) -> None:
    lb, verdicts = made

    def verdict(p: Pool, o: Origin) -> Verdict:
        return verdicts[p.id, o.name]

    choice = choose(lb, verdict, seeded(seed), ip)
    if choice is None:
        usable = [o for o in lb.fallback.origins if o.enabled and o.weight > 0]
        assert not (lb.fallback.enabled and usable)
        return
    assert choice.pool.enabled
    assert choice.origin.enabled
    assert choice.origin.weight > 0
    if choice.on_fallback:
        assert choice.pool is lb.fallback
    else:
        assert choice.origin in usable_origins(choice.pool, verdict)
        assert pool_health(choice.pool, verdict) is not PoolHealth.CRITICAL
    if lb.steering_policy == "off" and not any(p.shed_percent for p in lb.pools):
        serving = [
            p
            for p in lb.pools
            if p.enabled
            and pool_health(p, verdict) is not PoolHealth.CRITICAL
            and any(o.weight > 0 for o in usable_origins(p, verdict))
        ]
        assert choice.on_fallback is (not serving)
        assert choice.pool is (serving[0] if serving else lb.fallback)
