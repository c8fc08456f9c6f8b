"""Whether an observed object may be touched."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from tunnelpool.domain.ownership import (
    Owner,
    looks_marked,
    read_mark,
    read_marks,
    read_tunnel_name,
    without_mark,
)
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.domain.remote import DnsRecord, Observed, RemoteValue, Tunnel

V = TypeVar("V", bound=RemoteValue)


def owner_of(value: RemoteValue) -> Owner | None:
    """Read whose an object is; None for one that no tunnelpool has made."""
    if isinstance(value, Tunnel):
        name = read_tunnel_name(value.name)
        return name.owner if name else None
    mark = read_mark(text_of(value))
    return mark.owner if mark else None


def is_ours(value: RemoteValue, owner: Owner) -> bool:
    """Tell whether this installation has made the object."""
    return owner.covers(owner_of(value))


def text_of(value: RemoteValue) -> str:
    """Read the text that holds marks; empty for a tunnel, whose name is its mark."""
    if isinstance(value, Tunnel):
        return ""
    return value.comment if isinstance(value, DnsRecord) else value.description


def is_unowned(value: RemoteValue) -> bool:
    """Tell whether an object may be adopted: no mark of any installation and version is on it."""
    if isinstance(value, Tunnel):
        return False
    return not looks_marked(text_of(value))


def disowned(value: V, id_: str, owner: Owner) -> V:
    """Take our mark off an object that stays when we go: nobody of us will know it any more.

    A tunnel's mark is its name, so it gets another one, unique by its id.
    """
    if isinstance(value, Tunnel):
        parts = read_tunnel_name(value.name)
        kept = f"{parts.namespace}_{parts.name}_{parts.slot}" if parts else value.name
        return replace(value, name=f"retained_{kept}_{id_[:8]}")
    if isinstance(value, DnsRecord):
        return replace(value, comment=without_mark(value.comment, owner))
    return replace(value, description=without_mark(value.description, owner))


def foreign(
    observed: Observed[RemoteValue], owner: Owner, what: str, *, reason: Reason, shares: bool | None = None
) -> Problem | None:
    """Say why an object of a wanted name must not be touched; None if it is ours.

    `shares` tells whether its resource is `Shared`; None for what cannot be.
    """
    found = owner_of(observed.value)
    if owner.covers(found):
        return None
    if found is not None and owner.is_namesake(found):
        return cluster_name_taken(what, found, owner)
    whose = f"was made by tunnelpool in cluster '{found.cluster}'" if found else "was not made by tunnelpool"
    way = ", or set `adoption` to 'IfUnowned'" if is_unowned(observed.value) else ""
    if shares is not None and looks_marked(text_of(observed.value)):
        there = " there" if shares else " here" if _is_offered(observed.value) else " here and there"
        way = f", or set `sharing` to 'Shared'{there}"
    return Problem(
        reason,
        f"{what} exists at Cloudflare and {whose}: delete it or choose another name{way}",
        stalled=True,
    )


def cluster_name_taken(what: str, other: Owner, owner: Owner) -> Problem:
    """Say that a cluster of our name, which is not ours, has made something that we want."""
    return Problem(
        Reason.CLUSTER_NAME_TAKEN,
        f"{what} belongs to another cluster that is called '{owner.cluster}' too (uid {other.uid}): give one "
        "of the two installations another clusterName; or, if that one is gone and this takes its place, set "
        f"takeOverFrom (TUNNELPOOL_TAKE_OVER_FROM) to '{other.uid}'",
        stalled=True,
    )


def _is_offered(value: RemoteValue) -> bool:
    """Tell whether others may put something into the object: its owner shares it, or it has none any more."""
    marks = read_marks(text_of(value))
    return bool(marks) and (marks[0].shared or marks[0].guest)
