"""What a choice may depend on of a visitor."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN_COUNTRY = "XX"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a visitor is, as the data centre that serves it sees it."""

    pop: str = ""
    """The data centre itself: three capital letters of IATA."""
    country: str = UNKNOWN_COUNTRY
    """ISO 3166-1, two letters; `XX` is unknown."""
    region: str = ""
    """One of Cloudflare's thirteen regions."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """An address and a place."""

    ip: str
    location: Location = Location()
