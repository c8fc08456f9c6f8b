"""A corner of the stage for one test: a namespace, a host name and a pool name that nobody else uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import uuid4

from demo.decoys import COLLECTIONS
from demo.kstatus import condition, explain
from demo.stage import ZONE, Stage
from demo.traffic import steady_traffic, visit
from demo.waiting import NotYetError, wait_for
from devcluster.api import ApiError

PREFIX = "scene-"
NOT_FOUND = 404
WITHIN_S = 45.0
SERVICE = "http://web.default.svc:8080"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """The corner. Made by `Scene.enter`."""

    stage: Stage
    namespace: str
    hostname: str
    pool: str

    @classmethod
    async def enter(cls, stage: Stage, labels: Mapping[str, str] | None = None) -> Self:
        """Make the namespace, with labels of one's own."""
        name = f"{PREFIX}{uuid4().hex[:8]}"
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": dict(labels or {})},
        }
        await stage.cluster.api.create("/api/v1/namespaces", namespace)
        return cls(stage, name, f"{name}.{ZONE}", name)

    async def twin(self, stage: Stage) -> Self:
        """Make the same corner on another stage: the same names, in another cluster."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        await stage.cluster.api.create("/api/v1/namespaces", namespace)
        return replace(self, stage=stage)

    async def leave(self) -> None:
        """Delete the namespace with all that is in it, and do not wait for that."""
        try:
            await self.stage.cluster.api.delete(f"/api/v1/namespaces/{self.namespace}")
        except ApiError as error:
            if error.status != NOT_FOUND:  # it may have left already
                raise

    async def apply(self, manifests: str) -> None:
        """Apply YAML in the namespace."""
        await self.stage.cluster.apply(manifests, self.namespace)

    async def tunnel(self, name: str = "web", **spec: Any) -> None:
        """Apply a Tunnel of the scene's host name and pool; None leaves a field out. It drains at once."""
        usual = {"hostname": self.hostname, "service": SERVICE, "pool": self.pool, "drainSeconds": 0}
        await self.put("Tunnel", name, usual | spec)

    async def put(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        """Apply one of our resources; None leaves a field out."""
        given = {field: value for field, value in spec.items() if value is not None}
        manifest = {
            "apiVersion": "tunnelpool.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": given,
        }
        await self.apply(json.dumps(manifest))

    async def secret(self, name: str, **data: str) -> None:
        """Apply a Secret."""
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
        await self.apply(json.dumps(manifest))

    async def delete(self, kind: str, *names: str) -> None:
        """Delete resources and wait until their finalizers have let go."""
        await self.stage.cluster.kubectl(
            "delete", kind, *names, "--namespace", self.namespace, f"--timeout={WITHIN_S:.0f}s"
        )

    async def status(self, plural: str, name: str) -> Json:
        """Read the status of a resource; empty if it has none or is not there."""
        raw = await self.stage.cluster.resource(plural, self.namespace, name) or {}
        return dict(raw.get("status") or {})

    async def wait_reason(self, plural: str, name: str, reason: str, kind: str = "Ready") -> str:
        """Wait for the reason of a condition and return its message.

        Raises:
            WaitedInVainError: it did not come.

        """

        async def look() -> str:
            raw = await self.stage.cluster.resource(plural, self.namespace, name)
            if raw is None:
                raise NotYetError("the resource is not there")
            found = condition(raw, kind)
            if found.get("reason") != reason:
                raise NotYetError(explain(raw | {"kind": plural}))
            return str(found["message"])

        return await wait_for(f"{plural} {name} to say {reason}", look, within_s=WITHIN_S)

    async def wait_current(self) -> None:
        """Wait until every resource of the namespace is as it should be."""
        await self.stage.cluster.wait_current(self.namespace, within_s=WITHIN_S)

    async def wait_answered_by(self, source: str) -> None:
        """Wait until a visitor of the host name is answered by a source."""
        async with steady_traffic(self.stage.edge.facts, self.hostname, 5.0) as traffic:
            await traffic.wait_settled(source, for_s=0.5, within_s=WITHIN_S)

    async def page(self) -> Json:
        """Visit the host name once; returns the application's JSON, empty if something else answered."""
        return await visit(self.stage.edge.facts, self.hostname)

    async def remote(self) -> list[str]:
        """Name what the edge holds of this scene: objects that carry its namespace or names."""
        state = await self.stage.edge.state()
        return [
            f"{collection} {one.get('name') or one['id']}"
            for collection in COLLECTIONS
            for one in state[collection]
            if not one.get("deleted_at") and self.namespace in json.dumps(one)
        ]

    async def wait_nothing_remote(self) -> None:
        """Wait until the edge holds nothing of this scene.

        Raises:
            WaitedInVainError: something is left.

        """

        async def look() -> None:
            if left := await self.remote():
                raise NotYetError(f"left: {left}")

        await wait_for(f"nothing of {self.namespace} at the edge", look, within_s=WITHIN_S)
