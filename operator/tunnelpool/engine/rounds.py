"""Looks at the configuration of one tunnel after the other, each within six hours.

There is no listing of configurations (law 3). One reading at a time, evenly spread, at the lowest priority:
where the token's budget is short the round is later.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from tunnelpool.build.ownership import is_ours
from tunnelpool.domain.errors import ApiError, RateLimitedError
from tunnelpool.domain.keys import TunnelKey
from tunnelpool.domain.ownership import Owner, read_tunnel_name
from tunnelpool.engine.credentials import Opened

_log: Final = logging.getLogger(__name__)
ROUND_S: Final = 6 * 3600.0 * 0.98
"""A little less than the age at which a change must have been seen: readings may be put off."""
FIRST_S: Final = 60.0
"""After the start: a restart is listings only."""
_LONGEST_S: Final = 600.0
"""Between two readings of an account with few tunnels."""


class Rounds:
    """Takes the tunnel next that was looked at longest ago; after a start in an order of chance."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._looked_at: dict[str, dict[str, float]] = {}
        self._due_at: dict[str, float] = {}

    async def look(self, opened: Opened) -> TunnelKey | None:
        """Read the configuration that is due in an account, if one is; name the Tunnel whose it is."""
        now = asyncio.get_running_loop().time()
        due_at = self._due_at.setdefault(opened.account_id, now + FIRST_S)
        if now < due_at:
            return None
        tunnels = [one for one in await opened.cloud.tunnels() if is_ours(one.value, self._owner)]
        before = self._looked_at.get(opened.account_id, {})
        seen = self._looked_at[opened.account_id] = {
            one.id: before[one.id] for one in tunnels if one.id in before
        }
        pause_s = min(ROUND_S / max(len(tunnels), 1), _LONGEST_S)
        # A pause after this one was due, whenever it is read; what was put off is not made up for.
        self._due_at[opened.account_id] = max(due_at + pause_s, now + pause_s / 2)
        if not tunnels:
            return None
        chosen = min(tunnels, key=lambda one: seen.get(one.id, -random.random()))  # noqa: S311 - spreads
        try:
            await opened.cloud.look_at_configuration(chosen.id)
        except ApiError as error:
            level = logging.DEBUG if isinstance(error, RateLimitedError) else logging.INFO
            _log.log(level, "configuration of %s not read: %s", chosen.value.name, error.message)
            return None
        seen[chosen.id] = now
        parts = read_tunnel_name(chosen.value.name)
        return TunnelKey(parts.namespace, parts.name) if parts else None
