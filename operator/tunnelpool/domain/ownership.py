"""Marks: how a remote object says whose it is.

Monitors, pools and load balancers carry the mark at the end of their `description`, DNS records in
their `comment`, tunnels in their name. An object without our mark is never deleted; it is changed only where
`adoption` allows it, and that change writes the mark.

A shared pool or load balancer carries one mark for each cluster that takes part: first that of its owner, who
writes the settings, then those of the guests, in the order of their names.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import Final

_MARK: Final = re.compile(
    r"(?:^|(?<=\s))\[tunnelpool/v1(?P<guest> guest)?"
    r" cluster=(?P<cluster>[A-Za-z0-9.-]+) uid=(?P<uid>[0-9a-f]{8})"
    r"(?: of=(?P<of>[^\s\]]+))?(?P<shared> shared)?(?: has=(?P<has>[^\s\]]+))?(?: out=(?P<out>[^\s\]]+))?"
    r"(?: asks=(?P<asks>[^\s\]]+))?\]\Z"
)
_TUNNEL_NAME: Final = re.compile(
    r"^tunnelpool_(?P<cluster>[A-Za-z0-9.-]+)_(?P<uid>[0-9a-f]{8})_(?P<ns>[a-z0-9-]+)_(?P<name>[a-z0-9.-]+)_(?P<slot>0|[1-9][0-9]*)\Z"
)
_NAMES_KEPT: Final = 8192
"""Names taken apart once: each change of a listing asks for all of them again."""
CLUSTER_NAME: Final = re.compile(r"^[A-Za-z0-9.-]{1,36}$")
"""What a cluster may be called: no underscore, since that separates the parts of a tunnel's name."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One operator installation: the cluster's name and the first eight digits of its UID."""

    cluster: str
    uid: str
    formerly: str = field(default="", compare=False)
    """UID of the cluster whose objects this one takes over (`takeOverFrom`), or empty."""

    def covers(self, other: Owner | None) -> bool:
        """Tell whether what that owner has made counts as ours."""
        if other is None or other.cluster != self.cluster:
            return False
        return other.uid == self.uid or (bool(self.formerly) and other.uid == self.formerly)

    def is_namesake(self, other: Owner | None) -> bool:
        """Tell whether that is another cluster which has our name, and nothing of which is ours."""
        return other is not None and other.cluster == self.cluster and not self.covers(other)


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose an object is, and which aggregate it belongs to (`pool/web`, `monitor/default/web`)."""

    owner: Owner
    of: str = ""
    out: tuple[str, ...] = ()
    """Of a pool: names of the origins that the operator has taken out, as against a user's switch."""
    guest: bool = False
    """The object's settings are another's; entries of this cluster are in it."""
    shared: bool = False
    """Of an owner: other clusters may put entries of theirs into it."""
    has: tuple[str, ...] = ()
    """What of a shared object belongs to this cluster and does not say so by its name: the names of a pool's
    address origins, the first digits of the ids of a load balancer's pools."""
    asks: tuple[str, ...] = ()
    """Of a guest: fields that it would set otherwise than the owner has."""

    def __str__(self) -> str:
        """Write the mark as it stands in a description, which has room for 1024 characters.

        An origin's name repeats cluster and UID, so `~` stands for them.
        """
        own = f"tunnelpool_{self.owner.cluster}_{self.owner.uid}_"
        out = tuple(f"~{name[len(own) :]}" if name.startswith(own) else name for name in self.out)
        words = [
            "[tunnelpool/v1",
            *(["guest"] if self.guest else []),
            f"cluster={self.owner.cluster} uid={self.owner.uid}",
            *([f"of={self.of}"] if self.of else []),
            *(["shared"] if self.shared else []),
            *(f"{name}={','.join(names)}" for name, names in self._lists(out) if names),
        ]
        return " ".join(words) + "]"

    def _lists(self, out: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return ("has", self.has), ("out", out), ("asks", self.asks)


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


def marked(text: str, *marks: Mark) -> str:
    """Put marks behind the user's own text."""
    return " ".join(filter(None, (text, *map(str, marks))))


def unmarked(text: str) -> str:
    """Take all marks off again; what is left is the user's own text."""
    return _take_apart(text)[0]


def without_mark(text: str, owner: Owner) -> str:
    """Take our own mark off, and leave those of others."""
    own, marks = _take_apart(text)
    return marked(own, *(mark for mark in marks if not owner.covers(mark.owner)))


def looks_marked(text: str) -> bool:
    """Tell whether some tunnelpool may have marked it, also one whose marks this version cannot read."""
    return "[tunnelpool/" in text


def read_mark(description: str) -> Mark | None:
    """Find the mark of the owner, of any tunnelpool installation; None for an object that has none."""
    marks = read_marks(description)
    return marks[0] if marks and not marks[0].guest else None


def read_marks(description: str) -> tuple[Mark, ...]:
    """List the marks of all clusters that take part, the owner's first."""
    return _take_apart(description)[1]


def mark_of(description: str, owner: Owner) -> Mark | None:
    """Find our own mark, as owner or as guest."""
    return next((mark for mark in read_marks(description) if owner.covers(mark.owner)), None)


def _take_apart(text: str) -> tuple[str, tuple[Mark, ...]]:
    """Split the user's text from the marks behind it: guests from the end, and then at most one owner."""
    marks: list[Mark] = []
    while (match := _MARK.search(text)) is not None:
        marks.insert(0, _read(match))
        text = text[: match.start()].rstrip()
        if not match["guest"]:
            break
    return text, tuple(marks)


def _read(match: re.Match[str]) -> Mark:
    owner = Owner(match["cluster"], match["uid"])
    own = f"tunnelpool_{owner.cluster}_{owner.uid}_"
    out = tuple(f"{own}{name[1:]}" if name.startswith("~") else name for name in _names(match["out"]))
    return Mark(
        owner,
        match["of"] or "",
        out,
        guest=bool(match["guest"]),
        shared=bool(match["shared"]),
        has=_names(match["has"]),
        asks=_names(match["asks"]),
    )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


@functools.lru_cache(maxsize=_NAMES_KEPT)
def read_tunnel_name(name: str) -> TunnelName | None:
    """Take a tunnel's name apart; None for a name that no tunnelpool has given."""
    match = _TUNNEL_NAME.match(name)
    if match is None:
        return None
    return TunnelName(Owner(match["cluster"], match["uid"]), match["ns"], match["name"], int(match["slot"]))
