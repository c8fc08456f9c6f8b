"""Keeps Cloudflare's address ranges where people and firewalls find them: a ConfigMap, and status.

They are read when the first pool with address origins appears, and then daily; without such a pool nobody
needs them. The ConfigMap is written only where it differs, so a restart writes nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

from tunnelpool.domain.address_ranges import AddressRanges
from tunnelpool.domain.errors import ApiError
from tunnelpool.domain.json import FrozenObject, freeze
from tunnelpool.domain.kinds import MANAGED_BY, MANAGER
from tunnelpool.engine.store import Raw, Store
from tunnelpool.plan.steps import ApplyObject, ClusterStep, CreateObject

CONFIG_MAP_NAME: Final = "tunnelpool-cloudflare-addresses"
EVERY_S: Final = 86_400.0
AGAIN_S: Final = 60.0
"""How soon it is tried again after a failure."""

_log: Final = logging.getLogger(__name__)


RangesNow: TypeAlias = Callable[[], AddressRanges | None]
"""Tells the ranges as they are known now; None before they were read."""


class RangesSource(Protocol):
    """Who knows the ranges."""

    async def address_ranges(self) -> AddressRanges:
        """Read the ranges; raises `ApiError` only."""


class ConfigMaps(Protocol):
    """Where the ConfigMap stands. Both methods raise `ApiError` only."""

    async def config_map(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Read a ConfigMap; None if there is none."""

    async def execute(self, step: ClusterStep, *, token: str | None = None) -> Mapping[str, Any] | None:
        """Carry out one step."""


class AddressKeeper:
    """Reads the ranges and publishes them. `changed` is told of each LBPool whose status they concern."""

    def __init__(
        self,
        store: Store,
        source: RangesSource,
        config_maps: ConfigMaps,
        namespace: str,
        changed: Callable[[str, Raw], None],
    ) -> None:
        self.current: AddressRanges | None = None
        """What was read last; None before that."""
        self._store = store
        self._source = source
        self._config_maps = config_maps
        self._namespace = namespace
        self._changed = changed
        self._wanted = asyncio.Event()
        store.add_listener(self._heard)

    async def run(self) -> None:
        """Keep them until cancelled."""
        for raw in self._store.all("LBPool"):
            self._heard("LBPool", None, raw)
        await self._wanted.wait()
        while True:
            pause_s = EVERY_S if await self._keep() else AGAIN_S
            await asyncio.sleep(pause_s)

    def _heard(self, kind: str, before: Raw | None, after: Raw | None) -> None:
        del before
        if kind == "LBPool" and after is not None and has_addresses(after):
            self._wanted.set()

    async def _keep(self) -> bool:
        """Read and publish; tell whether that was possible."""
        try:
            ranges = await self._source.address_ranges()
            self._tell(ranges)
            await self._publish(ranges)
        except ApiError as error:
            _log.warning("Cloudflare's address ranges are not up to date: %s", error.message)
            return False
        return True

    def _tell(self, ranges: AddressRanges) -> None:
        if ranges == self.current:
            return
        self.current = ranges
        for raw in self._store.all("LBPool"):
            if has_addresses(raw):
                self._changed("LBPool", raw)

    async def _publish(self, ranges: AddressRanges) -> None:
        there = await self._config_maps.config_map(self._namespace, CONFIG_MAP_NAME)
        wish = config_map(self._namespace, ranges)
        if there is None:
            await self._config_maps.execute(CreateObject(wish))
        elif (there["metadata"].get("labels") or {}).get(MANAGED_BY) != MANAGER:
            _log.warning(
                "ConfigMap %s/%s is not ours (label %s) and is left alone",
                self._namespace,
                CONFIG_MAP_NAME,
                MANAGED_BY,
            )
        elif any((there.get("data") or {}).get(key) != text for key, text in _data(ranges).items()):
            await self._config_maps.execute(ApplyObject(wish))


def has_addresses(lbpool: Raw) -> bool:
    """Tell whether an LBPool is one of addresses."""
    return bool((lbpool.get("spec") or {}).get("origins"))


def config_map(namespace: str, ranges: AddressRanges) -> FrozenObject:
    """Build the ConfigMap: ranges by family, one a line, and all of them as JSON for a patch."""
    manifest = freeze(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": CONFIG_MAP_NAME,
                "namespace": namespace,
                "labels": {MANAGED_BY: MANAGER},
            },
            "data": _data(ranges),
        }
    )
    if not isinstance(manifest, FrozenObject):  # a manifest is an object; this is for the type checker
        raise TypeError(manifest)
    return manifest


def _data(ranges: AddressRanges) -> dict[str, str]:
    return {
        "ipv4": "".join(f"{one}\n" for one in ranges.ipv4),
        "ipv6": "".join(f"{one}\n" for one in ranges.ipv6),
        "ranges": json.dumps(ranges.all),
    }
