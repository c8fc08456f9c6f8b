"""Manifests to start from, checked as the API server would check them."""

from __future__ import annotations

from typing import Any

import yaml

from tunnelpool.crd.parsing import InvalidResourceError, parse
from tunnelpool.domain.hostnames import canonical_hostname


class InvalidInputError(ValueError):
    """What was asked for makes no valid manifest; the message says which field and why."""


def tunnel_manifest(
    *,
    hostname: str,
    url: str,
    pool: str | None = None,
    name: str | None = None,
    replicas: int | None = None,
    namespace: str | None = None,
) -> str:
    """Write a Tunnel as YAML.

    Raises:
        InvalidInputError: the host name, the URL or the pool would be refused by the API server.

    """
    host = canonical_hostname(hostname)
    meta: dict[str, Any] = {"name": name or host.split(".")[0]}
    if namespace:
        meta["namespace"] = namespace
    spec: dict[str, Any] = {"hostname": host, "service": url.rstrip("/")}
    if pool:
        spec["pool"] = pool
    if replicas is not None:
        spec["replicas"] = replicas
    manifest = {"apiVersion": "tunnelpool.dev/v1alpha1", "kind": "Tunnel", "metadata": meta, "spec": spec}
    try:
        parse("Tunnel", manifest)
    except InvalidResourceError as error:
        raise InvalidInputError(str(error)) from None
    return yaml.safe_dump(manifest, sort_keys=False)
