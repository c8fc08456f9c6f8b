"""The past of the state: any moment of it, in little memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from localedge.clock import Clock
from localedge.state.history import GRAIN_S, MOST, StateHistory
from localedge.state.records import State
from localedge.state.store import Store


def grown(pauses: list[float]) -> tuple[Clock, StateHistory, list[tuple[float, int]]]:
    """Commit once after each pause; returns when each version came too."""
    clock = Clock(frozen=True)
    store = Store(clock)
    history = StateHistory(store, clock)
    came = [(0.0, 0)]
    for version, pause in enumerate(pauses, start=1):
        clock.step(pause)
        store.commit(State(version=version))
        came.append((clock.real(), version))
    return clock, history, came


def test_the_state_of_a_moment_is_the_last_one_before_it() -> None:
    _, history, _ = grown([10, 10])
    assert [history.before(seconds).version for seconds in (0, 9.9, 10, 10.1, 20, 99)] == [2, 1, 1, 0, 0, 0]


@given(st.lists(st.sampled_from([0, 0.1, 0.4, 1, 5]), max_size=40), st.floats(0, 60))
def test_a_burst_makes_it_less_exact_by_a_second_at_most(pauses: list[float], seconds: float) -> None:
    clock, history, came = grown(pauses)
    moment = clock.real() - seconds
    told = history.before(seconds).version
    exact = max((version for at, version in came if at <= moment), default=0)
    early = max((version for at, version in came if at <= moment - GRAIN_S), default=0)
    assert early <= told <= exact


def test_bursts_do_not_fill_the_memory() -> None:
    _, history, _ = grown([0.001] * 1000)
    assert len(history._states) <= 4
    _, history, _ = grown([2] * (MOST + 10))
    assert len(history._states) == MOST
    assert history.before(10_000).version == 11
