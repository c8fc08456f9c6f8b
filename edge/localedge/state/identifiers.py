"""New identifiers, from one source of chance, so that a seeded edge repeats itself."""

from __future__ import annotations

import random
import uuid


class Identifiers:
    """Makes the ids of the account."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def hex32(self) -> str:
        """Id of a pool, monitor, load balancer, record, zone, account or token."""
        return f"{self._source.getrandbits(128):032x}"

    def uuid(self) -> str:
        """Id of a tunnel or a connection."""
        return str(uuid.UUID(int=self._source.getrandbits(128), version=4))

    def token(self) -> str:
        """Value of an API token: 40 characters."""
        return f"{self._source.getrandbits(160):040x}"

    def secret(self) -> bytes:
        """Secret of a tunnel: 32 bytes."""
        return self._source.randbytes(32)
