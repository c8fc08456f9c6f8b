"""What became of requests over time. Pure: answers in, moments and shares out.

Times are seconds on one monotonic clock; a sample's time is that at which its request was sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OK = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """One request and its answer. `status` is 0 if there was none; `source` is who answered with 200."""

    number: int
    sent_at: float
    status: int
    source: str
    latency_s: float

    @property
    def failed(self) -> bool:
        """Tell whether the visitor got anything but the page."""
        return self.status != OK


def between(samples: Iterable[Sample], start: float, end: float) -> list[Sample]:
    """Take the samples sent from `start` on and before `end`."""
    return [one for one in samples if start <= one.sent_at < end]


def last_failure_after(samples: Iterable[Sample], moment: float) -> float | None:
    """Find when the last request failed that was sent after a moment; None if none did."""
    return max((one.sent_at for one in samples if one.failed and one.sent_at >= moment), default=None)


def first_answer_after(samples: Iterable[Sample], moment: float, source: str) -> float | None:
    """Find when the first request was sent, after a moment, that `source` answered; None if it never did."""
    return min(
        (one.sent_at for one in samples if one.source == source and one.sent_at >= moment), default=None
    )


def settled_since(samples: Sequence[Sample], source: str) -> float | None:
    """Find since when `source` alone has answered; None if the last answer was not its."""
    since = None
    for one in sorted(samples, key=lambda sample: sample.sent_at, reverse=True):
        if one.source != source:
            break
        since = one.sent_at
    return since


def share(samples: Iterable[Sample]) -> dict[str, int]:
    """Count who answered; failures count under their status."""
    return dict(Counter(one.source or f"status {one.status or 'none'}" for one in samples).most_common())
