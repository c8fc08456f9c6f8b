"""The engine's `Cluster`: steps as requests to the Kubernetes API."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from tunnelpool.domain.errors import NotFoundError, StaleError
from tunnelpool.domain.json import FrozenObject, thaw
from tunnelpool.domain.kinds import CONFIG_MAP, KINDS, SECRET, Kind
from tunnelpool.kube.client import APPLY, JSON_PATCH, MERGE_PATCH, KubeClient
from tunnelpool.kube.events import EventRecorder
from tunnelpool.kube.field_owners import MANAGER, moved
from tunnelpool.plan.steps import (
    ApplyObject,
    ClusterStep,
    CreateObject,
    DeleteObject,
    SetFinalizer,
    WriteConnectorSecret,
)

_PAGE: Final = 500
_AS_US: Final = {"fieldManager": MANAGER}


class KubeCluster:
    """Writes to the Kubernetes API, and the few reads besides the watches. Errors are `ApiError`."""

    def __init__(self, client: KubeClient, recorder: EventRecorder) -> None:
        self._client = client
        self._recorder = recorder

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Read a Secret's data, decoded.

        Raises:
            NotFoundError: there is none.

        """
        found = await self._client.request("GET", SECRET.path(namespace, name))
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}

    async def config_map(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Read a ConfigMap; None if there is none."""
        try:
            return await self._client.request("GET", CONFIG_MAP.path(namespace, name))
        except NotFoundError:
            return None

    async def uid_of_cluster(self) -> str:
        """Read the UID of the namespace `kube-system`, by which a cluster is known from its clones."""
        found = await self._client.request("GET", "/api/v1/namespaces/kube-system")
        uid: str = found["metadata"]["uid"]
        return uid

    async def list_pages(self, kind: Kind, namespace: str = "") -> AsyncIterator[Sequence[dict[str, Any]]]:
        """List what is watched of a kind, page by page; an empty namespace is all of them.

        If a page token expires the list starts again, so an object may come twice.
        """
        query = {"limit": str(_PAGE)} | ({"labelSelector": kind.selector} if kind.selector else {})
        token = ""
        while True:
            page = query | ({"continue": token} if token else {})
            try:
                answer = await self._client.request("GET", kind.path(namespace), query=page)
            except StaleError:
                if not token:
                    raise
                token = ""
                continue
            # Items of a list lack what is the same for all of them.
            common = {"apiVersion": kind.api_version, "kind": kind.name}
            yield [{**common, **item} for item in answer.get("items") or ()]
            token = answer.get("metadata", {}).get("continue") or ""
            if not token:
                return

    async def execute(self, step: ClusterStep, *, token: str | None = None) -> Mapping[str, Any] | None:
        """Carry out one step; answer with the object as it stands now, None if it is gone.

        `token` belongs to `WriteConnectorSecret` and becomes its key `token`.

        Raises:
            AlreadyExistsError: an object of that name is there, for what is to be created.
            StaleError: the object has changed, for a finalizer or an apply that met another writer.

        """
        match step:
            case CreateObject(manifest):
                return await self._create(thaw(manifest))
            case ApplyObject(manifest):
                return await self._apply(thaw(manifest))
            case WriteConnectorSecret(manifest, exists=exists):
                secret = _with_token(manifest, token)
                return await (self._apply(secret) if exists else self._create(secret))
            case DeleteObject():
                return await self._delete(step)
            case SetFinalizer():
                return await self._set_finalizers(step)

    async def write_status(
        self, kind: str, namespace: str, name: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Replace the status of one of our resources whole; answer with the object, None if it is gone.

        A JSON patch's `add` replaces the member: what is no longer said goes, and no version is needed,
        since nobody else writes it. The API server makes no new version if nothing differs.
        """
        path = KINDS[kind].path(namespace, name, "status")
        patch = [{"op": "add", "path": "/status", "value": dict(status)}]
        try:
            return await self._client.request(
                "PATCH", path, query=_AS_US, body=patch, content_type=JSON_PATCH
            )
        except NotFoundError:
            return None

    async def event(self, regarding: Mapping[str, Any], *, reason: str, message: str, warning: bool) -> None:
        """Post an Event about an object; failing to is logged and harmless."""
        await self._recorder.post(regarding, reason=reason, message=message, warning=warning)

    async def _create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        kind, meta = KINDS[manifest["kind"]], manifest["metadata"]
        return await self._client.request("POST", kind.path(meta["namespace"]), query=_AS_US, body=manifest)

    async def _apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        path = _path_of(manifest)
        force = {**_AS_US, "force": "true"}
        answer = await self._client.request("PATCH", path, query=force, body=manifest, content_type=APPLY)
        meta = answer["metadata"]
        owners = moved(meta.get("managedFields") or ())
        if owners is None:
            return answer
        await self._client.request(
            "PATCH",
            path,
            query=_AS_US,
            body={"metadata": {"resourceVersion": meta["resourceVersion"], "managedFields": owners}},
            content_type=MERGE_PATCH,
        )
        return await self._client.request("PATCH", path, query=force, body=manifest, content_type=APPLY)

    async def _delete(self, step: DeleteObject) -> dict[str, Any] | None:
        ref = step.ref
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if ref.uid:
            options["preconditions"] = {"uid": ref.uid}
        path = KINDS[ref.kind].path(ref.namespace, ref.name)
        try:
            answer = await self._client.request("DELETE", path, body=options)
        except (NotFoundError, StaleError):  # stale: that name belongs to another object by now
            return None
        return None if answer.get("kind") == "Status" else _if_there(answer)

    async def _set_finalizers(self, step: SetFinalizer) -> dict[str, Any] | None:
        ref = step.ref
        meta: dict[str, Any] = {
            "resourceVersion": step.resource_version,
            "finalizers": list(step.finalizers) or None,
        }
        if ref.uid:
            meta["uid"] = ref.uid
        path = KINDS[ref.kind].path(ref.namespace, ref.name)
        try:
            answer = await self._client.request(
                "PATCH", path, query=_AS_US, body={"metadata": meta}, content_type=MERGE_PATCH
            )
        except NotFoundError:
            return None
        return _if_there(answer)


def _path_of(manifest: Mapping[str, Any]) -> str:
    meta = manifest["metadata"]
    return KINDS[manifest["kind"]].path(meta["namespace"], meta["name"])


def _with_token(manifest: FrozenObject, token: str | None) -> dict[str, Any]:
    if not token:
        raise ValueError("the Secret of a connector is written with its token")
    secret: dict[str, Any] = thaw(manifest)
    encoded = base64.b64encode(token.encode()).decode()
    return {**secret, "data": {**secret.get("data", {}), "token": encoded}}


def _if_there(answer: dict[str, Any]) -> dict[str, Any] | None:
    """Tell an object that lives, or waits for others' finalizers, from one whose end was just answered."""
    meta = answer["metadata"]
    return None if meta.get("deletionTimestamp") and not meta.get("finalizers") else answer
