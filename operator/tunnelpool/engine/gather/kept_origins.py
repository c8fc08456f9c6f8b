"""Origins that are put together once for all who look at them.

A Tunnel is looked at by itself, by its pool, its host names and every other Tunnel of that pool: one decision
asks for the same origins a dozen times. They are kept until something that they are made of changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tunnelpool.build.manifests import TUNNEL_LABEL
from tunnelpool.build.snapshot import Running, Site, Slot
from tunnelpool.crd.v1alpha1 import Tunnel
from tunnelpool.domain.remote import ObservedTunnel
from tunnelpool.engine.connectors import Connectors
from tunnelpool.engine.gather.origins import Origins
from tunnelpool.engine.store import Raw, Store

_OF_NO_CONCERN: Final = frozenset({"LBPool", "LoadBalancer", "HealthCheck", "PodDisruptionBudget"})
"""Kinds that no origin is made of."""


@dataclass(frozen=True, slots=True)
class _Kept:
    tunnel: Tunnel | None
    remotes: Mapping[int, Sequence[ObservedTunnel]]
    at: float
    slots: tuple[Slot, ...]


class KeptOrigins(Origins):
    """Answers from memory while Tunnel, children, pods and tunnels at Cloudflare are the same."""

    def __init__(self, store: Store, connectors: Connectors, site: Site) -> None:
        super().__init__(store, connectors, site)
        self._kept: dict[tuple[str, str], _Kept] = {}
        store.add_listener(self._changed)

    def slots(
        self, namespace: str, name: str, tunnel: Tunnel | None, remotes: Sequence[ObservedTunnel]
    ) -> tuple[Slot, ...]:
        """Put together what Cloudflare and the cluster hold of each origin of a Tunnel."""
        place = (namespace, name)
        found = self._by_tunnel(remotes).get(place, {})
        now = self._connectors.now()
        kept = self._kept.get(place)
        if kept is None or kept.tunnel is not tunnel or kept.remotes != found:
            slots = super().slots(namespace, name, tunnel, remotes)
            self._kept[place] = _Kept(tunnel, found, now, slots)
            return slots
        if now == kept.at:
            return kept.slots
        return tuple(
            replace(slot, running_for_s=self._connectors.look(namespace, name, slot.index).for_s)
            if slot.running is Running.ENDED  # seconds decide here, and sums of them are not exact
            else replace(slot, running_for_s=slot.running_for_s + now - kept.at)
            for slot in kept.slots
        )

    def _changed(self, kind: str, before: Raw | None, after: Raw | None) -> None:
        if kind in _OF_NO_CONCERN:
            return
        for raw in (before, after):
            if raw is None:
                continue
            meta = raw["metadata"]
            labels: Mapping[str, str] = meta.get("labels") or {}
            name = meta["name"] if kind == "Tunnel" else labels.get(TUNNEL_LABEL)
            if name is None:
                self._kept.clear()  # a workload that some Tunnel follows
            else:
                self._kept.pop((meta.get("namespace", ""), name), None)
