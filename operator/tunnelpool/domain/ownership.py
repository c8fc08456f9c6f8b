"""Marks: how a remote object says whose it is.

Monitors, pools and load balancers carry the mark at the end of their `description`, DNS records in
their `comment`, tunnels in their name. An object without our mark is never deleted; it is changed only where
`adoption` allows it, and that change writes the mark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_MARK: Final = re.compile(
    r"(?:^|(?<=\s))\[tunnelpool/v1 cluster=(?P<cluster>[A-Za-z0-9.-]+) uid=(?P<uid>[0-9a-f]{8})"
    r"(?: of=(?P<of>[^\s\]]+))?(?: out=(?P<out>[^\s\]]+))?\]\Z"
)
_TUNNEL_NAME: Final = re.compile(
    r"^tunnelpool_(?P<cluster>[A-Za-z0-9.-]+)_(?P<uid>[0-9a-f]{8})_(?P<ns>[a-z0-9-]+)_(?P<name>[a-z0-9.-]+)_(?P<slot>0|[1-9][0-9]*)\Z"
)
CLUSTER_NAME: Final = re.compile(r"^[A-Za-z0-9.-]{1,36}$")
"""What a cluster may be called: no underscore, since that separates the parts of a tunnel's name."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One operator installation: the cluster's name and the first eight digits of its UID."""

    cluster: str
    uid: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose an object is, and which aggregate it belongs to (`pool/web`, `monitor/default/web`)."""

    owner: Owner
    of: str = ""
    out: tuple[str, ...] = ()
    """Of a pool: names of the origins that the operator has taken out, as against a user's switch."""

    def __str__(self) -> str:
        """Write the mark as it stands in a description."""
        of = f" of={self.of}" if self.of else ""
        out = f" out={','.join(self.out)}" if self.out else ""
        return f"[tunnelpool/v1 cluster={self.owner.cluster} uid={self.owner.uid}{of}{out}]"


@dataclass(frozen=True, slots=True)
class TunnelName:
    """The parts of a tunnel's name, which is its mark and the name of its origin as well."""

    owner: Owner
    namespace: str
    name: str
    slot: int

    def __str__(self) -> str:
        """Write the name; Kubernetes names hold no underscore, so the parts cannot be confused."""
        return "_".join(
            ("tunnelpool", self.owner.cluster, self.owner.uid, self.namespace, self.name, str(self.slot))
        )


def marked(text: str, mark: Mark) -> str:
    """Put the mark behind the user's own text."""
    return f"{text} {mark}" if text else str(mark)


def unmarked(text: str) -> str:
    """Take the mark off again; what is left is the user's own text."""
    return _MARK.sub("", text).rstrip()


def looks_marked(text: str) -> bool:
    """Tell whether some tunnelpool may have marked it, also one whose marks this version cannot read."""
    return "[tunnelpool/" in text


def read_mark(description: str) -> Mark | None:
    """Find the mark of any tunnelpool installation; None for an object that carries none."""
    match = _MARK.search(description)
    if match is None:
        return None
    out = match["out"]
    return Mark(
        Owner(match["cluster"], match["uid"]), match["of"] or "", tuple(out.split(",")) if out else ()
    )


def read_tunnel_name(name: str) -> TunnelName | None:
    """Take a tunnel's name apart; None for a name that no tunnelpool has given."""
    match = _TUNNEL_NAME.match(name)
    if match is None:
        return None
    return TunnelName(Owner(match["cluster"], match["uid"]), match["ns"], match["name"], int(match["slot"]))
