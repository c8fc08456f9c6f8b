"""A Kubernetes API in memory: versions, finalizers, conflicts, garbage collection; `engine.ports.Cluster`."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from tunnelpool.domain.errors import AlreadyExistsError, NotFoundError, StaleError
from tunnelpool.domain.json import thaw
from tunnelpool.engine.ports import Clock
from tunnelpool.plan.steps import (
    ApplyObject,
    ClusterStep,
    CreateObject,
    DeleteObject,
    SetFinalizer,
    WriteConnectorSecret,
)

Place = tuple[str, str, str]
"""Kind, namespace, name."""
Listener = Callable[[str, dict[str, Any], bool], None]
"""Called with the kind, a copy of the object, and whether it is gone."""


T = TypeVar("T")


def _pass(phase: str, call: str) -> None:
    del phase, call


def _copied(value: T) -> T:
    """Copy JSON; a detour by bytes is several times as fast as `deepcopy`."""
    copied: T = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes
    return copied


class SmallCluster:
    """Objects by kind, namespace and name. What the operator writes stands in `log`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._versions = itertools.count(1)
        self._objects: dict[Place, dict[str, Any]] = {}
        self._intents: dict[str, dict[str, Any]] = {}
        """By UID, what the operator has last sent of an object: what it leaves out later goes."""
        self.listeners: list[Listener] = []
        self.log: list[str] = []
        self.events: list[tuple[str, str, str]] = []
        """Kind, reason and message."""
        self.secrets: dict[tuple[str, str], dict[str, bytes]] = {}
        """Credentials, which no watch shows."""
        self.trip: Callable[[str, str], None] = _pass

    # -- users and controllers --------------------------------------------------------------------

    def get(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any] | None:
        """Look an object up; a copy."""
        return _copied(self._objects.get((kind, namespace, name)))

    def all(self, *kinds: str) -> list[dict[str, Any]]:
        """List objects of these kinds, or of all; copies."""
        return [_copied(raw) for (kind, *_), raw in self._objects.items() if not kinds or kind in kinds]

    def apply(self, kind: str, name: str, spec: Mapping[str, Any], namespace: str = "default") -> None:
        """Let a user apply one of the custom resources."""
        raw = self._objects.get((kind, namespace, name))
        body = {
            "apiVersion": "tunnelpool.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": dict(spec),
        }
        self._write(body if raw is None else {**raw, "spec": dict(spec)})

    def write(self, raw: Mapping[str, Any]) -> None:
        """Let a controller write an object whole."""
        self._write(raw)

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        """Let a user delete an object: it stays while it has finalizers."""
        raw = self._objects.get((kind, namespace, name))
        if raw is None or raw["metadata"].get("deletionTimestamp"):
            return
        self._write({**raw, "metadata": {**raw["metadata"], "deletionTimestamp": self._time()}})

    def _time(self) -> str:
        return datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _write(self, raw: Mapping[str, Any]) -> dict[str, Any] | None:
        """Store a version if it differs from the last; answer with the object, None if it is gone."""
        new = _copied(dict(raw))
        meta = new["metadata"] = dict(new["metadata"])
        place = (new["kind"], meta["namespace"], meta["name"])
        old = self._objects.get(place)
        if old is None:
            meta.setdefault("uid", f"uid-{next(self._versions)}")
            meta.setdefault("creationTimestamp", self._time())
            meta["generation"] = 1
        elif new == old:
            return _copied(old)
        elif new.get("spec") != old.get("spec") or meta.get("deletionTimestamp") != old["metadata"].get(
            "deletionTimestamp"
        ):
            meta["generation"] = old["metadata"]["generation"] + 1
        meta["resourceVersion"] = str(next(self._versions))
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            self._objects.pop(place, None)
            self._tell(new, gone=True)
            self._collect(meta["uid"])
            return None
        self._objects[place] = new
        self._tell(new, gone=False)
        return _copied(new)

    def _tell(self, raw: dict[str, Any], *, gone: bool) -> None:
        for listener in tuple(self.listeners):
            listener(raw["kind"], _copied(raw), gone)

    def _collect(self, uid: str) -> None:
        for raw in list(self._objects.values()):
            if any(owner["uid"] == uid for owner in raw["metadata"].get("ownerReferences") or ()):
                meta = raw["metadata"]
                self.delete(raw["kind"], meta["name"], meta["namespace"])

    # -- the operator: engine.ports.Cluster -------------------------------------------------------

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Read a Secret with credentials."""
        self.trip("read", "secret")
        if (namespace, name) not in self.secrets:
            raise NotFoundError(f'secrets "{name}" not found', status=404)
        return self.secrets[namespace, name]

    async def config_map(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Read a ConfigMap."""
        self.trip("read", "config map")
        return self.get("ConfigMap", name, namespace)

    async def execute(self, step: ClusterStep, *, token: str | None = None) -> Mapping[str, Any] | None:
        """Carry out one step."""
        call = type(step).__name__
        self.trip("before", call)
        answer = self._commit(step, token)
        self.log.append(f"{call} {_named(step)}")
        self.trip("after", call)
        return answer

    async def write_status(
        self, kind: str, namespace: str, name: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Replace a status."""
        self.trip("before", "write_status")
        raw = self._objects.get((kind, namespace, name))
        if raw is None:
            return None
        self.log.append(f"status {kind} {namespace}/{name}")
        answer = self._write({**raw, "status": _copied(dict(status))})
        self.trip("after", "write_status")
        return answer

    async def event(self, regarding: Mapping[str, Any], *, reason: str, message: str, warning: bool) -> None:
        """Post an Event."""
        del warning
        self.events.append((regarding["kind"], reason, message))

    def _commit(self, step: ClusterStep, token: str | None) -> Mapping[str, Any] | None:
        match step:
            case CreateObject(manifest=manifest):
                return self._create(thaw(manifest))
            case ApplyObject(manifest=manifest):
                return self._apply(thaw(manifest))
            case WriteConnectorSecret(manifest=manifest, exists=exists):
                assert token
                secret = thaw(manifest)
                secret["data"] = {**secret.get("data", {}), "token": token}
                return self._apply(secret) if exists else self._create(secret)
            case DeleteObject(ref=ref):
                raw = self._objects.get((ref.kind, ref.namespace, ref.name))
                if raw is None or raw["metadata"]["uid"] != ref.uid:
                    return None
                self.delete(ref.kind, ref.name, ref.namespace)
                return self.get(ref.kind, ref.name, ref.namespace)
            case SetFinalizer(ref=ref, resource_version=version, finalizers=finalizers):
                raw = self._objects.get((ref.kind, ref.namespace, ref.name))
                if raw is None:
                    return None
                if raw["metadata"]["resourceVersion"] != version or raw["metadata"]["uid"] != ref.uid:
                    raise StaleError("the object has been modified", status=409)
                return self._write({**raw, "metadata": {**raw["metadata"], "finalizers": list(finalizers)}})

    def _create(self, manifest: dict[str, Any]) -> Mapping[str, Any] | None:
        meta = manifest["metadata"]
        if (manifest["kind"], meta["namespace"], meta["name"]) in self._objects:
            raise AlreadyExistsError(f'{manifest["kind"]} "{meta["name"]}" already exists', status=409)
        made = self._write(_with_server_defaults(manifest))
        if made is not None:
            self._intents[made["metadata"]["uid"]] = meta
        return made

    def _apply(self, manifest: dict[str, Any]) -> Mapping[str, Any] | None:
        meta = manifest["metadata"]
        old = self._objects.get((manifest["kind"], meta["namespace"], meta["name"]))
        if old is None:
            return self._create(manifest)
        before = self._intents.get(old["metadata"]["uid"], {})
        self._intents[old["metadata"]["uid"]] = meta
        kept = {name: _merged(old["metadata"], before, meta, name) for name in ("labels", "annotations")}
        return self._write(
            {**old, **_with_server_defaults(manifest), "metadata": {**old["metadata"], **meta, **kept}}
        )


def _named(step: ClusterStep) -> str:
    match step:
        case DeleteObject(ref=ref) | SetFinalizer(ref=ref):
            return f"{ref.kind} {ref.namespace}/{ref.name}"
        case CreateObject() | ApplyObject() | WriteConnectorSecret():
            raw = thaw(step.manifest)
            return f"{raw['kind']} {raw['metadata']['namespace']}/{raw['metadata']['name']}"


def _merged(old: dict[str, Any], before: dict[str, Any], sent: dict[str, Any], name: str) -> dict[str, Any]:
    """Take over what is sent, drop what was sent before and is no more, and keep what others have added."""
    ours = before.get(name) or {}
    others = {key: value for key, value in (old.get(name) or {}).items() if key not in ours}
    return {**others, **(sent.get(name) or {})}


def _with_server_defaults(manifest: dict[str, Any]) -> dict[str, Any]:
    """Add some of what the API server adds, so that a naive comparison would never come to rest."""
    raw = _copied(manifest)
    if raw["kind"] == "Deployment":
        raw["spec"].setdefault("progressDeadlineSeconds", 600)
        for container in containers(raw):
            container.setdefault("imagePullPolicy", "IfNotPresent")
            container.setdefault("resources", {})
    return raw


def containers(deployment: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Go through the containers of a Deployment."""
    yield from deployment["spec"]["template"]["spec"]["containers"]
