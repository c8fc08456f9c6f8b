"""The token of a remotely managed tunnel: base64 of JSON with account, tunnel and secret."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credentials:
    """What a connector proves with that it belongs to a tunnel."""

    account_tag: str
    tunnel_id: uuid.UUID
    secret: bytes = field(repr=False)


def parse_token(token: str) -> Credentials:
    """Read a tunnel token.

    Raises:
        ValueError: not a token; the message does not repeat it.

    """
    try:
        fields = json.loads(base64.b64decode(token, validate=True))
        return Credentials(
            account_tag=str(fields["a"]),
            tunnel_id=uuid.UUID(fields["t"]),
            secret=base64.b64decode(fields["s"], validate=True),
        )
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("Provided Tunnel token is not valid.") from error
