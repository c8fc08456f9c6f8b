"""The origins of a Tunnel, as Cloudflare and the cluster show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from tunnelpool.build.companion import Companion, companion
from tunnelpool.build.manifests import (
    CONFIG_ANNOTATION,
    SLOT_LABEL,
    TUNNEL_ID_ANNOTATION,
    fingerprint,
    ingress,
    shared,
    wanted_slots,
)
from tunnelpool.build.snapshot import Fleet, Member, Raw, Site, Slot
from tunnelpool.crd.v1alpha1 import Tunnel
from tunnelpool.domain.json import thaw
from tunnelpool.domain.ownership import read_marks, read_tunnel_name
from tunnelpool.domain.remote import ObservedPool, ObservedTunnel, TunnelStatus
from tunnelpool.engine.connectors import Connectors, Seen
from tunnelpool.engine.store import Store

_ByTunnel: TypeAlias = dict[tuple[str, str], dict[int, list[ObservedTunnel]]]
_Down: TypeAlias = list[tuple[tuple[str, str], int, ObservedTunnel]]


class Origins:
    """Puts together remote tunnels, children in the cluster and what the pods show."""

    def __init__(self, store: Store, connectors: Connectors, site: Site) -> None:
        self._store = store
        self._connectors = connectors
        self._site = site
        self._index: tuple[Sequence[ObservedTunnel], _ByTunnel] = ((), {})
        self._down: tuple[Sequence[ObservedTunnel], int, _Down] = ((), 0, [])

    def slots(
        self, namespace: str, name: str, tunnel: Tunnel | None, remotes: Sequence[ObservedTunnel]
    ) -> tuple[Slot, ...]:
        """Put together what Cloudflare and the cluster hold of each origin of a Tunnel."""
        found = self._by_tunnel(remotes).get((namespace, name), {})
        place = f"{namespace}/{name}"
        children: dict[str, dict[int, Raw]] = {}
        for kind in ("Deployment", "Secret", "Pod"):
            raws = self._store.by(f"{kind}-by-tunnel", place)
            children[kind] = {index: raw for raw in raws if (index := _slot_of(raw)) is not None}
        wanted = (
            0 if tunnel is None or tunnel.deleting else wanted_slots(tunnel, self.followed(tunnel, remotes))
        )
        indices = sorted({*range(wanted), *found, *(index for kind in children.values() for index in kind)})
        config = fingerprint(thaw(ingress(tunnel))) if tunnel is not None else ""
        slots = []
        for index in indices:
            known = _tunnel_id(children["Secret"].get(index))
            same = sorted(found.get(index, ()), key=lambda one, known=known: (one.id != known, one.id))
            seen = self._connectors.look(namespace, name, index)
            slots.append(
                Slot(
                    index=index,
                    leaving=index >= wanted,
                    remote=same[0] if same else None,
                    duplicates=tuple(same[1:]),
                    configured=_configuration(children["Secret"].get(index)) == config,
                    deployment=children["Deployment"].get(index),
                    secret=children["Secret"].get(index),
                    pods=seen.pods,
                    ready_pods=seen.ready,
                    running=seen.running,
                    running_for_s=seen.for_s,
                    ready_since_s=seen.ready_since_s,
                )
            )
        return tuple(slots)

    def fleet(self, remotes: Sequence[ObservedTunnel], pools: Sequence[ObservedPool]) -> Fleet:
        """Count our tunnels, and look closer at those that Cloudflare calls down."""
        if self._down[0] is not remotes:
            self._down = (remotes, *_called_down(self._by_tunnel(remotes)))
        _, count, down = self._down
        if not down:
            return Fleet(count)
        slots = [
            _as_seen(index, remote, self._connectors.look(*place, index)) for place, index, remote in down
        ]
        marks = (mark for pool in pools for mark in read_marks(pool.value.description))
        return Fleet(count, tuple(slots), frozenset(name for mark in marks for name in mark.out))

    def followed(self, tunnel: Tunnel, remotes: Sequence[ObservedTunnel]) -> Companion | None:
        """Look at the workload that a Tunnel follows; None if it follows none."""
        ref, meta = tunnel.spec.workload_ref, tunnel.metadata
        if ref is None:
            return None
        workload = self._store.get(ref.kind, meta.namespace, ref.name)
        deployments = {
            index: raw
            for raw in self._store.by("Deployment-by-tunnel", f"{meta.namespace}/{meta.name}")
            if (index := _slot_of(raw)) is not None
        }
        there = {*self._by_tunnel(remotes).get((meta.namespace, meta.name), {}), *deployments}
        if shared(tunnel):
            present = int(deployments[0]["spec"].get("replicas", 1)) if 0 in deployments else len(there)
        else:
            present = max(there, default=-1) + 1
        return companion(ref, workload, present)

    def _by_tunnel(self, remotes: Sequence[ObservedTunnel]) -> _ByTunnel:
        """Sort a listing by Tunnel once: each Tunnel asks, and a listing stays the same until it changes."""
        if self._index[0] is not remotes:
            found: _ByTunnel = {}
            for remote in remotes:
                parts = read_tunnel_name(remote.value.name)
                if parts and self._site.owner.covers(parts.owner):
                    slots = found.setdefault((parts.namespace, parts.name), {})
                    slots.setdefault(parts.slot, []).append(remote)
            self._index = (remotes, found)
        return self._index[1]

    def member(
        self, tunnel: Tunnel, remotes: Sequence[ObservedTunnel], at: str = "", *, all_leave: bool = False
    ) -> Member:
        """See a Tunnel as its pool does; `all_leave` if the pool is not its own any more.

        `at` is the one of its hostnames that is meant, its own by default.
        """
        slots = self.slots(tunnel.metadata.namespace, tunnel.metadata.name, tunnel, remotes)
        if all_leave:
            slots = tuple(replace(slot, leaving=True) for slot in slots)
        return Member(tunnel, slots, at)


def _called_down(tunnels: _ByTunnel) -> tuple[int, _Down]:
    """Count the tunnels that have ever been connected, and list those that Cloudflare calls down."""
    count = 0
    down: _Down = []
    for place, slots in tunnels.items():
        for index, same in slots.items():
            first = min(same, key=lambda one: one.id)
            count += first.status is not TunnelStatus.INACTIVE
            if first.status is TunnelStatus.DOWN:
                down.append((place, index, first))
    return count, down


def _as_seen(index: int, remote: ObservedTunnel, seen: Seen) -> Slot:
    return Slot(
        index,
        leaving=False,
        remote=remote,
        pods=seen.pods,
        ready_pods=seen.ready,
        running=seen.running,
        running_for_s=seen.for_s,
        ready_since_s=seen.ready_since_s,
    )


def _slot_of(raw: Raw) -> int | None:
    text = (raw["metadata"].get("labels") or {}).get(SLOT_LABEL, "")
    return int(text) if text.isdigit() else None


def _tunnel_id(secret: Raw | None) -> str:
    """Read which tunnel the connectors run with: of several of one name that one is it."""
    return str((secret["metadata"].get("annotations") or {}).get(TUNNEL_ID_ANNOTATION, "")) if secret else ""


def _configuration(secret: Raw | None) -> str:
    """Read the hash of the configuration that was put: there is no listing of them."""
    return str((secret["metadata"].get("annotations") or {}).get(CONFIG_ANNOTATION, "")) if secret else ""
