"""Which connections of which tunnel are registered and take requests, and what their connectors run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from localedge.tunnel.interface import ConnectionInfo, NoConnectionError


class Member(Protocol):
    """A registered connection."""

    @property
    def info(self) -> ConnectionInfo:
        """Who it is."""

    @property
    def load(self) -> int:
        """How many requests it carries."""

    @property
    def takes_requests(self) -> bool:
        """Whether a request can be sent now."""


MemberT = TypeVar("MemberT", bound=Member)


class Roster(Generic[MemberT]):
    """Registered connections by tunnel; those that have unregistered or broken are not in it."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._members: dict[str, list[MemberT]] = {}
        self._applied: dict[str, int] = {}

    def add(self, member: MemberT) -> None:
        """Take a connection in."""
        self._members.setdefault(member.info.tunnel_id, []).append(member)

    def remove(self, member: MemberT) -> None:
        """Take a connection out; nothing happens if it is out already."""
        members = self._members.get(member.info.tunnel_id, [])
        if member in members:
            members.remove(member)
        if not members:
            self._members.pop(member.info.tunnel_id, None)
        if not any(other.info.client_id == member.info.client_id for other in members):
            self._applied.pop(member.info.client_id, None)

    def of(self, tunnel_id: str) -> Sequence[MemberT]:
        """List the connections of a tunnel in the order in which they registered."""
        return tuple(self._members.get(tunnel_id, ()))

    def by_client(self, tunnel_id: str) -> dict[str, list[MemberT]]:
        """List the connections of a tunnel by connector."""
        clients: dict[str, list[MemberT]] = {}
        for member in self.of(tunnel_id):
            clients.setdefault(member.info.client_id, []).append(member)
        return clients

    def choose(self, tunnel_id: str) -> MemberT:
        """Choose a connection for a request: the less busy of two at random.

        Raises:
            NoConnectionError: there is none.

        """
        candidates = [member for member in self.of(tunnel_id) if member.takes_requests]
        if not candidates:
            raise NoConnectionError(f"no connection of tunnel {tunnel_id}")
        pair = self._chance.sample(candidates, k=min(2, len(candidates)))
        return min(pair, key=lambda member: member.load)

    def acknowledge(self, client_id: str, version: int) -> None:
        """Note the configuration version that a connector runs; negative: none was pushed that it took."""
        if version >= 0:
            self._applied[client_id] = version

    def applied(self, client_id: str) -> int | None:
        """Tell the configuration version that a connector has acknowledged."""
        return self._applied.get(client_id)
