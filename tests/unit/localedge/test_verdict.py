"""Results of probes become a verdict by counts in a row."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localedge.probe.expectation import Expectation
from localedge.probe.verdict import OriginHealth, ProbeResult, judge

GOOD = ProbeResult(None, 0.01, 200)
BAD = ProbeResult("TCP connection failed", 0.01)


def verdicts(results: str, *, up: int = 0, down: int = 0) -> list[bool | None]:
    health = OriginHealth()
    seen = []
    for result in results:
        health = judge(health, GOOD if result == "+" else BAD, up=up, down=down)
        seen.append(health.healthy)
    return seen


def test_one_good_round_is_enough_by_default() -> None:
    assert verdicts("+-+") == [True, False, True]


def test_consecutive_up_delays_the_way_up() -> None:
    assert verdicts("++-+++", up=3) == [None, None, False, False, False, True]


def test_consecutive_down_delays_the_way_down_and_a_good_round_starts_it_anew() -> None:
    assert verdicts("+--+---", down=3) == [True, True, True, True, True, True, False]


def test_the_first_failure_decides_at_once_since_unknown_is_down_anyway() -> None:
    assert verdicts("-", down=5) == [False]


@given(st.text("+-", min_size=1, max_size=40), st.integers(0, 4), st.integers(0, 4))
def test_a_verdict_turns_only_after_enough_rounds_in_a_row(results: str, up: int, down: int) -> None:
    seen = [None, *verdicts(results, up=up, down=down)]
    for index, (before, after) in enumerate(pairwise(seen), start=1):
        if before is False and after is True:
            assert results[:index].endswith("+" * max(1, up))
        if before is True and after is False:
            assert results[:index].endswith("-" * max(1, down))


@given(st.text("+-", max_size=20), st.integers(0, 4), st.integers(0, 4))
def test_enough_rounds_of_one_kind_always_decide(results: str, up: int, down: int) -> None:
    assert verdicts(results + "+" * max(1, up), up=up, down=down)[-1] is True
    assert verdicts(results + "-" * max(1, down), up=up, down=down)[-1] is False


@pytest.mark.parametrize(
    ("codes", "status", "good"),
    [
        ("200", 200, True),
        ("200", 204, False),
        ("2xx", 299, True),
        ("2XX", 300, False),
        ("200,302", 302, True),
        ("200-204, 404", 203, True),
        ("200-204, 404", 404, True),
        ("", 200, True),
        ("", 404, False),
    ],
)
def test_expected_codes_are_codes_classes_lists_and_ranges(codes: str, status: int, good: bool) -> None:
    failure = Expectation.of({"expected_codes": codes}).failure(status, b"")
    assert failure == (None if good else "Response code mismatch error")


def test_the_expected_text_is_found_whatever_its_case_in_the_first_ten_kilobytes() -> None:
    expectation = Expectation.of({"expected_body": "Alive"})
    assert expectation.failure(200, b"i am ALIVE") is None
    assert expectation.failure(200, b"x" * 10240 + b"alive") == "Response body mismatch error"
