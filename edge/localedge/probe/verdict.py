"""How results of probes become a verdict: `consecutive_up`, `consecutive_down`, unknown is down."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One round of a monitor on one origin."""

    failure: str | None
    """Cloudflare's failure reason, None for success."""
    rtt_s: float
    response_code: int = 0
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class OriginHealth:
    """What is known of one origin in one pool."""

    healthy: bool | None = None
    streak: int = 0
    """Rounds in a row that speak against the verdict."""
    last: ProbeResult | None = None
    rounds: int = 0


def judge(before: OriginHealth, result: ProbeResult, *, up: int, down: int) -> OriginHealth:
    """Take a result in. `up`/`down` are the monitor's consecutive counts; 0 acts like 1.

    Without verdict a failure decides at once: it changes nothing, unknown already counts as down.
    """
    good = result.failure is None
    known = replace(before, last=result, rounds=before.rounds + 1)
    if before.healthy is None and not good:
        return replace(known, healthy=False, streak=0)
    if before.healthy is good:
        return replace(known, streak=0)
    streak = before.streak + 1
    if streak >= max(1, up if good else down):
        return replace(known, healthy=good, streak=0)
    return replace(known, streak=streak)
