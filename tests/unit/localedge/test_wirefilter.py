"""Conditions of rules: what is understood means what it says, the rest is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localedge.balance.wirefilter import Subject, UnsupportedError, parse

SUBJECT = Subject("a.example.com", "GET", "/api/v1?x=1&y")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ('http.host == "a.example.com"', True),
        ('http.host eq "b.example.com"', False),
        ('http.host ne "b.example.com"', True),
        ('http.host in {"b.example.com" "a.example.com"}', True),
        ('http.request.uri.path == "/api/v1"', True),
        ('http.request.uri.path contains "/v1"', True),
        ('http.request.uri.path contains "x=1"', False),
        ('http.request.uri contains "x=1"', True),
        ('http.request.uri.query == "x=1&y"', True),
        ('starts_with(http.request.uri.path, "/api/")', True),
        ('ends_with(http.request.uri.path, "/v2")', False),
        ('not http.request.method in {"POST"}', True),
        ('http.host == "x" and http.host == "y" or http.request.method == "GET"', True),
        ('http.host == "x" && (http.host == "y" || http.request.method == "GET")', False),
        ('!(http.host == "x") and !http.host == "y"', True),
        (r'http.host == "a\"b\\c"', False),
    ],
)
def test_a_condition_means_what_it_says(text: str, holds: bool) -> None:
    assert parse(text)(SUBJECT) is holds


def test_quoted_signs_stand_for_themselves() -> None:
    assert parse(r'http.request.uri.path == "/\"\\"')(Subject("h", "GET", '/"\\'))


@pytest.mark.parametrize(
    "text",
    [
        "ip.src == 192.0.2.1",
        'http.host matches "a"',
        'lower(http.host) == "a"',
        'http.host == "a" xor http.host == "b"',
        "http.host",
        'http.host == "a',
        'http.host == "a" "b"',
        '(http.host == "a"',
        'http.host in {"a"',
        "http.host == 'a'",
        "(" * 60 + 'http.host == "a"' + ")" * 60,
        "not " * 2000 + 'http.host == "a"',
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedError):
        parse(text)


Formula = tuple[str, Callable[[str, str], bool]]


def both(parts: list[Formula]) -> Formula:
    text = " and ".join(f"({part[0]})" for part in parts)
    return text, lambda host, path: all(part[1](host, path) for part in parts)


def either(parts: list[Formula]) -> Formula:
    text = " or ".join(part[0] for part in parts)
    return f"({text})", lambda host, path: any(part[1](host, path) for part in parts)


def inverse(part: Formula) -> Formula:
    return f"not {part[0]}", lambda host, path: not part[1](host, path)


words = st.sampled_from(["a", "b", "/", "ab"])
leaves: st.SearchStrategy[Formula] = words.map(
    lambda word: (f'http.host == "{word}"', lambda host, _: host == word)
) | words.map(lambda word: (f'starts_with(http.request.uri.path, "{word}")', lambda _, p: p.startswith(word)))
formulas = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(both)
        | st.lists(inner, min_size=1, max_size=3).map(either)
        | inner.map(lambda part: (f"({part[0]})", part[1])).map(inverse)
    ),
    max_leaves=6,
)


@given(formulas, words, words)
def test_any_combination_is_evaluated_as_it_is_written(formula: Formula, host: str, path: str) -> None:
    text, holds = formula
    assert parse(text)(Subject(host, "GET", path)) is holds(host, path)
