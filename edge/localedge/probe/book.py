"""The health of every monitored origin, as the newest probes have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from localedge.balance.health import Verdict
from localedge.balance.model import Origin, Pool
from localedge.probe.verdict import OriginHealth

_UNKNOWN = OriginHealth()


class HealthBook:
    """Verdicts by pool and origin address: within a pool addresses are unique."""

    def __init__(self) -> None:
        self._health: dict[tuple[str, str], OriginHealth] = {}
        self._pretended: dict[tuple[str, str], Callable[[], bool]] = {}

    def health(self, pool_id: str, address: str) -> OriginHealth:
        """Tell what is known; without a verdict if nothing is."""
        key = (pool_id, address)
        known = self._health.get(key, _UNKNOWN)
        tell = self._pretended.get(key)
        return known if tell is None else replace(known, healthy=tell())

    def verdict(self, pool: Pool, origin: Origin) -> Verdict:
        """Tell the verdict alone, in the form that the choice of an origin asks for."""
        return self.health(pool.id, origin.address).healthy

    def note(self, pool_id: str, address: str, health: OriginHealth) -> None:
        """Replace what is known of an origin."""
        self._health[pool_id, address] = health

    def forget(self, pool_id: str, address: str) -> None:
        """Forget an origin: disabled, removed or no longer monitored."""
        self._health.pop((pool_id, address), None)

    def pretend(self, pool_id: str, address: str, tell: Callable[[], bool]) -> None:
        """Let a verdict be what is told, whatever the probes find."""
        self._pretended[pool_id, address] = tell

    def be_honest(self) -> None:
        """Let the probes decide everywhere again."""
        self._pretended.clear()
