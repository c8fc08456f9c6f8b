"""Resources that tests apply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from running_world import World

HOST = "my.example.com"
KINDS = ("Tunnel", "LBPool", "HealthCheck", "LoadBalancer")


def tunnel(**fields: Any) -> dict[str, Any]:
    """Write the spec of a Tunnel; fields in camelCase."""
    return {"hostname": HOST, "service": "http://web.default.svc:8080", **fields}


def apply_tunnel(world: World, name: str = "web", **fields: Any) -> None:
    """Apply a Tunnel of the pool `my-pool`, unless the fields say otherwise (None takes one away)."""
    spec = tunnel(**{"pool": "my-pool", **fields})
    world.cluster.apply("Tunnel", name, {field: value for field, value in spec.items() if value is not None})


def apply_static(world: World, name: str = "static", **fields: Any) -> None:
    """Apply a pool of one address."""
    origin = {"name": "static", "address": "fallback.example.net", "hostHeader": HOST}
    world.cluster.apply("LBPool", name, {"origins": [origin], **fields})


def apply_quickstart(world: World, replicas: int = 3) -> None:
    """Apply what examples/quickstart.yaml holds."""
    apply_tunnel(world, replicas=replicas)
    pool = {"minimumOrigins": 2, "healthCheckRef": {"name": "web"}, "fallbackRef": {"name": "static"}}
    world.cluster.apply("LBPool", "my-pool", pool)
    world.cluster.apply("HealthCheck", "web", {"path": "/healthz"})
    apply_static(world)


def patch(world: World, kind: str, name: str, **fields: Any) -> None:
    """Change fields of a spec."""
    raw = world.cluster.get(kind, name)
    assert raw is not None
    spec: Mapping[str, Any] = {**raw["spec"], **fields}
    world.cluster.apply(kind, name, {field: value for field, value in spec.items() if value is not None})


def annotate(world: World, kind: str, name: str, **annotations: str) -> None:
    """Set the annotations of a resource, `tunnelpool.dev/` before each."""
    raw = world.cluster.get(kind, name)
    assert raw is not None
    given = {f"tunnelpool.dev/{key}": value for key, value in annotations.items()}
    world.cluster.write({**raw, "metadata": {**raw["metadata"], "annotations": given}})


def delete_all(world: World) -> None:
    """Delete every custom resource."""
    for raw in world.cluster.all(*KINDS):
        world.cluster.delete(raw["kind"], raw["metadata"]["name"], raw["metadata"]["namespace"])
