"""Manifests as `kubectl apply` would send them: read, checked, and laid over what the cluster holds."""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import yaml

from tunnelpool.crd.base import GROUP
from tunnelpool.crd.parsing import InvalidResourceError, parse
from tunnelpool.crd.schema import resource_schema
from tunnelpool.crd.v1alpha1 import KINDS, LBPool, Tunnel
from tunnelpool.engine.credentials import SecretRef
from tunnelpool.engine.store import Raw, Store
from tunnelpool.plan.fields import FieldChange, differences, masked
from tunnelpool.preview.cluster import next_version
from tunnelpool.preview.surroundings import is_followed, lay_around

Action = Literal["create", "update", "delete"]
_IMMUTABLE: Final = {"Tunnel": "hostname", "LoadBalancer": "hostname", "LBPool": "name"}
_ENVELOPE: Final = frozenset({"apiVersion", "kind", "metadata", "status"})


class ManifestError(ValueError):
    """A manifest cannot be read or would be refused; the message names the file, the object and the field."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the manifests hold of ours, the Secrets among them, and what Tunnels and pools may follow."""

    resources: tuple[Raw, ...] = ()
    secrets: Mapping[SecretRef, Mapping[str, bytes]] = field(default_factory=dict)
    followed: tuple[Raw, ...] = ()
    """Workloads and Services."""


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What applying the manifests does to one resource of ours."""

    action: Action
    kind: str
    namespace: str
    name: str
    fields: tuple[FieldChange, ...] = ()


def read(documents: Iterable[tuple[str, str]], namespace: str) -> Given:
    """Read YAML or JSON; objects of other kinds are passed over.

    `documents` are pairs of a file's name and its text; `namespace` is for objects that name none.

    Raises:
        ManifestError: the text is no YAML, an object would be refused, or there is none at all.

    """
    documents = tuple(documents)
    resources: dict[tuple[str, str, str], Raw] = {}
    secrets: dict[SecretRef, Mapping[str, bytes]] = {}
    followed: list[Raw] = []
    objects = [(name, raw) for name, text in documents for raw in _objects(name, text)]
    if documents and not objects:
        raise ManifestError("the manifests hold no object: nothing can be planned from them")
    for name, raw in objects:
        meta = {"namespace": namespace, **raw["metadata"]}
        placed = {**raw, "metadata": meta}
        if raw.get("kind") == "Secret":
            secrets[SecretRef(meta["namespace"], meta["name"])] = _data(raw)
        elif is_followed(placed):
            followed.append(placed)
        elif str(raw.get("apiVersion", "")).partition("/")[0] == GROUP:
            place = (str(raw.get("kind")), meta["namespace"], meta["name"])
            if place in resources:
                raise ManifestError(f"{name}: {place[0]} {place[1]}/{place[2]} is given twice")
            _check(name, placed)
            resources[place] = placed
    return Given(tuple(resources[place] for place in sorted(resources)), secrets, tuple(followed))


def lay_over(store: Store, given: Given, now: float, *, prune: bool) -> tuple[ResourceChange, ...]:
    """Put the manifests into the store as the API server would, and tell what that changes.

    With `prune` resources of ours that no manifest names, in a namespace that one names, are deleted.
    """
    for raw in given.followed:
        lay_around(store, raw)
    changes = [change for raw in given.resources if (change := _apply(store, raw, now)) is not None]
    if prune:
        kept = {
            (raw["kind"], raw["metadata"]["namespace"], raw["metadata"]["name"]) for raw in given.resources
        }
        namespaces = {namespace for _, namespace, _ in kept}
        for kind in KINDS:
            for raw in sorted(store.all(kind), key=_place):
                namespace, name = _place(raw)
                if namespace in namespaces and (kind, namespace, name) not in kept:
                    _mark_deleted(store, kind, raw, now)
                    changes.append(ResourceChange("delete", kind, namespace, name))
    return tuple(changes)


def _apply(store: Store, raw: Raw, now: float) -> ResourceChange | None:
    kind = str(raw["kind"])
    namespace, name = _place(raw)
    there = store.get(kind, namespace, name)
    if there is None:
        meta = {**raw["metadata"], "creationTimestamp": _time(now), "generation": 1}
        store.put(kind, next_version({**raw, "metadata": meta}))
        return ResourceChange("create", kind, namespace, name)
    before, after = there["metadata"], raw["metadata"]
    meta = dict(before)
    for part in ("labels", "annotations"):
        meta[part] = {**(before.get(part) or {}), **(after.get(part) or {})}
    _check_unchanged(kind, there, raw)
    fields = tuple(masked(one) for one in differences("spec", _spec(kind, there), _spec(kind, raw)))
    if fields:
        meta["generation"] = int(before.get("generation") or 0) + 1
    for part in ("labels", "annotations"):
        fields += tuple(differences(f"metadata.{part}", before.get(part) or {}, meta[part]))
    if not fields:
        return None
    store.put(kind, next_version({**there, "spec": raw.get("spec") or {}, "metadata": meta}))
    return ResourceChange("update", kind, namespace, name, fields)


def _check_unchanged(kind: str, there: Raw, raw: Raw) -> None:
    field = _IMMUTABLE.get(kind)
    before, after = ((one.get("spec") or {}).get(field) for one in (there, raw))
    if field is not None and before != after:
        place = "/".join(_place(raw))
        raise ManifestError(
            f"{kind} {place}: `spec.{field}` must not change from '{before}' to '{after}': create another "
            f"{kind}"
        )


def _mark_deleted(store: Store, kind: str, raw: Raw, now: float) -> None:
    meta = raw["metadata"]
    if not meta.get("finalizers"):
        store.remove(kind, *_place(raw), meta["uid"])
        return
    store.put(kind, next_version({**raw, "metadata": {**meta, "deletionTimestamp": _time(now)}}))


def _objects(name: str, text: str) -> Iterator[dict[str, Any]]:
    try:
        documents = [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError as error:
        raise ManifestError(f"{name}: {' '.join(str(error).split())}") from None
    while documents:
        one = documents.pop(0)
        if isinstance(one, dict) and str(one.get("kind", "")).endswith("List") and "items" in one:
            documents[:0] = one["items"] or []
            continue
        if (
            not isinstance(one, dict)
            or not isinstance(one.get("metadata"), dict)
            or "name" not in one["metadata"]
        ):
            raise ManifestError(f"{name}: a document is no Kubernetes object with `metadata.name`")
        yield one


def _check(name: str, raw: Raw) -> None:
    """Refuse what `kubectl apply` or the schema would; rules over several fields are left to the server."""
    kind = str(raw["kind"])
    try:
        resource = parse(kind, raw)
    except InvalidResourceError as error:
        raise ManifestError(f"{name}: {error}") from None
    strange = sorted(_unknown(raw, _schema(kind), ""))
    if strange:
        raise ManifestError(f"{name}: {resource}: unknown field {', '.join(f'`{one}`' for one in strange)}")
    if isinstance(resource, Tunnel):
        try:
            resource.spec.service_url(resource.metadata.namespace)
        except ValueError as error:
            raise ManifestError(f"{name}: {resource}: spec {error}") from None
        if resource.spec.workload_ref is not None and resource.spec.replicas is not None:
            raise ManifestError(f"{name}: {resource}: spec must have one of `replicas` and `workloadRef`")
    if isinstance(resource, LBPool):
        for origin in resource.spec.origins:
            if (origin.address is None) == (origin.service_ref is None):
                raise ManifestError(
                    f"{name}: {resource}: origin '{origin.name}' must have exactly one of `address` and "
                    "`serviceRef`"
                )


@functools.cache
def _schema(kind: str) -> Mapping[str, Any]:
    """Build the schema of a kind once: it takes as long as reading a hundred manifests."""
    return resource_schema(KINDS[kind])


def _unknown(raw: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(raw, list):
        for one in raw:
            yield from _unknown(one, schema.get("items", {}), path)
    properties = schema.get("properties")
    if not isinstance(raw, Mapping) or properties is None:
        return
    for name, value in raw.items():
        if not path and name in _ENVELOPE:
            continue
        below = f"{path}.{name}" if path else str(name)
        if name in properties:
            yield from _unknown(value, properties[name], below)
        else:
            yield below


def _spec(kind: str, raw: Raw) -> Any:
    """Write a spec with its defaults, so that what the API server has filled in does not differ."""
    try:
        return parse(kind, raw).spec.wire()
    except InvalidResourceError:
        return raw.get("spec") or {}


def _data(raw: Raw) -> dict[str, bytes]:
    found = {key: base64.b64decode(value) for key, value in (raw.get("data") or {}).items()}
    return found | {key: str(value).encode() for key, value in (raw.get("stringData") or {}).items()}


def _place(raw: Raw) -> tuple[str, str]:
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
