"""Several clusters in one pool or load balancer: each writes what is its own, and nothing of it gets lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunnelpool.build.sharing import (
    asked,
    changes_only_ours,
    clashing,
    is_open,
    join_balancer,
    join_pool,
    leave_balancer,
    leave_pool,
    takes_part,
)
from tunnelpool.domain.ownership import Mark, Owner, TunnelName, mark_of, marked, read_mark, unmarked
from tunnelpool.domain.remote import LoadBalancer, Observed, Origin, Pool

A, B, C = Owner("a", "0000000a"), Owner("b", "0000000b"), Owner("c", "0000000c")
OWNERS = (A, B, C)


def tunnel(owner: Owner, slot: int, *, enabled: bool = True, weight: float = 1) -> Origin:
    """Write an origin of a cluster."""
    name = str(TunnelName(owner, "default", "web", slot))
    return Origin(name, f"{owner.uid}-{slot}.cfargotunnel.com", enabled, weight, host="my.example.com")


def wish(owner: Owner, *origins: Origin, out: tuple[str, ...] = (), minimum: int = 1, text: str = "") -> Pool:
    """Write the pool as one cluster would have it."""
    mark = Mark(owner, "pool/p", out, shared=True, has=tuple(o.name for o in origins if not o.tunnel_id))
    ordered = tuple(sorted(origins, key=lambda one: one.name))
    return Pool("p", ordered, marked(text, mark), minimum_origins=minimum)


@st.composite
def wishes(draw: st.DrawFn, owner: Owner) -> Pool:
    """Draw what a cluster wants of the pool: at least one origin."""
    slots = draw(st.sets(st.integers(0, 3), min_size=1))
    off = draw(st.sets(st.sampled_from(sorted(slots)), max_size=len(slots) - 1))
    origins = [tunnel(owner, n, enabled=n not in off, weight=draw(st.sampled_from((0.5, 1)))) for n in slots]
    out = tuple(sorted(one.name for one in origins if not one.enabled))
    text = draw(st.sampled_from(("", "web")))
    return wish(owner, *origins, out=out, minimum=draw(st.integers(1, 3)), text=text)


def of(pool: Pool, owner: Owner) -> set[Origin]:
    """List the origins of a cluster."""
    return {one for one in pool.origins if f"_{owner.uid}_" in one.name}


@settings(max_examples=25)
@given(wishes(A), wishes(B), wishes(C))
def test_whoever_comes_first_all_entries_are_there_and_who_came_first_writes_the_settings(
    first: Pool, second: Pool, third: Pool
) -> None:
    one_way = join_pool(third, join_pool(second, first, B), C)
    other_way = join_pool(second, join_pool(third, first, C), B)
    assert one_way == other_way
    assert set(one_way.origins) == {*first.origins, *second.origins, *third.origins}
    assert one_way.minimum_origins == first.minimum_origins
    assert unmarked(one_way.description) == unmarked(first.description)
    for owner, pool in ((A, first), (B, second), (C, third)):
        mine = mark_of(one_way.description, owner)
        assert mine is not None
        assert mine.out == getattr(read_mark(pool.description), "out", None)
        assert mine.guest == (owner != A)


@settings(max_examples=25)
@given(wishes(A), wishes(B), wishes(B))
def test_a_second_look_changes_nothing_and_a_new_wish_only_what_is_the_clusters_own(
    first: Pool, before: Pool, after: Pool
) -> None:
    there = join_pool(before, first, B)
    assert join_pool(before, there, B) == there
    assert join_pool(first, there, A) == there
    changed = join_pool(after, there, B)
    assert of(changed, A) == of(there, A)
    assert of(changed, B) == set(after.origins)
    assert mark_of(changed.description, A) == mark_of(there.description, A)
    assert changes_only_ours(changed, there, B)


@settings(max_examples=25)
@given(wishes(A), wishes(B), st.permutations(OWNERS[:2]))
def test_who_leaves_takes_its_own_along_and_the_last_one_deletes(
    first: Pool, second: Pool, order: list[Owner]
) -> None:
    pool: Pool | None = join_pool(second, first, B)
    leaves, stays = order
    assert pool is not None
    pool = leave_pool(pool, leaves)
    assert pool is not None
    assert not of(pool, leaves)
    assert not takes_part(pool, leaves)
    assert of(pool, stays) == of(join_pool(second, first, B), stays)
    assert leave_pool(pool, stays) is None


@settings(max_examples=25)
@given(wishes(A), wishes(B))
def test_a_guest_takes_the_place_of_an_owner_that_has_gone(first: Pool, second: Pool) -> None:
    left = leave_pool(join_pool(second, first, B), A)
    assert left is not None
    assert is_open(left, C)
    heir = join_pool(second, left, B)
    assert heir == second
    mark = read_mark(heir.description)
    assert mark is not None
    assert (mark.owner, mark.guest) == (B, False)


def test_what_was_made_by_hand_stays_as_it_is() -> None:
    hand = Origin("by-hand", "192.0.2.9", weight=0.3)
    there = replace(wish(A, tunnel(A, 0)), origins=(hand, tunnel(A, 0)))
    assert hand in join_pool(wish(A, tunnel(A, 1)), there, A).origins
    assert hand in join_pool(wish(B, tunnel(B, 1)), there, B).origins


def test_an_exclusive_pool_is_closed_to_others_and_becomes_open_with_its_own_origins() -> None:
    alone = Pool("p", (Origin("x", "192.0.2.1"),), marked("", Mark(A, "pool/p")))
    assert not is_open(alone, B)
    opened = join_pool(wish(A, Origin("x", "192.0.2.2")), alone, A)
    assert is_open(opened, B)
    assert opened.origins == (Origin("x", "192.0.2.2"),)


def test_an_address_that_two_clusters_list_stays_until_both_have_left() -> None:
    static = Origin("static", "192.0.2.1", weight=0.5)
    both = join_pool(wish(B, replace(static, weight=1), Origin("b", "192.0.2.2")), wish(A, static), B)
    assert static in both.origins, "the owner's word counts"
    left = leave_pool(both, A)
    assert left is not None
    assert {one.name for one in left.origins} == {"static", "b"}
    alone = join_pool(wish(B, replace(static, weight=1)), left, B)
    assert alone.origins == (replace(static, weight=1),)
    assert leave_pool(alone, B) is None


def test_anothers_name_or_address_is_not_taken() -> None:
    there = wish(A, Origin("one", "192.0.2.1"))
    mine = wish(B, Origin("one", "192.0.2.7"), Origin("two", "192.0.2.1"), Origin("three", "192.0.2.3"))
    assert {one.name for one in clashing(mine, there, B)} == {"one", "two"}
    joined = join_pool(mine, there, B)
    assert {(one.name, one.address) for one in joined.origins} == {
        ("one", "192.0.2.1"),
        ("three", "192.0.2.3"),
    }


def test_a_pool_is_closed_only_when_every_origin_of_every_cluster_is_out() -> None:
    gone_a, gone_b = tunnel(A, 0, enabled=False), tunnel(B, 0, enabled=False)
    there = join_pool(wish(B, tunnel(B, 0)), wish(A, tunnel(A, 0)), B)
    there = join_pool(wish(A, gone_a, out=(gone_a.name,)), there, A)
    assert there.enabled
    there = join_pool(wish(B, gone_b, out=(gone_b.name,)), there, B)
    assert not there.enabled
    there = join_pool(wish(B, tunnel(B, 0)), there, B)
    assert there.enabled, "a guest that is back opens it"


def test_settings_that_disagree_are_told_on_both_sides() -> None:
    there = wish(A, tunnel(A, 0), minimum=2)
    both = join_pool(wish(B, tunnel(B, 0), minimum=1, text="ours"), there, B)
    observed = Observed("1", both)
    assert (
        asked(observed, B) == "cluster 'a' writes the settings, and differently: description, minimum_origins"
    )
    assert "cluster 'b' asks for other values of description, minimum_origins" in asked(observed, A)
    agreed = join_pool(wish(B, tunnel(B, 0), minimum=2), both, B)
    assert not asked(Observed("1", agreed), A)
    derived = join_pool(wish(B, tunnel(B, 0)), there, B, wishes=False)
    assert not asked(Observed("1", derived), B)


def test_a_guest_that_would_have_the_pool_disabled_says_so_and_a_closed_pool_is_no_disagreement() -> None:
    both = join_pool(replace(wish(B, tunnel(B, 0)), enabled=False), wish(A, tunnel(A, 0)), B)
    assert both.enabled
    assert asked(Observed("1", both), B).endswith("differently: enabled")
    out = [tunnel(owner, 0, enabled=False) for owner in (A, B)]
    closed = join_pool(
        wish(A, out[0], out=(out[0].name,)), join_pool(wish(B, out[1], out=(out[1].name,)), both, B), A
    )
    assert not closed.enabled
    told = join_pool(wish(B, out[1], out=(out[1].name,)), closed, B)
    assert not asked(Observed("1", told), B)


def balancer(owner: Owner, *pools: str, fallback: str = "", steering: str = "off") -> LoadBalancer:
    """Write the load balancer as one cluster would have it."""
    has = tuple(sorted({*pools, *([fallback] if fallback else [])}))
    description = str(Mark(owner, "host/my.example.com", shared=True, has=has))
    return replace(
        LoadBalancer("my.example.com", pools, fallback or pools[0], description), steering_policy=steering
    )


@settings(max_examples=25)
@given(st.permutations(["b1", "b2"]), st.permutations(["c1", "b2"]))
def test_pools_of_guests_come_behind_the_owners(bees: list[str], seas: list[str]) -> None:
    there = balancer(A, "a1", "a2")
    one = join_balancer(balancer(C, *seas), join_balancer(balancer(B, *bees), there, B), C)
    other = join_balancer(balancer(B, *bees), join_balancer(balancer(C, *seas), there, C), B)
    assert set(one.default_pools) == set(other.default_pools) == {"a1", "a2", *bees, *seas}
    assert one.default_pools[:2] == ("a1", "a2")
    assert one.fallback_pool == "a1"
    assert join_balancer(there, one, A) == one
    assert join_balancer(balancer(B, *bees), one, B) == one
    without_b = leave_balancer(one, B)
    assert without_b is not None
    assert set(without_b.default_pools) == {"a1", "a2", *seas}, "a pool that another has too stays"
    without_a = leave_balancer(without_b, A)
    assert without_a is not None
    assert without_a.fallback_pool in seas
    assert leave_balancer(without_a, C) is None


def test_a_guest_changes_its_pools_and_no_setting() -> None:
    there = join_balancer(balancer(B, "b1"), balancer(A, "a1", steering="random"), B)
    changed = join_balancer(balancer(B, "b2"), there, B)
    assert changed.default_pools == ("a1", "b2")
    assert changed.steering_policy == "random"
    assert changes_only_ours(changed, there, B)
    assert not changes_only_ours(replace(changed, default_pools=("b2",)), there, B)
    assert not changes_only_ours(replace(changed, steering_policy="off"), there, B)
    assert (
        asked(Observed("1", changed), B)
        == "cluster 'a' writes the settings, and differently: steering_policy"
    )


@pytest.mark.parametrize("what", ["origins", "minimum_origins", "description"])
def test_a_change_that_touches_others_is_seen_as_such(what: str) -> None:
    there = join_pool(wish(B, tunnel(B, 0)), wish(A, tunnel(A, 0)), B)
    wrong = {
        "origins": replace(there, origins=(replace(tunnel(A, 0), enabled=False), tunnel(B, 0))),
        "minimum_origins": replace(there, minimum_origins=2),
        "description": replace(there, description=str(Mark(B, guest=True))),
    }
    assert not changes_only_ours(wrong[what], there, B)
