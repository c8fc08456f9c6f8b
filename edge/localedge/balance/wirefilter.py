"""Conditions of rules: the part of Cloudflare's filter language that the edge understands.

    http.host == "a.example.com" and not (http.request.uri.path contains "/api" or
    starts_with(http.request.uri.path, "/static/")) and http.request.method in {"GET" "HEAD"}

Fields: `http.host`, `http.request.method`, `http.request.uri`, `http.request.uri.path`,
`http.request.uri.query`. Comparisons: `==`/`eq`, `!=`/`ne`, `contains`, `in {…}`; functions: `starts_with`,
`ends_with`; `not`/`!`, `and`/`&&`, `or`/`||` in this order of binding, parentheses. Empty is always true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final


class UnsupportedError(ValueError):
    """The edge does not understand the condition; Cloudflare may."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The request that a condition is about."""

    host: str
    method: str
    target: str
    """Path with query, as sent."""

    @property
    def path(self) -> str:
        """The path alone."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query without its question mark."""
        return self.target.partition("?")[2]


Condition = Callable[[Subject], bool]

_FIELDS: Final[Mapping[str, Callable[[Subject], str]]] = {
    "http.host": lambda subject: subject.host,
    "http.request.method": lambda subject: subject.method,
    "http.request.uri": lambda subject: subject.target,
    "http.request.uri.path": lambda subject: subject.path,
    "http.request.uri.query": lambda subject: subject.query,
}
_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "==": str.__eq__,
    "eq": str.__eq__,
    "!=": str.__ne__,
    "ne": str.__ne__,
    "contains": lambda text, part: part in text,
}
_FUNCTIONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\["\\])*")|(?P<word>[a-z_][a-z0-9_.]*)|(?P<sign>==|!=|&&|\|\||[!(){},]))"""
)
_DEEPEST: Final = 50


def parse(text: str) -> Condition:
    """Make a condition of its text.

    Raises:
        UnsupportedError: a field, an operator or a form that the edge does not know.

    """
    if not text.strip():
        return lambda _subject: True
    parser = _Parser(_tokens(text))
    condition = parser.either()
    parser.expect("")
    return condition


def _tokens(text: str) -> list[str]:
    found, position = [], 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise UnsupportedError(f"{stripped[position : position + 20]!r}")
        found.append(match[0].strip())
        position = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens; the end is an empty token."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def either(self) -> Condition:
        parts = [self._both()]
        while self._take("or", "||"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda subject: any(part(subject) for part in parts)

    def expect(self, token: str) -> None:
        if self._peek() != token:
            raise UnsupportedError(repr(self._peek() or "the end of the condition"))
        self._next += 1

    def _both(self) -> Condition:
        parts = [self._single()]
        while self._take("and", "&&"):
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else lambda subject: all(part(subject) for part in parts)

    def _single(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnsupportedError("a condition nested this deep")
        try:
            if self._take("not", "!"):
                inner = self._single()
                return lambda subject: not inner(subject)
            if self._take("("):
                condition = self.either()
                self.expect(")")
                return condition
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        if (function := _FUNCTIONS.get(self._peek())) is not None:
            self._next += 1
            self.expect("(")
            field = self._field()
            self.expect(",")
            argument = self._string()
            self.expect(")")
            return lambda subject: function(field(subject), argument)
        field = self._field()
        if self._take("in"):
            words = self._set()
            return lambda subject: field(subject) in words
        compare = _COMPARISONS.get(self._peek())
        if compare is None:
            raise UnsupportedError(repr(self._peek() or "the end of the condition"))
        self._next += 1
        value = self._string()
        return lambda subject: compare(field(subject), value)

    def _set(self) -> frozenset[str]:
        self.expect("{")
        words = set()
        while not self._take("}"):
            words.add(self._string())
        return frozenset(words)

    def _field(self) -> Callable[[Subject], str]:
        field = _FIELDS.get(self._peek())
        if field is None:
            raise UnsupportedError(repr(self._peek() or "the end of the condition"))
        self._next += 1
        return field

    def _string(self) -> str:
        token = self._peek()
        if not token.startswith('"'):
            raise UnsupportedError(repr(token or "the end of the condition"))
        self._next += 1
        return re.sub(r"\\(.)", r"\1", token[1:-1])

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, *tokens: str) -> bool:
        if self._peek() not in tokens:
            return False
        self._next += 1
        return True
