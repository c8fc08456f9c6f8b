"""Whether an observed object may be touched."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from tunnelpool.domain.ownership import Owner, looks_marked, read_mark, read_tunnel_name, unmarked
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.domain.remote import DnsRecord, Observed, RemoteValue, Tunnel

V = TypeVar("V", bound=RemoteValue)


def owner_of(value: RemoteValue) -> Owner | None:
    """Read whose an object is; None for one that no tunnelpool has made."""
    if isinstance(value, Tunnel):
        name = read_tunnel_name(value.name)
        return name.owner if name else None
    mark = read_mark(value.comment if isinstance(value, DnsRecord) else value.description)
    return mark.owner if mark else None


def is_ours(value: RemoteValue, owner: Owner) -> bool:
    """Tell whether this installation has made the object."""
    return owner.covers(owner_of(value))


def is_unowned(value: RemoteValue) -> bool:
    """Tell whether an object may be adopted: no mark of any installation and version is on it."""
    if isinstance(value, Tunnel):
        return False
    return not looks_marked(value.comment if isinstance(value, DnsRecord) else value.description)


def disowned(value: V, id_: str) -> V:
    """Take our mark off an object that stays when we go: nobody of us will know it any more.

    A tunnel's mark is its name, so it gets another one, unique by its id.
    """
    if isinstance(value, Tunnel):
        parts = read_tunnel_name(value.name)
        kept = f"{parts.namespace}_{parts.name}_{parts.slot}" if parts else value.name
        return replace(value, name=f"retained_{kept}_{id_[:8]}")
    if isinstance(value, DnsRecord):
        return replace(value, comment=unmarked(value.comment))
    return replace(value, description=unmarked(value.description))


def foreign(observed: Observed[RemoteValue], owner: Owner, what: str, *, reason: Reason) -> Problem | None:
    """Say why an object of a wanted name must not be touched; None if it is ours."""
    found = owner_of(observed.value)
    if found == owner:
        return None
    if found is not None and found.cluster == owner.cluster:
        return Problem(
            Reason.CLUSTER_NAME_TAKEN,
            f"{what} belongs to another cluster that is called '{owner.cluster}' too (uid {found.uid}): "
            "give one of the two installations another clusterName",
            stalled=True,
        )
    whose = f"was made by tunnelpool in cluster '{found.cluster}'" if found else "was not made by tunnelpool"
    way = ", or set `adoption` to 'IfUnowned'" if is_unowned(observed.value) else ""
    return Problem(
        reason,
        f"{what} exists at Cloudflare and {whose}: delete it or choose another name{way}",
        stalled=True,
    )
