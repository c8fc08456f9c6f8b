"""The runner of the breaks: a test that a mistake keeps from ending is red, and the table says so."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import run
from law_breaks import Break

ENDS, LOOPS = "tests/unit/test_a.py::test_ends", "tests/unit/test_a.py::test_loops[x]"


class _Copy(run.Copy):
    """A copy whose tests fail, or never end if they are called so."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []

    def _outcome(self, tests: Sequence[str], enough_s: float) -> run.Outcome:
        self.asked.append(tests)
        if LOOPS in tests:
            raise subprocess.TimeoutExpired("pytest", enough_s)
        return run.Outcome(failed=frozenset({("tests.unit.test_a", "test_ends")}))


def test_what_does_not_end_is_found_by_running_each_test_alone() -> None:
    copy = _Copy()
    found = copy.run((ENDS, LOOPS))
    assert copy.asked == [(ENDS, LOOPS), (ENDS,), (LOOPS,)]
    assert found.failed == {("tests.unit.test_a", "test_ends")}
    assert found.endless == {("tests.unit.test_a", "test_loops")}


def test_the_table_tells_what_did_not_end_from_what_failed() -> None:
    tried = Break(3, "a loop", "a.py", "a", "b", (ENDS, LOOPS))
    row = run._row(run.Verdict(tried, 1.0, endless=(LOOPS,)))
    assert "| 2/2 |" in row
    assert row.endswith(f"red (ended by its time limit: {LOOPS})")
