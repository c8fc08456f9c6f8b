"""A report names each failure, when it was and what happened around it."""

from hypothesis import given
from hypothesis import strategies as st

from openloop.report import Happening, failures, report, spread
from openloop.results import Answer, SocketEvent, read, written


def answer(number: int, sent_at: float, status: int = 200, error: str = "", took_s: float = 0.1) -> Answer:
    path = f"/?visit={number}"
    return Answer(number, path, sent_at, sent_at, sent_at + took_s, status, error, "" if error else "pod-1")


def test_a_request_fails_without_the_page_or_with_an_error_on_the_way() -> None:
    good, refused, cut = answer(1, 1), answer(2, 2, status=530), answer(3, 3, error="reset")
    assert failures([cut, good, refused]) == [refused, cut]


def test_each_failure_stands_with_what_happened_around_it() -> None:
    happenings = [
        Happening(100.0, "far before"),
        Happening(109.0, "pod a is deleted"),
        Happening(150.0, "far after"),
    ]
    text = report([answer(1, 100.0), answer(2, 110.0, status=530)], [], happenings)
    assert "2 requests, 1 failed" in text
    assert "FAILED 10.00 s: /?visit=2: status 530, after 0.10 s" in text
    assert "9.00 s  pod a is deleted" in text
    assert "far" not in text


def test_a_report_tells_the_socket_who_answered_and_how_late_the_generator_was() -> None:
    late = Answer(1, "/", 10.0, 10.25, 10.5, 200, "", "pod-1")
    text = report([late], [SocketEvent(12.0, "ended", 1, "closed with 1006")], [])
    assert "2.00 s  WebSocket 1 ended closed with 1006" in text
    assert "{'pod-1': 1}" in text
    assert "250 / 250 / 250 ms" in text


def test_many_failures_are_counted_and_the_last_one_is_named() -> None:
    text = report([answer(number, 100.0 + number, error="reset") for number in range(1, 101)], [], [])
    assert "100 requests, 100 failed" in text
    assert "… and 75 more, the last at 99.00 s" in text


def test_of_nothing_nothing_is_reported() -> None:
    assert report([], [], []) == "no request was sent"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300))
def test_a_spread_is_ordered_and_within_what_was_seen(durations: list[float]) -> None:
    found = spread(durations)
    assert min(durations) <= found.median <= found.p99 <= found.worst == max(durations)


def test_records_are_the_same_after_they_were_written_and_read() -> None:
    for record in (answer(1, 2.5, error="x"), SocketEvent(1.0, "opened", 1)):
        assert read(written(record)) == record
    assert read("Traceback (most recent call last):") is None
    assert read('{"ready": true}') is None
