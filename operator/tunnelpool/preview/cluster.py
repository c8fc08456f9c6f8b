"""A cluster that is read once and written in memory: `Cluster` of the engine's ports, on the engine's store.

Pods of a Deployment that a step makes are ready at once: a preview takes connectors to connect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from tunnelpool.domain.errors import NotFoundError
from tunnelpool.domain.json import FrozenObject, thaw
from tunnelpool.engine.credentials import SecretRef
from tunnelpool.engine.store import Raw, Store
from tunnelpool.plan.steps import (
    ApplyObject,
    ClusterStep,
    CreateObject,
    DeleteObject,
    ObjectRef,
    SetFinalizer,
    WriteConnectorSecret,
)

_CHILDREN: Final = ("Deployment", "Secret", "PodDisruptionBudget", "Pod")


class SecretReader(Protocol):
    """Where Secrets with credentials are read."""

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Read a Secret's data, decoded.

        Raises:
            NotFoundError: there is none.

        """


class SimulatedCluster:
    """What steps would leave behind in the store. `secrets` hands out credentials; nothing is ever sent."""

    def __init__(self, store: Store, secrets: SecretReader) -> None:
        self._store = store
        self._secrets = secrets

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Read a Secret's data."""
        return await self._secrets.secret(namespace, name)

    async def execute(self, step: ClusterStep, *, token: str | None = None) -> Mapping[str, Any] | None:
        """Change the store as the step would change the cluster."""
        del token
        match step:
            case CreateObject(manifest) | ApplyObject(manifest) | WriteConnectorSecret(manifest):
                return self._apply(manifest)
            case DeleteObject(ref):
                return self._delete(ref)
            case SetFinalizer(ref, finalizers=finalizers):
                return self._finalize(ref, finalizers)

    async def write_status(
        self, kind: str, namespace: str, name: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Write none: a preview tells what it found instead."""
        del status
        return self._store.get(kind, namespace, name)

    async def event(self, regarding: Mapping[str, Any], *, reason: str, message: str, warning: bool) -> None:
        """Post none."""

    def _apply(self, manifest: FrozenObject) -> Raw:
        wish = thaw(manifest)
        kind, meta = wish["kind"], wish["metadata"]
        there = self._store.get(kind, meta["namespace"], meta["name"])
        after = next_version(
            {**(there or {}), **wish, "metadata": {**(there or {}).get("metadata", {}), **meta}}
        )
        self._store.put(kind, after)
        if kind == "Deployment":
            self._run(after)
        return after

    def _run(self, deployment: Raw) -> None:
        """Bring as many pods into being as a Deployment asks for; those that are there stay."""
        template = deployment["spec"]["template"]["metadata"]
        namespace, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
        pods = [
            pod
            for pod in self._store.all("Pod")
            if pod["metadata"]["namespace"] == namespace
            and _includes(pod, deployment["spec"]["selector"]["matchLabels"])
        ]
        wanted = int(deployment["spec"].get("replicas", 1))
        for pod in pods[wanted:]:
            self._remove("Pod", pod)
        for number in range(len(pods), wanted):
            meta = {"name": f"{name}-{number}", "namespace": namespace, "labels": template["labels"]}
            ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
            self._store.put("Pod", next_version({"kind": "Pod", "metadata": meta, "status": ready}))

    def _delete(self, ref: ObjectRef) -> Raw | None:
        there = self._store.get(ref.kind, ref.namespace, ref.name)
        if there is None:
            return None
        if ref.kind == "Deployment":
            self._run({**there, "spec": {**there["spec"], "replicas": 0}})
        self._remove(ref.kind, there)
        return None

    def _finalize(self, ref: ObjectRef, finalizers: tuple[str, ...]) -> Raw | None:
        there = self._store.get(ref.kind, ref.namespace, ref.name)
        if there is None:
            return None
        after = next_version({**there, "metadata": {**there["metadata"], "finalizers": list(finalizers)}})
        if finalizers or "deletionTimestamp" not in after["metadata"]:
            self._store.put(ref.kind, after)
            return after
        self._remove(ref.kind, there)
        return None

    def _remove(self, kind: str, there: Raw) -> None:
        """Take an object out of the store, and with it what it owns."""
        meta = there["metadata"]
        self._store.remove(kind, meta.get("namespace", ""), meta["name"], meta["uid"])
        for child in _CHILDREN:
            for raw in tuple(self._store.all(child)):
                owners = raw["metadata"].get("ownerReferences") or ()
                if any(owner.get("uid") == meta["uid"] for owner in owners):
                    self._remove(child, raw)


class GivenSecrets:
    """Credentials from a manifest or the environment before those of the cluster.

    `default` stands in for the operator's own Secret and, without a cluster, for every other one.
    """

    def __init__(
        self,
        real: SecretReader | None,
        own: SecretRef,
        default: Mapping[str, bytes] | None,
        given: Mapping[SecretRef, Mapping[str, bytes]],
    ) -> None:
        self._real = real
        self._own = own
        self._default = default
        self._given = given

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Read a Secret's data.

        Raises:
            NotFoundError: nobody has it.

        """
        ref = SecretRef(namespace, name)
        if ref in self._given:
            return self._given[ref]
        if self._default is not None and (self._real is None or ref == self._own):
            return self._default
        if self._real is None:
            raise NotFoundError(f"Secret {namespace}/{name} is not among the manifests")
        return await self._real.secret(namespace, name)


def next_version(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Count an object's version up, so that the store takes it for newer; give it a uid if it has none."""
    meta = dict(raw["metadata"])
    version = str(meta.get("resourceVersion", ""))
    meta["resourceVersion"] = str(int(version) + 1 if version.isdigit() else 1)
    meta.setdefault("uid", f"planned/{raw['kind']}/{meta.get('namespace', '')}/{meta['name']}")
    return {**raw, "metadata": meta}


def _includes(pod: Raw, labels: Mapping[str, str]) -> bool:
    there = pod["metadata"].get("labels") or {}
    return all(there.get(name) == value for name, value in labels.items())
