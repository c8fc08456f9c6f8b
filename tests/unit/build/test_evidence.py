"""What is enough to take an origin out, and of how many tunnels Cloudflare's word alone counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshots import NOW, origin_name, slot

from tunnelpool.build.evidence import BACK_WITHIN_S, NEWS_S, WORD_S, Strength, against, believed, contradicted
from tunnelpool.build.snapshot import Fleet, Running, Slot
from tunnelpool.domain.remote import CalledDown, TunnelStatus

AT = NOW.timestamp()
NOBODY: frozenset[str] = frozenset()
DOWN = TunnelStatus.DOWN


def suspect(
    index: int = 0, *, for_s: float = WORD_S, name: str = "web", ready_s: float | None = None
) -> Slot:
    """Build an origin with a ready pod whose tunnel is called down for so long."""
    since = None if ready_s is None else AT - ready_s
    return slot(index, name=name, status=DOWN, down_for_s=for_s, ready_since_s=since)


def chosen(tunnels: int, *slots: Slot, out: tuple[int, ...] = ()) -> set[int]:
    """List the slots of which Cloudflare's word alone is enough."""
    found = believed(Fleet(tunnels, slots, frozenset(origin_name(index) for index in out)))
    return {one.index for one in slots if one.remote is not None and one.remote.id in found}


def test_a_pod_that_is_gone_is_stronger_evidence_than_one_that_has_ended() -> None:
    ended = slot(running=Running.ENDED, for_s=BACK_WITHIN_S)
    assert against(ended, AT, NOBODY).strength is Strength.ENDED
    assert against(replace(ended, pods=0), AT, NOBODY).strength is Strength.GONE


def test_a_container_may_come_back_within_three_seconds() -> None:
    evidence = against(slot(running=Running.ENDED, for_s=1.0), AT, NOBODY)
    assert evidence.strength is None
    assert evidence.recheck_s == pytest.approx(2.0)


def test_a_pod_that_is_not_ready_and_a_tunnel_that_is_down_agree() -> None:
    assert against(slot(running=Running.NOT_READY, status=DOWN), AT, NOBODY).strength is Strength.AGREED


def test_what_cloudflare_said_before_the_pod_became_unready_is_asked_again() -> None:
    said_before = slot(running=Running.NOT_READY, status=DOWN, for_s=4.0)
    assert said_before.remote is not None
    old = replace(said_before.remote, called_down=CalledDown(AT - 50, AT - 5))
    assert against(replace(said_before, remote=old), AT, NOBODY).strength is None


def test_cloudflares_word_alone_counts_once_it_stands_for_ten_seconds() -> None:
    assert chosen(3, suspect(for_s=9.9)) == set()
    assert chosen(3, suspect(for_s=10.0)) == {0}
    (trusted,) = believed(Fleet(3, (suspect(),)))
    assert against(suspect(), AT, frozenset({trusted})).strength is Strength.WORD
    assert against(suspect(), AT, NOBODY).strength is None


@pytest.mark.parametrize(("tunnels", "down", "out"), [(1, 1, 1), (2, 1, 1), (2, 2, 0), (3, 2, 1), (9, 9, 3)])
def test_at_most_a_third_goes_on_cloudflares_word(tunnels: int, down: int, out: int) -> None:
    assert len(chosen(tunnels, *(suspect(index) for index in range(down)))) == out


def test_who_is_out_on_cloudflares_word_already_counts_and_is_not_swapped_for_another() -> None:
    assert chosen(3, suspect(0), suspect(1), suspect(2), out=(2,)) == {2}


def test_who_is_called_down_for_longest_goes_first_and_then_the_first_of_each_tunnel() -> None:
    assert chosen(6, suspect(0), suspect(1, for_s=60), suspect(2, for_s=30)) == {1, 2}
    slots = [suspect(index, name=name) for name in ("a", "b") for index in range(3)]
    found = believed(Fleet(6, tuple(slots)))
    assert found == {"tunnel-a-0", "tunnel-b-0"}


def test_who_has_no_ready_pod_takes_nobodys_place_in_the_third() -> None:
    dead = replace(suspect(0), running=Running.NOT_READY)
    assert chosen(3, dead, suspect(1)) == {1}


def test_a_pod_that_has_just_become_ready_is_newer_news_than_cloudflares() -> None:
    assert not contradicted(suspect(ready_s=NEWS_S - 1))
    assert contradicted(suspect(ready_s=NEWS_S))
    assert contradicted(suspect(ready_s=None))
    assert chosen(3, suspect(for_s=60, ready_s=NEWS_S + WORD_S - 1)) == set()
    assert chosen(3, suspect(for_s=60, ready_s=NEWS_S + WORD_S)) == {0}


@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.floats(0, 60), st.sampled_from(Running)), max_size=12),
    st.sets(st.integers(0, 11)),
)
def test_whatever_cloudflare_says_no_more_than_a_third_goes_out_newly(
    tunnels: int, said: list[tuple[float, Running]], out: set[int]
) -> None:
    slots = [replace(suspect(i, for_s=for_s), running=how) for i, (for_s, how) in enumerate(said[:tunnels])]
    found = chosen(tunnels, *slots, out=tuple(out))
    newly = found - out
    assert len(newly) <= max(tunnels // 3, 1)
    assert not newly or len(newly) + len(found & out) <= max(tunnels // 3, 1)
    assert all(slots[index].running is Running.READY for index in found)
