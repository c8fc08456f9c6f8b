"""Mark and sweep: a fresh listing of a kind, and what it lacks goes out of the store.

A watch that begins anew after a listing has not seen the deletions before it (kopf emits none), so such
objects would stay for ever.

A listing is also the truth where versions have gone back: a restored etcd counts from where its backup ended,
and all that the watches bring would be taken for old.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tunnelpool.domain.keeping import kept
from tunnelpool.domain.kinds import Kind
from tunnelpool.watch.ports import Lister, Sink

_log: Final = logging.getLogger(__name__)


async def sweep(kind: Kind, namespaces: Sequence[str], lister: Lister, sink: Sink) -> int:
    """List a kind into the sink and remove what is gone; answer with how many were gone.

    Only what was known before the listing began can be gone: an object that is made meanwhile is in the
    watch but may not be in the listing.

    Raises:
        ApiError: the listing has failed; nothing is removed.

    """
    known = {raw["metadata"]["uid"]: raw["metadata"] for raw in sink.all(kind.name)}
    gone = dict(known)
    went_back = False
    for namespace in namespaces or ("",):
        async for page in lister(kind, namespace):
            for raw in page:
                meta = raw["metadata"]
                gone.pop(meta["uid"], None)
                went_back = went_back or _older(meta, known.get(meta["uid"]))
                sink.put(kind.name, kept(kind.name, raw))
    for uid, meta in gone.items():
        sink.remove(kind.name, meta.get("namespace", ""), meta["name"], uid)
    if went_back:
        _log.warning("the versions of %s have gone back: the cluster was restored", kind.plural)
        sink.distrust(kind.name)
        for namespace in namespaces or ("",):
            async for page in lister(kind, namespace):
                for raw in page:
                    sink.put(kind.name, kept(kind.name, raw))
    return len(gone)


def _older(meta: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    """Tell whether a listing shows an object older than it was known to be before that began."""
    try:
        return before is not None and int(meta["resourceVersion"]) < int(before["resourceVersion"])
    except (KeyError, ValueError):
        return False
