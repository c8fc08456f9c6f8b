"""What the data plane sees of all accounts: one topology for each, late by the configuration lag."""

from __future__ import annotations

from localedge.balance.model import LoadBalancer, Record
from localedge.balance.topology import Topology
from localedge.state.store import VisibleState


class Sight:
    """Names to what answers them, over all accounts."""

    def __init__(self) -> None:
        self._seen: list[tuple[VisibleState, Topology]] = []

    def add(self, visible: VisibleState) -> None:
        """See a further account."""
        self._seen.append((visible, Topology(visible.current())))

    def topologies(self) -> list[Topology]:
        """Return the configuration of each account as it is seen now."""
        for index, (visible, topology) in enumerate(self._seen):
            state = visible.current()
            if state.version != topology.state.version:
                self._seen[index] = (visible, topology.successor(state))
        return [topology for _, topology in self._seen]

    def authority(self, name: str) -> tuple[Topology | None, LoadBalancer | Record | None]:
        """Tell whose zone a name is in, and what answers it but for plain records."""
        found = self.lookup(name)
        plain = next((t for t in self.topologies() if t.plain_records(name)), None)
        if found is None or (plain is not None and found[1].name != name):
            # A record of the very name beats a wildcard.
            return plain, None
        return found

    def lookup(self, host: str) -> tuple[Topology, LoadBalancer | Record] | None:
        """Tell what answers a name, and in which account; zones belong to one account each."""
        for topology in self.topologies():
            found = topology.lookup(host)
            if found is not None:
                return topology, found
        return None
