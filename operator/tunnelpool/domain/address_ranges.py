"""The addresses that Cloudflare's requests come from, which a firewall before an address origin lets in."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class AddressRanges:
    """Ranges in CIDR notation, in order of their addresses: another order of the same is no change."""

    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]

    @classmethod
    def of(cls, ipv4: Iterable[str], ipv6: Iterable[str]) -> Self:
        """Read ranges in any order.

        Raises:
            ValueError: one is no range of its family, or there is none at all: a firewall that let nothing in
                would be worse than one that is out of date.

        """
        found = cls(
            tuple(str(one) for one in sorted({ipaddress.IPv4Network(text) for text in ipv4})),
            tuple(str(one) for one in sorted({ipaddress.IPv6Network(text) for text in ipv6})),
        )
        if not found.all:
            raise ValueError("no address range at all")
        return found

    @property
    def all(self) -> tuple[str, ...]:
        """The ranges of both families, IPv4 first."""
        return (*self.ipv4, *self.ipv6)
