"""The engine's `LeaseBook`: a Lease of coordination.k8s.io/v1, written with optimistic locking."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tunnelpool.domain.errors import NotFoundError
from tunnelpool.domain.kinds import LEASE
from tunnelpool.engine.ports import LeaseRecord
from tunnelpool.kube.client import JSON, MERGE_PATCH, KubeClient
from tunnelpool.kube.field_owners import MANAGER

CALL_S: Final = 4.0
"""Longest that a request may take: two have to fit between two renewals and the deadline."""
_MICRO: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_AS_US: Final = {"fieldManager": MANAGER}


class KubeLease:
    """One Lease. Errors are `ApiError`.

    `client` should be one of its own, with `total_s=CALL_S` and no fence.
    """

    def __init__(self, client: KubeClient, namespace: str, name: str) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name

    async def read(self) -> LeaseRecord | None:
        """Read the record; None if there is no Lease."""
        try:
            return _record(await self._client.request("GET", LEASE.path(self._namespace, self._name)))
        except NotFoundError:
            return None

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        """Create the Lease if the record has no version, else replace what it says if nobody else has.

        Raises:
            AlreadyExistsError: it was to be created, and is there.
            StaleError: it has changed since it was read.
            NotFoundError: it was to be replaced, and is gone; or there is no such namespace.

        """
        meta = {"name": self._name, "namespace": self._namespace}
        manifest: dict[str, Any] = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": meta,
            "spec": {
                "holderIdentity": record.holder or None,  # null: the API lets nobody be called ""
                "leaseDurationSeconds": record.duration_s,
                "acquireTime": _time(record.acquired_at),
                "renewTime": _time(record.renewed_at),
                "leaseTransitions": record.transitions,
            },
        }
        method, path, content_type = "POST", LEASE.path(self._namespace), JSON
        if record.version:
            meta["resourceVersion"] = record.version
            method, path, content_type = "PATCH", LEASE.path(self._namespace, self._name), MERGE_PATCH
        return _record(
            await self._client.request(method, path, query=_AS_US, body=manifest, content_type=content_type)
        )


def _record(raw: Mapping[str, Any]) -> LeaseRecord:
    """Read a Lease that anybody may have made: every field of its spec is optional."""
    spec: Mapping[str, Any] = raw.get("spec") or {}
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        duration_s=int(spec.get("leaseDurationSeconds") or 0),
        acquired_at=_seconds(spec.get("acquireTime")),
        renewed_at=_seconds(spec.get("renewTime")),
        transitions=int(spec.get("leaseTransitions") or 0),
        version=raw["metadata"]["resourceVersion"],
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(_MICRO)


def _seconds(time: str | None) -> float:
    return datetime.fromisoformat(time).timestamp() if time else 0.0
