"""The three ways in which a written object is refused."""

from __future__ import annotations


class InvalidError(Exception):
    """Cloudflare would refuse it; the message is the detail of its own."""


class NotEmulatedError(Exception):
    """Cloudflare may accept it, the local edge does not emulate it: refused rather than ignored."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not emulated by the local edge")


class NotUniqueError(Exception):
    """Cloudflare would refuse it as a duplicate, without saying of what."""
