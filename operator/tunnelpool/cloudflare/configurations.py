"""What tunnels' configurations have shown to be: looked at one by one, since there is no listing of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunnelpool.cloudflare import routes
from tunnelpool.cloudflare.transport import Session
from tunnelpool.domain.configuration import canonical_configuration
from tunnelpool.domain.errors import NotFoundError, UnavailableError
from tunnelpool.domain.json import FrozenJson


class Configurations:
    """The last configuration that each tunnel was seen with, or was given; by tunnel id, for one account."""

    def __init__(self) -> None:
        self._known: dict[str, FrozenJson] = {}
        self._refused: dict[str, FrozenJson] = {}
        """What was set right and came back: a server that keeps it so is not asked for ever."""

    def known(self, tunnel_id: str) -> FrozenJson:
        """Answer with the canonical configuration; None if it was not looked at."""
        return self._known.get(tunnel_id)

    async def look(self, session: Session, account_id: str, tunnel_id: str, *, reserve: float) -> None:
        """Read one configuration."""
        target = routes.TUNNEL_CONFIGURATION.at(account=account_id, id=tunnel_id)
        try:
            answer = await session.call("GET", target, reserve=reserve)
        except NotFoundError:
            self._known.pop(tunnel_id, None)
            return
        result = answer.result
        if not isinstance(result, dict) or not isinstance(result.get("config"), dict | None):
            raise UnavailableError("the answer to a question for a tunnel's configuration holds none")
        self.note(tunnel_id, canonical_configuration(result.get("config")))

    def written(self, tunnel_id: str, config: Mapping[str, Any]) -> None:
        """Note an own write."""
        shown, put = self._known.get(tunnel_id), canonical_configuration(config)
        if shown is not None and shown != put:
            self._refused[tunnel_id] = shown
        self._known[tunnel_id] = put

    def note(self, tunnel_id: str, shown: FrozenJson) -> None:
        """Note what a reading has shown, in canonical form."""
        if shown == self._known.get(tunnel_id):
            self._refused.pop(tunnel_id, None)
        elif shown == self._refused.get(tunnel_id):
            return
        self._known[tunnel_id] = shown
