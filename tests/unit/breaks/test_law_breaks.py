"""Breaks do not rot: each still applies and still names tests. `make test-breaks` tries them."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from law_breaks import LAWS, ROOT, Break, DoesNotApplyError, load

BREAKS = load()
FAST = ("tests/unit/", "tests/component/")


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.name.replace(" ", "-"))
def test_a_break_still_applies_to_one_line_and_leaves_python_if_it_was(one: Break) -> None:
    assert "\n" not in one.old + one.new
    assert one.old != one.new
    assert not one.file.startswith("tests/")
    broken = one.apply((ROOT / one.file).read_text())
    if one.file.endswith(".py"):
        compile(broken, one.file, "exec")


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.name.replace(" ", "-"))
def test_a_break_names_fast_tests_that_are_there(one: Break) -> None:
    assert one.tests
    for test in one.tests:
        path, *_, name = test.split("::")
        assert path.startswith(FAST)
        assert re.search(rf"^ *(?:async )?def {re.escape(name)}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_every_law_is_broken_in_at_least_two_ways() -> None:
    assert {law for law, ways in Counter(one.law for one in BREAKS).items() if ways > 1} == set(LAWS)


def test_no_two_breaks_share_a_name() -> None:
    assert max(Counter(one.name for one in BREAKS).values()) == 1


@pytest.mark.parametrize("text", ["", "a = 1\na = 1\n"])
def test_a_text_that_does_not_stand_there_once_is_an_error(text: str) -> None:
    one = Break(1, "a name", "a_file.py", "a = 1", "a = 2", ())
    with pytest.raises(DoesNotApplyError, match=r"stands \d times in a_file.py"):
        one.apply(text)
