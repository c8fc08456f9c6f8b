from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localedge.connector.backoff import Backoff
from localedge.connector.duration import parse_duration


class Longest(random.Random):
    """Draws as long a wait as there is."""

    def random(self) -> float:
        """Draw the bound itself."""
        return 1.0


def test_waits_double_up_to_the_number_of_retries() -> None:
    backoff = Backoff(3, 10.0, chance=Longest())
    assert [backoff.next_wait() for _ in range(5)] == [20, 40, 80, 80, 80]


def test_without_retries_all_waits_are_below_the_base() -> None:
    backoff = Backoff(0, 10.0, chance=Longest())
    assert [backoff.next_wait() for _ in range(3)] == [10, 10, 10]


def test_a_success_begins_anew() -> None:
    backoff = Backoff(5, 1.0, chance=Longest())
    backoff.next_wait()
    backoff.next_wait()
    backoff.reset()
    assert backoff.next_wait() == 2


def test_a_success_that_lasts_begins_anew_later() -> None:
    now = [0.0]
    backoff = Backoff(5, 1.0, chance=Longest(), now=lambda: now[0])
    backoff.next_wait()
    backoff.reset_later()
    now[0] = 8.0
    assert backoff.next_wait() == 4
    now[0] = 8.1
    assert backoff.next_wait() == 2


@pytest.mark.parametrize(
    ("text", "seconds"), [("20s", 20), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("0", 0), (".5s", 0.5)]
)
def test_durations_are_read_as_go_writes_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "20", "s", "1m30", "-1s", "1 s", "1d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


@given(st.text(max_size=10))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(text) >= 0
