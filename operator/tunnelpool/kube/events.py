"""Events of events.k8s.io/v1, each told once."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tunnelpool.domain.errors import ApiError
from tunnelpool.domain.kinds import EVENT
from tunnelpool.engine.ports import Clock
from tunnelpool.kube.client import KubeClient

REPEAT_AFTER_S: Final = 600.0
"""The same about the same object is not told again within this time."""

_REMEMBERED: Final = 4096
_LONGEST_NOTE: Final = 1024  # the API's limit, in bytes
_LONGEST_NAME: Final = 220  # 253, less what the API server appends
_COMPONENT: Final = "tunnelpool.dev/operator"

_log = logging.getLogger(__name__)


class EventRecorder:
    """Posts Events; the same (object, reason, message) is dropped for ten minutes.

    Dropped, not counted in a series: a count that moves by itself is a write at rest.
    """

    def __init__(self, client: KubeClient, clock: Clock, instance: str = "") -> None:
        self._client = client
        self._clock = clock
        self._instance = (instance or os.environ.get("HOSTNAME") or "tunnelpool")[:128]
        self._told: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    async def post(self, regarding: Mapping[str, Any], *, reason: str, message: str, warning: bool) -> None:
        """Post an Event about an object (its JSON); failing to is logged and harmless."""
        meta = regarding["metadata"]
        told = (str(meta.get("uid", "")), reason, message)
        now = self._clock.monotonic()
        before = self._told.get(told)
        if before is not None and now - before < REPEAT_AFTER_S:
            return
        self._remember(told, now)
        try:
            await self._client.request(
                "POST",
                EVENT.path(meta["namespace"]),
                body=self._manifest(regarding, reason, message, warning),
            )
        except ApiError as error:
            # It may be told again: nobody has heard it.
            self._told.pop(told, None)
            _log.warning("event %s about %s/%s: %s", reason, meta["namespace"], meta["name"], error.message)

    def _remember(self, told: tuple[str, str, str], now: float) -> None:
        self._told[told] = now
        self._told.move_to_end(told)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    def _manifest(
        self, regarding: Mapping[str, Any], reason: str, message: str, warning: bool
    ) -> dict[str, Any]:
        meta = regarding["metadata"]
        at = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        reference = {
            "apiVersion": regarding["apiVersion"],
            "kind": regarding["kind"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta.get("uid", ""),
            "resourceVersion": meta.get("resourceVersion", ""),
        }
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.name,
            "metadata": {
                "namespace": meta["namespace"],
                "generateName": f"{meta['name'][:_LONGEST_NAME].rstrip('.')}-",
            },
            "eventTime": at,
            "reportingController": _COMPONENT,
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": reason,
            "type": "Warning" if warning else "Normal",
            "note": _shortened(message),
            "regarding": {name: value for name, value in reference.items() if value},
        }


def _shortened(message: str) -> str:
    whole = message.encode()
    if len(whole) <= _LONGEST_NOTE:
        return message
    return whole[: _LONGEST_NOTE - 3].decode(errors="ignore") + "…"
