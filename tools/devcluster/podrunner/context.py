"""What the containers of one pod share."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devcluster.api import Api
from devcluster.podrunner.environment import PodFacts
from devcluster.podrunner.images import ImageTable
from devcluster.podrunner.isolation import Isolation
from devcluster.processes import Mount

Json = dict[str, Any]

# On a Pod: its containers are not started again after they ended, until the annotation is gone.
HOLD = "devcluster.tunnelpool.dev/hold"


class Changes:
    """Wakes all who wait for the next change."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def announce(self) -> None:
        """Something has changed."""
        self._next.set()
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Set by the next announcement. Take it before you look, so that none is missed in between."""
        return self._next


@dataclass(frozen=True)
class Site:
    """What all pods of a cluster share. `variables` are those that every container gets (KUBERNETES_…)."""

    api: Api
    images: ImageTable
    isolation: Isolation
    pods: Path
    logs: Path
    ca: Path
    variables: Mapping[str, str]


@dataclass
class PodContext:
    """One pod: object, addresses, folder. `object_changed` follows the API, `state_changed` containers."""

    site: Site
    pod: Json
    pod_ip: str
    host_ip: str
    object_changed: Changes = field(default_factory=Changes)
    state_changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return str(self.pod["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])

    @property
    def path(self) -> str:
        """The pod's path in the API."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    @property
    def folder(self) -> Path:
        """The pod's own folder, gone when it is."""
        return self.site.pods / str(self.pod["metadata"]["uid"])

    @property
    def facts(self) -> PodFacts:
        """For the downward API."""
        return PodFacts(self.pod, self.pod_ip, self.host_ip)

    @property
    def hostname(self) -> str:
        """What the pod calls itself."""
        return str(self.pod["spec"].get("hostname") or self.name)

    @property
    def held(self) -> bool:
        """Its containers must not be started again for now."""
        return bool(self.pod["metadata"].get("annotations", {}).get(HOLD) == "true")

    @property
    def hosts(self) -> Path:
        """The pod's /etc/hosts."""
        return self.folder / "hosts"

    def mounts(self, container: Json) -> list[Mount]:
        """Return the mounts of one container. Volumes other than emptyDir are read-only, as in Kubernetes."""
        writable = {volume["name"] for volume in self.pod["spec"].get("volumes", ()) if "emptyDir" in volume}
        found = [Mount(str(self.hosts), "/etc/hosts")]
        for mount in container.get("volumeMounts", ()):
            source = self.folder / "volumes" / mount["name"]
            if sub := mount.get("subPath"):
                source /= sub
                if mount["name"] in writable:
                    source.mkdir(parents=True, exist_ok=True)
            readonly = bool(mount.get("readOnly")) or mount["name"] not in writable
            found.append(Mount(str(source.resolve()), mount["mountPath"].rstrip("/"), readonly))
        return found


def timestamp() -> str:
    """Now, as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
