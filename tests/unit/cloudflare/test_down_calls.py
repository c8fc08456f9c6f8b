"""Since when listings in a row have called a tunnel down."""

from __future__ import annotations

from dataclasses import dataclass

from tunnelpool.cloudflare.down_calls import DownCalls
from tunnelpool.domain.remote import CalledDown, ObservedTunnel, Tunnel, TunnelStatus

DOWN, WELL = TunnelStatus.DOWN, TunnelStatus.HEALTHY


@dataclass
class Clock:
    """Time that a test sets."""

    at: float = 100.0

    def monotonic(self) -> float:
        """Tell the time."""
        return self.at

    def now(self) -> float:
        """Tell the time."""
        return self.at


def told(calls: DownCalls, **statuses: TunnelStatus) -> dict[str, CalledDown | None]:
    """Hand in a listing and answer with what each tunnel then knows."""
    listed = [ObservedTunnel(id_, Tunnel(id_), status=status) for id_, status in statuses.items()]
    return {one.id: one.called_down for one in calls.noted(calls.asked_at(), listed)}


def test_the_first_and_the_latest_of_listings_in_a_row_are_kept() -> None:
    clock = Clock()
    calls = DownCalls(clock)
    assert told(calls, a=DOWN, b=WELL) == {"a": CalledDown(100, 100), "b": None}
    clock.at = 107
    assert told(calls, a=DOWN, b=DOWN) == {"a": CalledDown(100, 107), "b": CalledDown(107, 107)}


def test_a_listing_between_that_says_otherwise_or_lacks_the_tunnel_begins_a_new_row() -> None:
    clock = Clock()
    calls = DownCalls(clock)
    told(calls, a=DOWN, b=DOWN)
    told(calls, a=WELL)
    clock.at = 130
    assert told(calls, a=DOWN, b=DOWN) == {"a": CalledDown(130, 130), "b": CalledDown(130, 130)}
