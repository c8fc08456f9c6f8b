"""Previews of the engine's test world."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from remote_account import KeptClouds
from running_world import DEFAULT_SECRET, OWNER, World

from tunnelpool.build.snapshot import ConnectorDefaults, Site
from tunnelpool.domain.keeping import kept
from tunnelpool.domain.kinds import WATCHED
from tunnelpool.engine.store import Store
from tunnelpool.engine.topology import KINDS
from tunnelpool.plan.render import action_of, kind_of
from tunnelpool.plan.steps import SetFinalizer, Step
from tunnelpool.preview.cluster import GivenSecrets
from tunnelpool.preview.manifests import lay_over, read
from tunnelpool.preview.names import Names
from tunnelpool.preview.passing_time import PassingTime
from tunnelpool.preview.report import Preview
from tunnelpool.preview.simulation import Simulation


def manifest(kind: str, name: str, spec: Mapping[str, Any]) -> str:
    """Write a manifest as JSON, which is YAML."""
    head = {"apiVersion": "tunnelpool.dev/v1alpha1", "kind": kind}
    return json.dumps({**head, "metadata": {"name": name}, "spec": spec})


async def preview(world: World, *manifests: str, prune: bool = False, now: float | None = None) -> Preview:
    """Plan the whole world, with manifests laid over it."""
    store, names = Store(), Names()
    for raw in world.cluster.all(*(kind.name for kind in WATCHED)):
        store.put(raw["kind"], kept(raw["kind"], raw))
    clock = PassingTime(world.remote.clock.now() if now is None else now)
    simulation = Simulation(
        store,
        site=Site(OWNER, ConnectorDefaults("cloudflared:test")),
        clouds=KeptClouds(world.remotes),
        secrets=GivenSecrets(world.cluster, DEFAULT_SECRET, None, {}),
        own=DEFAULT_SECRET,
        clock=clock,
        names=names,
    )

    def resources() -> list[tuple[str, Any]]:
        return [(kind, raw) for kind in KINDS for raw in store.all(kind)]

    await simulation.open()
    keys = simulation.keys_of(resources())
    given = read([("test", "\n---\n".join(manifests))] if manifests else [], "default")
    changes = lay_over(store, given, clock.now(), prune=prune)
    await simulation.open()
    keys |= await simulation.remains()
    followed = [(str(raw["kind"]), raw) for raw in given.followed]
    outcome = await simulation.run(keys | simulation.keys_of([*resources(), *followed]))
    return Preview(changes, outcome, names)


def tally(steps: Iterable[Step]) -> Counter[str]:
    """Count steps by what they do to which kind of object; finalizers aside."""
    return Counter(
        f"{action_of(step)} {kind_of(step)}" for step in steps if not isinstance(step, SetFinalizer)
    )
