import pytest

from tunnelpool.domain.kinds import POD, SECRET
from tunnelpool.watch.hearing import Hearing


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def test_before_anything_is_heard_the_age_counts_from_the_beginning(clock: _Clock) -> None:
    hearing = Hearing([SECRET], [], lambda _: None, clock)
    clock.now += 5
    assert hearing.ages() == {"Secret": 5.0}
    assert hearing.unheard() == ("Secret",)


def test_of_several_namespaces_the_most_silent_one_counts(clock: _Clock) -> None:
    hearing = Hearing([SECRET, POD], ["a", "b"], lambda _: None, clock)
    clock.now += 5
    hearing._hear(SECRET.path("a"))
    assert hearing.ages() == {"Secret": 5.0, "Pod": 5.0}
    assert hearing.unheard() == ("Secret", "Pod")
    hearing._hear(SECRET.path("b"))
    clock.now += 1
    assert hearing.ages() == {"Secret": 1.0, "Pod": 6.0}
    assert hearing.unheard() == ("Pod",)
