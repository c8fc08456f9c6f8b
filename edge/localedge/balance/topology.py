"""Names to what answers them: built from a state, once for each version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from localedge.balance.model import LoadBalancer, Pool, Record, balancer_from, overridden, pool_from
from localedge.state.records import Document, State


@dataclass(frozen=True)
class Topology:
    """Names to load balancers and records; built from a state, once for each version."""

    state: State
    before: Mapping[str, tuple[Document, Pool]] = field(default_factory=dict, repr=False)
    """Pools of an earlier version with the documents that they were built from."""

    def successor(self, state: State) -> Topology:
        """Make the topology of a newer state; what has not changed is not built again."""
        return Topology(state, self._documented)

    @cached_property
    def _documented(self) -> dict[str, tuple[Document, Pool]]:
        made = {}
        for key, document in self.state.pools.items():
            known = self.before.get(key)
            # Documents are replaced, never changed: the same one means the same pool.
            made[key] = known if known and known[0] is document else (document, pool_from(document))
        return made

    @cached_property
    def pools(self) -> dict[str, Pool]:
        """All pools by id."""
        return {key: pool for key, (_, pool) in self._documented.items()}

    @cached_property
    def _balancers(self) -> dict[str, str]:
        return {b["name"]: key for key, b in self.state.load_balancers.items() if b["enabled"]}

    @cached_property
    def _records(self) -> dict[str, Record]:
        proxied = [r for r in self.state.dns_records.values() if r["proxied"]]
        return {r["name"]: Record(r["name"], r["type"], r["content"], r["zone_id"]) for r in proxied}

    @cached_property
    def _built(self) -> dict[tuple[str, tuple[int, ...]], LoadBalancer]:
        return {}

    def lookup(self, host: str) -> LoadBalancer | Record | None:
        """Tell what answers a name: a load balancer beats an equally specific DNS record."""
        wildcard = f"*.{host.partition('.')[2]}"
        for name in (host, wildcard):
            if (balancer := self._balancers.get(name)) is not None:
                return self._balancer(balancer)
            if (record := self._records.get(name)) is not None:
                return record
        return None

    def ssl_mode(self, zone_id: str) -> str:
        """Tell how the zone speaks to address origins."""
        return str(self.state.zones[zone_id]["ssl"])

    def changed_by(self, balancer: LoadBalancer, matched: tuple[int, ...]) -> LoadBalancer:
        """Return a load balancer as its rules in these places change it, one after the other."""
        if not matched:
            return balancer
        key = (balancer.id, matched)
        if key not in self._built:
            document: Document = self.state.load_balancers[balancer.id]
            for index in matched:
                document = overridden(document, balancer.rules[index].overrides)
            self._built[key] = balancer_from(document, self.pools)
        return self._built[key]

    def plain_records(self, name: str) -> list[Document]:
        """List the records of a name that are not proxied."""
        records = self.state.dns_records.values()
        return [record for record in records if record["name"] == name and not record["proxied"]]

    def _balancer(self, balancer_id: str) -> LoadBalancer:
        key = (balancer_id, ())
        if key not in self._built:
            self._built[key] = balancer_from(self.state.load_balancers[balancer_id], self.pools)
        return self._built[key]
