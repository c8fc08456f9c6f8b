"""Mark and sweep: a fresh listing of a kind, and what it lacks goes out of the store.

A watch that begins anew after a listing has not seen the deletions before it (kopf emits none), so such
objects would stay for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunnelpool.domain.keeping import kept
from tunnelpool.domain.kinds import Kind
from tunnelpool.watch.ports import Lister, Sink


async def sweep(kind: Kind, namespaces: Sequence[str], lister: Lister, sink: Sink) -> int:
    """List a kind into the sink and remove what is gone; answer with how many were gone.

    Only what was known before the listing began can be gone: an object that is made meanwhile is in the
    watch but may not be in the listing.

    Raises:
        ApiError: the listing has failed; nothing is removed.

    """
    known = {
        raw["metadata"]["uid"]: (raw["metadata"].get("namespace", ""), raw["metadata"]["name"])
        for raw in sink.all(kind.name)
    }
    for namespace in namespaces or ("",):
        async for page in lister(kind, namespace):
            for raw in page:
                known.pop(raw["metadata"]["uid"], None)
                sink.put(kind.name, kept(kind.name, raw))
    for uid, (namespace, name) in known.items():
        sink.remove(kind.name, namespace, name, uid)
    return len(known)
