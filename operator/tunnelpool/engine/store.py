"""What the watches have told: the latest version of each Kubernetes object that matters here.

Objects stand here as their JSON, as far as it is worth keeping. Own writes are put in as well, from the
answer of the API server, so that a reconciliation sees what it has just done; an older version that the
watch brings later is ignored.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from tunnelpool.domain.keeping import kept

Raw: TypeAlias = Mapping[str, Any]
Listener: TypeAlias = Callable[[str, Raw | None, Raw | None], None]
"""Called with kind, the object before and the object after; None where there is none."""

_TOMBSTONES: Final = 10_000


class Store:
    """Objects by kind, namespace and name, and indices by what stands in them."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[tuple[str, str], Raw]] = defaultdict(dict)
        self._tombstones: OrderedDict[str, None] = OrderedDict()
        self._distrusted: set[str] = set()
        """Uids whose version says nothing any more."""
        self._listeners: list[Listener] = []
        self._indices: dict[str, _Index] = {}
        self._synced: set[str] = set()
        self._news = asyncio.Event()

    def add_listener(self, listener: Listener) -> None:
        """Call `listener` after each change; it must not fail and must not wait."""
        self._listeners.append(listener)

    def add_index(self, name: str, kind: str, values: Callable[[Raw], tuple[str, ...]]) -> None:
        """Keep the objects of a kind by the values that the function finds in them."""
        self._indices[name] = _Index(kind, values)
        for raw in self._objects[kind].values():
            self._indices[name].add(raw)

    def put(self, kind: str, raw: Raw, *, own_status: bool = False) -> None:
        """Take in the version of an object, unless a newer one is here or the object is known to be gone.

        Nobody is told of a version in which nothing is new that is kept, nor, with `own_status`, of one in
        which the status is all that is new: whoever has written it need not hear of it.
        """
        meta = raw["metadata"]
        place = (meta.get("namespace", ""), meta["name"])
        before = self._objects[kind].get(place)
        if meta.get("uid") in self._tombstones:
            return
        if before is not None and meta.get("uid") not in self._distrusted and not _newer(raw, before):
            return
        self._distrusted.discard(meta.get("uid", ""))
        after = kept(kind, raw)
        self._objects[kind][place] = after
        self._reindex(kind, before, after)
        if before is None or _news(before, own_status=own_status) != _news(after, own_status=own_status):
            self._tell(kind, before, after)

    def remove(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Forget an object; a later object of that name with another uid is not touched."""
        self._tombstones[uid] = None
        if len(self._tombstones) > _TOMBSTONES:
            self._tombstones.popitem(last=False)
        before = self._objects[kind].get((namespace, name))
        if before is None or before["metadata"].get("uid") != uid:
            return
        del self._objects[kind][namespace, name]
        self._reindex(kind, before, None)
        self._tell(kind, before, None)

    def distrust(self, kind: str) -> None:
        """Take the next version of each object for newer: the cluster's versions have begun anew."""
        self._distrusted |= {raw["metadata"].get("uid", "") for raw in self._objects[kind].values()}
        self._tombstones.clear()

    def get(self, kind: str, namespace: str, name: str) -> Raw | None:
        """Look one object up."""
        return self._objects[kind].get((namespace, name))

    def all(self, kind: str) -> Iterator[Raw]:
        """Go through all objects of a kind, in no order."""
        yield from tuple(self._objects[kind].values())

    def by(self, index: str, value: str) -> tuple[Raw, ...]:
        """Look up by an index; in the order of namespace and name."""
        return self._indices[index].get(value)

    def values(self, index: str) -> frozenset[str]:
        """List the values that an index has found."""
        return frozenset(self._indices[index].values())

    def mark_synced(self, kind: str) -> None:
        """Note that every object of the kind that exists has been put in."""
        self._synced.add(kind)
        self._news.set()

    async def wait_synced(self, kinds: frozenset[str]) -> None:
        """Wait until all these kinds are complete: before that, what is missing proves nothing."""
        while not self.synced(kinds):
            self._news.clear()
            await self._news.wait()

    def synced(self, kinds: frozenset[str]) -> bool:
        """Tell whether all these kinds are complete."""
        return kinds <= self._synced

    def _reindex(self, kind: str, before: Raw | None, after: Raw | None) -> None:
        for index in self._indices.values():
            if index.kind == kind:
                if before is not None:
                    index.discard(before)
                if after is not None:
                    index.add(after)

    def _tell(self, kind: str, before: Raw | None, after: Raw | None) -> None:
        for listener in self._listeners:
            listener(kind, before, after)


class _Index:
    def __init__(self, kind: str, values: Callable[[Raw], tuple[str, ...]]) -> None:
        self.kind = kind
        self._values_of = values
        self._found: dict[str, dict[tuple[str, str], Raw]] = defaultdict(dict)

    def add(self, raw: Raw) -> None:
        for value in self._values_of(raw):
            self._found[value][_place(raw)] = raw

    def discard(self, raw: Raw) -> None:
        for value in self._values_of(raw):
            self._found[value].pop(_place(raw), None)
            if not self._found[value]:
                del self._found[value]

    def values(self) -> Iterable[str]:
        return self._found

    def get(self, value: str) -> tuple[Raw, ...]:
        found = self._found.get(value, {})
        return tuple(found[place] for place in sorted(found))


def _place(raw: Raw) -> tuple[str, str]:
    meta = raw["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _news(raw: Raw, *, own_status: bool) -> Raw:
    meta = {name: value for name, value in raw["metadata"].items() if name != "resourceVersion"}
    rest = {name: value for name, value in raw.items() if name != "status" or not own_status}
    return {**rest, "metadata": meta}


def _newer(raw: Raw, before: Raw) -> bool:
    """Compare versions: they are ordered numbers since Kubernetes 1.35 (KEP-5504), and were before."""
    if raw["metadata"].get("uid") != before["metadata"].get("uid"):
        return True
    try:
        return int(raw["metadata"]["resourceVersion"]) > int(before["metadata"]["resourceVersion"])
    except (KeyError, ValueError):
        return True
