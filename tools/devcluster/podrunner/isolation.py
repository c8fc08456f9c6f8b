"""How a container sees its volumes, hosts file and ServiceAccount: by namespaces, or by environment."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from devcluster.processes import Launch, Mount, StartError, launch

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class Isolation(Protocol):
    """Turns what a container is to run and see into what is launched."""

    name: str
    limits: str

    def plan(self, folder: Path, what: Launch) -> Launch:
        """`folder` belongs to the pod, whose mounts, /etc/hosts among them, are in `what`.

        If `what.enter` is a process, run beside it.
        """


class Namespaces(Isolation):
    """The real thing: each container in a user, mount and PID namespace."""

    name = "namespaces"
    limits = ""

    @override
    def plan(self, folder: Path, what: Launch) -> Launch:
        """Mounts at their own targets."""
        if what.enter is not None:
            return what
        root = folder / "root"
        root.mkdir(exist_ok=True)
        return replace(what, root=root)


class EnvironmentOnly(Isolation):
    """Where user namespaces are not allowed: paths are rewritten in arguments and environment.

    A program finds its hosts file by DEVCLUSTER_HOSTS, mounts below DEVCLUSTER_ROOT, the API by KUBECONFIG.
    """

    name = "environment"
    limits = (
        "without user namespaces containers see mounts only where arguments or environment "
        "name their paths, Service names only by DEVCLUSTER_HOSTS, and the ServiceAccount only by KUBECONFIG"
    )

    @override
    def plan(self, folder: Path, what: Launch) -> Launch:
        """Put the sources in the places of the targets."""
        root = folder / "mounted"
        places: dict[str, str] = {}
        for mount in sorted(what.mounts, key=lambda mount: len(mount.target)):
            place = root / mount.target.removeprefix("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.is_symlink() and not place.exists():
                place.symlink_to(mount.source)
            places[mount.target] = mount.source
        variables = {key: rewrite(value, places) for key, value in what.env.items()}
        variables["DEVCLUSTER_ROOT"] = str(root)
        variables["DEVCLUSTER_HOSTS"] = places.get("/etc/hosts", "")
        if SERVICE_ACCOUNT in places:
            variables.setdefault("KUBECONFIG", str(folder / "kubeconfig"))
        return Launch([rewrite(part, places) for part in what.argv], variables, what.cwd, mounts=what.mounts)


def rewrite(text: str, places: Mapping[str, str]) -> str:
    """Replace each target path in `text` by its source: longest first, and only where a path begins."""
    if not places:
        return text
    targets = "|".join(re.escape(target) for target in sorted(places, key=len, reverse=True))
    return re.sub(rf"(?<![\w./-])({targets})(?![\w.-])", lambda found: places[found[1]], text)


async def choose_isolation(folder: Path, wanted: str = "auto") -> Isolation:
    """Try namespaces. `wanted`: auto, namespaces (raises StartError if they do not work), environment."""
    if wanted == "environment":
        return EnvironmentOnly()
    probe = folder / "isolation-probe"
    probe.mkdir(parents=True, exist_ok=True)
    target = f"/{probe.name}/{folder.name}"  # a path that no host has, so that the whole way is tried
    try:
        process = await launch(
            Launch(["/bin/sh", "-c", f"test -d {target}"], root=probe, mounts=[Mount(str(folder), target)]),
            asyncio.subprocess.DEVNULL,
        )
        works = await process.wait() == 0
    except StartError:
        if wanted == "namespaces":
            raise
        works = False
    else:
        if wanted == "namespaces" and not works:
            raise StartError("a mount in a user namespace did not appear")
    finally:
        probe.rmdir()
    return Namespaces() if works else EnvironmentOnly()
