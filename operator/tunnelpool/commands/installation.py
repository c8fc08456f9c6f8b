"""How the operator of a cluster is set up, read from its Deployment: a preview must decide as it does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tunnelpool.domain.errors import ApiError
from tunnelpool.domain.kinds import DEPLOYMENT
from tunnelpool.kube.client import KubeClient
from tunnelpool.settings import PREFIX, Settings

_MARK: Final = f"{PREFIX}NAMESPACE"
"""Whatever the chart's names are, the operator's container has this variable."""
_KNOWN: Final = frozenset(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)


@dataclass(frozen=True, slots=True)
class Installation:
    """Settings of the operator, and what stands in its `connector_ca_file`."""

    settings: Settings
    ca: str
    found: bool = True
    """Whether there is a Deployment; else these are the defaults."""


async def installation(
    client: KubeClient | None, namespace: str, environment: Mapping[str, str]
) -> Installation:
    """Read the settings of the operator in a namespace; variables of our own environment win.

    Raises:
        SettingsError: a variable of ours is refused.

    """
    deployment = await _deployment(client, namespace) if client is not None else None
    theirs = _variables(deployment) if deployment is not None else {}
    ours = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    settings = Settings.read({_MARK: namespace} | theirs | ours)
    ca = ""
    if f"{PREFIX}CONNECTOR_CA_FILE" in ours:
        ca = await asyncio.to_thread(Path(settings.connector_ca_file).read_text)
    elif settings.connector_ca_file and client is not None and deployment is not None:
        ca = await _mounted(client, deployment, settings.connector_ca_file)
    return Installation(settings, ca, found=deployment is not None)


async def _deployment(client: KubeClient, namespace: str) -> Mapping[str, Any] | None:
    try:
        answer = await client.request("GET", DEPLOYMENT.path(namespace))
    except ApiError:
        return None
    for one in answer.get("items") or ():
        if _MARK in {variable["name"] for variable in _environment(one)}:
            found: Mapping[str, Any] = one
            return found
    return None


def _environment(deployment: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return [variable for one in containers for variable in one.get("env") or ()]


def _variables(deployment: Mapping[str, Any]) -> dict[str, str]:
    """Take the variables with a value of their own that this version knows."""
    return {
        one["name"]: str(one["value"])
        for one in _environment(deployment)
        if one["name"] in _KNOWN and one.get("value")
    }


async def _mounted(client: KubeClient, deployment: Mapping[str, Any], file: str) -> str:
    """Read a file that the operator has from a ConfigMap; empty if it is not from one."""
    spec: Mapping[str, Any] = deployment["spec"]["template"]["spec"]
    path = PurePosixPath(file)
    mounts = [mount for one in spec["containers"] for mount in one.get("volumeMounts") or ()]
    volume = next((one["name"] for one in mounts if PurePosixPath(one["mountPath"]) == path.parent), "")
    sources = [one.get("configMap") for one in spec.get("volumes") or () if one["name"] == volume]
    if not sources or sources[0] is None:
        return ""
    source, namespace = sources[0], deployment["metadata"]["namespace"]
    found = await client.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{source['name']}")
    return str((found.get("data") or {}).get(path.name, ""))
