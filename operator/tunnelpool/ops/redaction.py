"""The last line of defence against secrets in logs: known values and known shapes are masked."""

from __future__ import annotations

import base64
import json
import re
from typing import Final

MASK: Final = "***"
_SHORTEST: Final = 8
"""Masking shorter values would make logs unreadable; no token is that short."""

_SHAPES: Final = (
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{20,}[A-Za-z0-9_.=/+-]*"),  # JSON in base64: tunnel tokens, JWTs
)


class Redactor:
    """Masks the secrets that it was told of, as they are, in base64 and in JSON strings."""

    def __init__(self) -> None:
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def register(self, secret: str) -> None:
        """Mask this value from now on."""
        if len(secret) < _SHORTEST:
            return
        encoded = base64.b64encode(secret.encode()).decode()
        in_json = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
        forms = self._forms | {secret, encoded} | in_json
        if forms != self._forms:
            self._forms = forms
            # The longest first: a secret may begin with another one.
            self._pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len)[::-1]))

    def mask(self, text: str) -> str:
        """Replace every secret in a text."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        for shape in _SHAPES:
            text = shape.sub(rf"\g<1>{MASK}", text)
        return text
