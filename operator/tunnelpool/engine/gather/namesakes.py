"""Objects of another cluster that has our name: whether they stand where ours would be.

Either two clusters have been given one name, or this one takes the place of a lost one and `takeOverFrom` is
not set (any more). In both cases nothing is made beside them: it would take traffic from them, or clash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tunnelpool.build.ownership import cluster_name_taken
from tunnelpool.build.snapshot import Slot
from tunnelpool.domain.keys import MonitorKey, TunnelKey
from tunnelpool.domain.ownership import Owner, read_mark, read_tunnel_name
from tunnelpool.domain.reasons import Problem
from tunnelpool.domain.remote import Monitor, Observed, ObservedTunnel


def tunnel_of_namesake(
    key: TunnelKey, slots: Sequence[Slot], remotes: Iterable[ObservedTunnel], owner: Owner
) -> Problem | None:
    """Find a tunnel that a namesake has made for a Tunnel which lacks one of its own."""
    if all(slot.remote is not None for slot in slots):
        return None
    for remote in remotes:
        parts = read_tunnel_name(remote.value.name)
        if parts is None or (parts.namespace, parts.name) != (key.namespace, key.name):
            continue
        if owner.is_namesake(parts.owner):
            return cluster_name_taken(f"tunnel '{remote.value.name}'", parts.owner, owner)
    return None


def monitor_of_namesake(
    key: MonitorKey, monitors: Iterable[Observed[Monitor]], owner: Owner
) -> Problem | None:
    """Find a monitor that a namesake has made for a HealthCheck of the same name."""
    for one in monitors:
        mark = read_mark(one.value.description)
        if mark is not None and mark.of == str(key) and owner.is_namesake(mark.owner):
            return cluster_name_taken(f"the monitor of '{key.namespace}/{key.name}'", mark.owner, owner)
    return None
