"""Volumes as folders: Secrets, ConfigMaps, projections, the downward API, written as the kubelet does."""

import base64
import shutil
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from devcluster.api import Api, ApiError
from devcluster.podrunner.environment import ConfigError, PodFacts, Sources

Json = dict[str, Any]

DEFAULT_MODE = 0o644
# The kubelet asks for a new token when 80 % of the old one's time has passed.
TOKEN_RENEWAL = 0.8


class VolumeWriter:
    """The volumes of one pod, in `folder`/<volume name>. `write_all` again brings them up to date."""

    def __init__(self, api: Api, folder: Path, read_facts: Callable[[], PodFacts]) -> None:
        self._api = api
        self._folder = folder
        self._read_facts = read_facts
        self._tokens: dict[str, tuple[str, float]] = {}

    @property
    def _facts(self) -> PodFacts:
        return self._read_facts()  # labels and annotations change while the pod runs

    async def write_all(self) -> None:
        """Write each volume. Raises ConfigError if an object or key is missing, ApiError if the API is."""
        for volume in self._facts.pod["spec"].get("volumes", ()):
            place = self._folder / volume["name"]
            place.mkdir(parents=True, exist_ok=True)
            if "emptyDir" in volume:
                place.chmod(0o777)
            else:
                replace_files(place, await self._files(volume))

    async def _files(self, volume: Json) -> dict[str, tuple[bytes, int]]:
        (kind, source), *_ = ((key, value) for key, value in volume.items() if key != "name")
        mode = source.get("defaultMode", DEFAULT_MODE)
        if kind != "projected":
            return await self._projection(
                kind, source, mode, source.get("secretName") or source.get("name", "")
            )
        files: dict[str, tuple[bytes, int]] = {}
        for entry in source.get("sources", ()):
            for name, projection in entry.items():
                files.update(await self._projection(name, projection, mode, projection.get("name", "")))
        return files

    async def _projection(
        self, kind: str, source: Json, mode: int, name: str
    ) -> dict[str, tuple[bytes, int]]:
        if kind == "serviceAccountToken":
            return {source["path"]: (await self._token(source), mode)}
        if kind == "downwardAPI":
            return {
                item["path"]: (self._downward(item).encode(), item.get("mode", mode))
                for item in source.get("items", ())
            }
        plural = "secrets" if kind == "secret" else "configmaps"
        data = await read_data(self._api, plural, self._facts.pod["metadata"]["namespace"], name)
        if data is None:
            if source.get("optional"):
                return {}
            raise ConfigError(f'{plural.removesuffix("s")} "{name}" not found')
        if "items" not in source:
            return {key: (value, mode) for key, value in data.items()}
        files = {}
        for item in source["items"]:
            if item["key"] in data:
                files[item["path"]] = (data[item["key"]], item.get("mode", mode))
            elif not source.get("optional"):
                raise ConfigError(f"references non-existent {plural.removesuffix('s')} key: {item['key']}")
        return files

    def _downward(self, item: Json) -> str:
        if "fieldRef" not in item:
            raise ConfigError("devcluster does not emulate resourceFieldRef")
        return self._facts.field(item["fieldRef"]["fieldPath"])

    async def _token(self, source: Json) -> bytes:
        audience = source.get("audience", "")
        token, renew_at = self._tokens.get(audience, ("", 0.0))
        if time.monotonic() >= renew_at:
            metadata, spec = self._facts.pod["metadata"], self._facts.pod["spec"]
            seconds = source.get("expirationSeconds", 3600)
            account = spec.get("serviceAccountName", "default")
            request = {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {
                    "expirationSeconds": seconds,
                    "boundObjectRef": {
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "name": metadata["name"],
                        "uid": metadata["uid"],
                    },
                    **({"audiences": [audience]} if audience else {}),
                },
            }
            path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
            token = (await self._api.create(path, request))["status"]["token"]
            self._tokens[audience] = (token, time.monotonic() + TOKEN_RENEWAL * seconds)
        return token.encode()


async def read_data(api: Api, plural: str, namespace: str, name: str) -> dict[str, bytes] | None:
    """Return the keys of a Secret (`secrets`) or ConfigMap (`configmaps`); None if it does not exist."""
    try:
        found = await api.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    if plural == "secrets":
        return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}
    binary = {key: base64.b64decode(value) for key, value in found.get("binaryData", {}).items()}
    return {**{key: value.encode() for key, value in found.get("data", {}).items()}, **binary}


async def read_sources(api: Api, namespace: str, wanted: set[tuple[str, str]]) -> Sources:
    """Those of `environment.references` that exist, as text."""
    found: dict[str, dict[str, dict[str, str]]] = {"secret": {}, "configmap": {}}
    for kind, name in wanted:
        data = await read_data(api, f"{kind}s", namespace, name)
        if data is not None:
            found[kind][name] = {key: value.decode(errors="surrogateescape") for key, value in data.items()}
    return Sources(found["secret"], found["configmap"])


def replace_files(folder: Path, files: Mapping[str, tuple[bytes, int]]) -> bool:
    """Make `files` (path -> content and mode) the content of `folder`, all at once; False if it already is.

    Like the kubelet: the files lie in a folder of their own that the link `..data` names, and each visible
    name is a link through it, so that one rename of `..data` changes all of them together.
    """
    current = folder / "..data"
    if current.exists() and _read(current) == {path: content for path, (content, _) in files.items()}:
        return False
    fresh = folder / f"..{time.time_ns()}"
    for path, (content, mode) in files.items():
        place = fresh / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(mode)
    fresh.mkdir(exist_ok=True)
    old = current.readlink() if current.is_symlink() else None
    link = folder / "..data_new"
    link.symlink_to(fresh.name)
    link.rename(current)
    visible = {path.split("/", 1)[0] for path in files}
    for name in visible:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in visible:
            entry.unlink()
    if old:
        shutil.rmtree(folder / old)
    return True


def _read(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
