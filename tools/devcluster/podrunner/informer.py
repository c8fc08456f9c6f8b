"""A list that keeps itself current by a watch."""

import asyncio
from collections.abc import Callable
from typing import Any

from devcluster.api import TRANSIENT, Api, ApiError

Json = dict[str, Any]
RETRY_S = 0.2


class Informer:
    """The objects of one collection, by (namespace, name).

    `on_change(object, gone)` is called for each that appears, changes or goes; for all after a break.
    """

    def __init__(self, api: Api, path: str, on_change: Callable[[Json, bool], None]) -> None:
        self.items: dict[tuple[str, str], Json] = {}
        self.synced = asyncio.Event()
        self._api = api
        self._path = path
        self._on_change = on_change

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                listing = await self._api.get(self._path)
                self._replace(listing["items"])
                self.synced.set()
                version = listing["metadata"]["resourceVersion"]
                while True:
                    async for event in self._api.watch(self._path, version):
                        version = event["object"]["metadata"]["resourceVersion"]
                        if event["type"] != "BOOKMARK":
                            self._take(event["object"], event["type"] == "DELETED")
            except (ApiError, *TRANSIENT):
                await asyncio.sleep(RETRY_S)

    def _replace(self, objects: list[Json]) -> None:
        present = {object_key(item): item for item in objects}
        for key, item in list(self.items.items()):
            if key not in present or _uid(present[key]) != _uid(item):
                self._take(item, gone=True)
        for item in objects:
            self._take(item, gone=False)

    def _take(self, item: Json, gone: bool) -> None:
        if gone:
            self.items.pop(object_key(item), None)
        else:
            self.items[object_key(item)] = item
        self._on_change(item, gone)


def object_key(item: Json) -> tuple[str, str]:
    """(namespace, name); the namespace is empty for what has none."""
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _uid(item: Json) -> str:
    return str(item["metadata"]["uid"])
