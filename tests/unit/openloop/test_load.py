"""What is asked, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openloop.load import Load


@given(rate=st.floats(0.1, 1000), number=st.integers(1, 10_000))
def test_the_nth_request_is_due_by_the_rate_alone(rate: float, number: int) -> None:
    assert Load("h", rate).order(number).due_s == pytest.approx((number - 1) / rate)


def test_every_twentieth_request_is_slow_and_each_carries_its_number() -> None:
    load = Load("h", 50, slow_every=20)
    paths = [load.order(number).path for number in range(1, 41)]
    assert [number for number, path in enumerate(paths, 1) if path.startswith("/slow")] == [20, 40]
    assert paths[0] == "/?visit=1"
    assert paths[19] == "/slow?s=5&visit=20"


def test_visitors_take_turns_and_without_them_each_request_is_a_newcomers() -> None:
    assert [Load("h", 50, visitors=3).order(number).visitor for number in range(1, 6)] == [1, 2, 0, 1, 2]
    assert Load("h", 50).order(1).visitor is None


def test_a_load_is_the_same_after_it_was_written_and_read() -> None:
    load = Load("h", 12.5, "/x", 7, "/slow?s=1", 4, 3.0, "/ws")
    assert Load.read(load.document()) == load


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_second": 0},
        {"timeout_s": 0},
        {"slow_every": -1},
        {"visitors": -1},
        {"path": "x"},
        {"websocket": "x"},
    ],
)
def test_what_cannot_be_sent_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|begins"):
        Load.read({"hostname": "h", "per_second": 1, **wrong})
