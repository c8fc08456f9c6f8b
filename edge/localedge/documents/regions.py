"""Cloudflare's thirteen load balancing regions, each with the one place that stands for it here."""

from __future__ import annotations

from typing import Final

PLACES: Final = {
    "WNAM": "San Jose, CA",
    "ENAM": "Ashburn, VA",
    "WEU": "Amsterdam, NL",
    "EEU": "Warsaw, PL",
    "NSAM": "Bogota, CO",
    "SSAM": "Buenos Aires, AR",
    "OC": "Sydney, AU",
    "ME": "Dubai, AE",
    "NAF": "Cairo, EG",
    "SAF": "Johannesburg, ZA",
    "SAS": "Mumbai, IN",
    "SEAS": "Singapore, SG",
    "NEAS": "Tokyo, JP",
}
REGIONS: Final = tuple(PLACES)
