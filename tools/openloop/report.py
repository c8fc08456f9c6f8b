"""What a run came to, for people: counts, each failure with its moment, and what happened around it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from openloop.results import Answer, SocketEvent

BEFORE_S: Final = 6.0
AFTER_S: Final = 1.0
"""What happened so long before a failed request was sent, and after it ended, stands beside it."""
TOLD: Final = 25
"""So many failures are told one by one."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that somebody did or saw."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a number of durations, in seconds."""

    median: float
    p99: float
    worst: float

    def __str__(self) -> str:
        """Say it in milliseconds."""
        return f"{self.median * 1000:.0f} / {self.p99 * 1000:.0f} / {self.worst * 1000:.0f} ms"


def spread(durations: Iterable[float]) -> Spread:
    """Order durations; all 0 if there are none."""
    known = sorted(durations) or [0.0]
    return Spread(known[len(known) // 2], known[min(len(known) - 1, len(known) * 99 // 100)], known[-1])


def failures(answers: Iterable[Answer]) -> list[Answer]:
    """Take those that failed, by the time of sending."""
    return sorted((one for one in answers if one.failed), key=lambda one: one.sent_at)


def report(
    answers: Sequence[Answer],
    sockets: Sequence[SocketEvent],
    happenings: Sequence[Happening],
    notes: Mapping[int, str] | None = None,
) -> str:
    """Say how a run went; times are seconds since its first request was due.

    `notes` are what the other side says of failed requests, by their numbers.
    """
    if not answers:
        return "no request was sent"
    start = min(one.due_at for one in answers)
    failed = failures(answers)
    lines = [
        f"{len(answers)} requests, {len(failed)} failed",
        f"sent later than due (median / 99 % / worst): {spread(one.late_s for one in answers)}",
        f"answered within: {spread(one.took_s for one in answers if not one.failed)}",
        f"answered by: {dict(Counter(one.by for one in answers if not one.failed).most_common())}",
    ]
    lines += [
        f"{one.at - start:8.2f} s  WebSocket {one.number} {one.kind} {one.detail}".rstrip() for one in sockets
    ]
    for one in failed[:TOLD]:
        lines += _told(one, start, happenings, (notes or {}).get(one.number, ""))
    if len(failed) > TOLD:
        lines.append(f"… and {len(failed) - TOLD} more, the last at {failed[-1].sent_at - start:.2f} s")
    return "\n".join(lines)


def timeline(happenings: Iterable[Happening], start: float) -> list[str]:
    """Write what happened, a line each."""
    ordered = sorted(happenings, key=lambda one: one.at)
    return [f"{one.at - start:8.2f} s  {one.text}" for one in ordered]


def _told(failed: Answer, start: float, happenings: Sequence[Happening], note: str) -> list[str]:
    around = [one for one in happenings if failed.sent_at - BEFORE_S <= one.at <= failed.ended_at + AFTER_S]
    why = failed.error or f"status {failed.status}"
    head = f"FAILED {failed.sent_at - start:.2f} s: {failed.path}: {why}, after {failed.took_s:.2f} s"
    return [f"{head}; {note}" if note else head, *(f"    {line}" for line in timeline(around, start))]
