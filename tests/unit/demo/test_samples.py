"""What is said of the traffic, from samples alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from demo.samples import (
    Sample,
    between,
    first_answer_after,
    last_failure_after,
    settled_since,
    share,
)


def answered(sent_at: float, source: str) -> Sample:
    return Sample(int(sent_at * 10), sent_at, 200, source, 0.01)


def refused(sent_at: float, status: int = 530) -> Sample:
    return Sample(int(sent_at * 10), sent_at, status, "", 0.01)


SAMPLES = st.lists(
    st.builds(
        lambda at, source: answered(at, source) if source else refused(at),
        st.floats(0, 100),
        st.sampled_from(["tunnels", "fallback", ""]),
    )
)


def test_the_last_failure_counts_by_when_its_request_was_sent() -> None:
    samples = [refused(1.0), answered(2.0, "tunnels"), refused(3.0, 0), answered(4.0, "tunnels")]
    assert last_failure_after(samples, 0.0) == 3.0


def test_failures_before_the_moment_do_not_count() -> None:
    assert last_failure_after([refused(1.0), answered(3.0, "tunnels")], 2.0) is None


def test_the_first_answer_is_that_of_the_wanted_source() -> None:
    samples = [answered(1.0, "tunnels"), answered(2.0, "fallback"), answered(3.0, "tunnels")]
    assert first_answer_after(samples, 1.5, "tunnels") == 3.0
    assert first_answer_after(samples, 3.5, "tunnels") is None


def test_a_source_is_settled_since_its_first_answer_after_the_last_of_any_other() -> None:
    samples = [answered(1.0, "fallback"), refused(2.0), answered(3.0, "fallback"), answered(4.0, "fallback")]
    assert settled_since(samples, "fallback") == 3.0
    assert settled_since(samples, "tunnels") is None
    assert settled_since([], "tunnels") is None


def test_failures_are_counted_by_their_status() -> None:
    samples = [answered(1.0, "tunnels"), refused(2.0, 502), refused(3.0, 502), refused(4.0, 0)]
    assert share(samples) == {"status 502": 2, "tunnels": 1, "status none": 1}


def test_a_span_includes_its_start_and_not_its_end() -> None:
    samples = [answered(at, "tunnels") for at in (1.0, 2.0, 3.0)]
    assert [one.sent_at for one in between(samples, 1.0, 3.0)] == [1.0, 2.0]


@given(SAMPLES)
def test_after_a_source_has_settled_nobody_else_answers_and_nothing_fails(samples: list[Sample]) -> None:
    since = settled_since(samples, "tunnels")
    if since is not None:
        assert all(one.source == "tunnels" for one in samples if one.sent_at > since)
        assert any(one.source == "tunnels" and one.sent_at == since for one in samples)


@given(SAMPLES)
def test_every_sample_is_counted_once(samples: list[Sample]) -> None:
    assert sum(share(samples).values()) == len(samples)


@given(SAMPLES, st.floats(0, 100))
def test_no_request_fails_later_than_the_last_failure(samples: list[Sample], moment: float) -> None:
    last = last_failure_after(samples, moment)
    later = [one for one in samples if one.failed and one.sent_at > (moment if last is None else last)]
    assert not later
