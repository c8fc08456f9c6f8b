"""Which pool and which origin: the rules of failover, for any topology."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from localedge.balance.affinity import Knowledge, Standing, seat_of, session_token, standing
from localedge.balance.health import (
    PoolHealth,
    Verdict,
    VerdictOf,
    listed_health,
    pool_health,
    usable_origins,
)
from localedge.balance.model import Affinity, GeoPools, LoadBalancer, Origin, Pool
from localedge.balance.steering import Choice, Chooser, weighted
from localedge.balance.visitor import Location, Visitor


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - choices of a test repeat themselves


Verdicts = dict[tuple[str, str], Verdict]


def choose(lb: LoadBalancer, verdict: VerdictOf, chance: random.Random, ip: str) -> Choice | None:
    return Chooser(verdict, chance).choose(lb, Visitor(ip))


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
    chooser = Chooser(lambda _p, _o: True, seeded(0))
    other = chooser.choose_beside(failed, Visitor(""), frozenset({failed.origin.address}))
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


def named(*names: str) -> dict[str, Pool]:
    return {name: pool(name, origin(f"{name}1")) for name in names}


P = named("pop", "second", "country", "region", "default", "last")
GEO = replace(
    balancer(P["default"], fallback=P["last"]),
    steering_policy="geo",
    geo=GeoPools(
        pops={"LHR": (P["pop"], P["second"])},
        countries={"GB": (P["country"],)},
        regions={"WEU": (P["region"],)},
    ),
)
EVERYWHERE = Location("LHR", "GB", "WEU")


def geo_serves(location: Location, down: frozenset[str] = frozenset(), lb: LoadBalancer = GEO) -> str:
    chooser = Chooser(lambda p, _o: p.name not in down, seeded(0))
    choice = chooser.choose(lb, Visitor("", location))
    assert choice is not None
    assert choice.on_fallback is (choice.pool.name == "last")
    return choice.pool.name


def test_geo_steering_asks_data_centre_then_country_then_region_then_the_default_pools() -> None:
    assert geo_serves(EVERYWHERE) == "pop"
    assert geo_serves(replace(EVERYWHERE, pop="FRA")) == "country"
    assert geo_serves(replace(EVERYWHERE, pop="FRA", country="DE")) == "region"
    assert geo_serves(Location("FRA", "DE", "EEU")) == "default"


def test_a_geographic_list_that_fails_ends_at_the_fallback_and_not_at_the_default_pools() -> None:
    assert geo_serves(EVERYWHERE, frozenset({"pop"})) == "second"
    assert geo_serves(EVERYWHERE, frozenset({"pop", "second"})) == "last"


def test_without_geo_steering_the_maps_say_nothing() -> None:
    assert geo_serves(EVERYWHERE, lb=replace(GEO, steering_policy="off")) == "default"


def test_least_outstanding_requests_divides_weights_by_what_is_under_way() -> None:
    busy = {("a", "a1.example.net"): 9, ("p", "x.example.net"): 3}

    def outstanding(pool_id: str, address: str) -> int:
        return busy.get((pool_id, address), 0)

    chooser = Chooser(lambda _p, _o: True, seeded(1), outstanding)
    loaded = replace(pool("a", origin("a1"), origin("a2")), origin_steering="least_outstanding_requests")
    picks = Counter(
        choice.origin.name
        for _ in range(2200)
        if (choice := chooser.choose(balancer(loaded, fallback=F), Visitor("")))
    )
    assert 130 < picks["a1"] < 280
    pools = (pool("p", origin("x")), pool("q", origin("y")))
    lb = replace(balancer(*pools, fallback=F), steering_policy="least_outstanding_requests")
    shares = Counter(
        choice.pool.name for _ in range(2000) if (choice := chooser.choose(lb, Visitor(""))) is not None
    )
    assert 320 < shares["p"] < 480


COOKIE = Affinity("cookie", 1800, drain_s=60)


def sessions(*pools: Pool, affinity: Affinity = COOKIE) -> LoadBalancer:
    return replace(balancer(*pools, fallback=F), affinity=affinity)


def stands(lb: LoadBalancer, *, up: bool | None = True, at: float = 0) -> Standing | None:
    """Tell how a session with the first origin of the first pool stands."""
    first = lb.pools[0]
    seat = seat_of(lb, session_token(lb.id, first, first.origins[0]))
    if seat is None:
        return None
    down = {first.origins[0].address} if not up else set()
    return standing(lb, seat, Visitor("192.0.2.1"), Knowledge(lambda _p, o: o.address not in down, at))


def test_a_session_stays_while_its_origin_is_up_though_a_better_pool_is_back() -> None:
    assert stands(sessions(B)) is Standing.HELD
    lb = sessions(A, B)
    seat = seat_of(lb, session_token(lb.id, B, B.origins[0]))
    assert seat is not None
    assert standing(lb, seat, Visitor(""), Knowledge(lambda _p, _o: True, 0)) is Standing.HELD


def test_a_session_with_an_origin_that_is_down_begins_anew_or_waits_elsewhere() -> None:
    assert stands(sessions(B), up=False) is Standing.GONE
    temporary = replace(COOKIE, failover="temporary")
    assert stands(sessions(B, affinity=temporary), up=False) is Standing.AWAY


def test_a_session_drains_from_a_disabled_origin_and_then_ends() -> None:
    gone = replace(origin("b1", enabled=False), disabled_at=1000.0)
    lb = sessions(pool("b", gone, origin("b2")))
    assert stands(lb, at=1059.9) is Standing.HELD
    assert stands(lb, at=1060) is Standing.GONE
    assert stands(replace(lb, affinity=replace(COOKIE, drain_s=0)), at=1000) is Standing.GONE


def test_no_session_stays_in_a_pool_that_is_critical_or_disabled_or_sheds_it() -> None:
    whole = pool("a", origin("a1"), origin("a2"), minimum=2)
    seat = seat_of(sessions(whole), session_token("lb", whole, whole.origins[0]))
    assert seat is not None
    known = Knowledge(lambda _p, o: o.name == "a1", 0)
    assert standing(sessions(whole), seat, Visitor(""), known) is Standing.GONE
    assert stands(sessions(replace(whole, enabled=False))) is Standing.GONE
    assert stands(sessions(replace(whole, shed_sessions_percent=100))) is Standing.GONE
    assert stands(sessions(replace(whole, shed_sessions_percent=0))) is Standing.HELD


def test_a_session_belongs_to_one_load_balancer_and_one_address() -> None:
    lb = sessions(A)
    token = session_token(lb.id, A, A.origins[0])
    assert seat_of(replace(lb, id="other"), token) is None
    assert seat_of(sessions(replace(A, origins=A.origins[1:])), token) is None
    assert token != session_token(lb.id, A, A.origins[1])


def test_ip_cookie_chooses_first_by_the_visitors_address() -> None:
    lb = sessions(pool("a", *(origin(f"o{n}") for n in range(5))), affinity=replace(COOKIE, kind="ip_cookie"))

    def pick(ip: str, seed: int) -> str:
        choice = Chooser(lambda _p, _o: True, seeded(seed)).choose(lb, Visitor(ip))
        assert choice is not None
        return choice.origin.name

    assert len({pick("192.0.2.7", seed) for seed in range(20)}) == 1
    assert len({pick(f"192.0.2.{n}", 0) for n in range(60)}) == 5
