"""What happened: every API call, every visitor's request and every probe, in memory, with counters."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from itertools import islice
from typing import Any

KEPT = 100_000
"""Entries kept of each journal; older ones are dropped, counters are not."""


class Journal:
    """Numbered entries, the newest `KEPT` of them, and counters over all."""

    def __init__(self, counted: tuple[str, ...]) -> None:
        self._counted = counted
        self._entries: deque[Mapping[str, Any]] = deque(maxlen=KEPT)
        self._counters: Counter[tuple[Any, ...]] = Counter()
        self._last = 0

    @property
    def last(self) -> int:
        """Number of the newest entry, 0 before the first."""
        return self._last

    def note(self, **entry: Any) -> None:
        """Append an entry and count it."""
        self._last += 1
        self._entries.append({"seq": self._last, **entry})
        self._counters[tuple(entry.get(key) for key in self._counted)] += 1

    def since(self, seq: int) -> list[Mapping[str, Any]]:
        """List the entries with a higher number, oldest first."""
        first = self._last - len(self._entries)
        return list(islice(self._entries, max(0, seq - first), None))

    def counters(self) -> list[dict[str, Any]]:
        """List how often each combination of the counted fields occurred since the last reset."""
        return [
            {**dict(zip(self._counted, key, strict=True)), "count": count}
            for key, count in self._counters.items()
        ]

    def reset(self) -> None:
        """Set the counters to zero and drop the entries; numbers go on."""
        self._entries.clear()
        self._counters.clear()


class Journals:
    """The three journals of an edge."""

    def __init__(self) -> None:
        self.calls = Journal(("method", "route", "status"))
        self.requests = Journal(("host", "pool", "origin", "connector", "status"))
        self.probes = Journal(("pool", "origin", "healthy"))

    def reset(self) -> None:
        """Reset all."""
        for journal in (self.calls, self.requests, self.probes):
            journal.reset()
