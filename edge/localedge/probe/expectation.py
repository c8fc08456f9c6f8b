"""Whether an answer is the expected one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BODY_BYTES = 10 * 1024
"""How much of a body a monitor looks at (the docs also say 100 MB in one place)."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """The codes and the text that a monitor asks for."""

    codes: tuple[tuple[int, int], ...]
    text: str

    @classmethod
    def of(cls, monitor: Mapping[str, Any]) -> Expectation:
        """Read the expectation of a monitor; no codes means 200, the published default."""
        return cls(_codes(monitor.get("expected_codes") or "200"), monitor.get("expected_body", "").lower())

    def failure(self, status: int, body: bytes) -> str | None:
        """Tell the failure reason in Cloudflare's words, None if all is as expected."""
        if not any(low <= status <= high for low, high in self.codes):
            return "Response code mismatch error"
        if self.text and self.text not in body[:BODY_BYTES].decode("utf-8", "replace").lower():
            return "Response body mismatch error"
        return None


def _codes(expected: str) -> tuple[tuple[int, int], ...]:
    ranges = []
    for part in expected.replace(" ", "").lower().split(","):
        if part.endswith("xx"):
            ranges.append((int(part[0]) * 100, int(part[0]) * 100 + 99))
        else:
            low, _, high = part.partition("-")
            ranges.append((int(low), int(high or low)))
    return tuple(ranges)
