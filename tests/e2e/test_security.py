"""Secrets stay secret, pods satisfy Pod Security `restricted`."""

from __future__ import annotations

import json

from demo.scene import Scene
from demo.stage import Stage

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


async def test_connectors_start_where_pod_security_restricted_is_enforced(theatre: Stage) -> None:
    scene = await Scene.enter(theatre, RESTRICTED)
    try:
        await scene.tunnel(replicas=1)
        await scene.wait_current()
        assert (await scene.status("tunnels", "web"))["readyReplicas"] == 1
    finally:
        await scene.leave()


async def test_no_token_stands_in_logs_events_or_resources(theatre: Stage, scene: Scene) -> None:
    await scene.tunnel(replicas=1)
    await scene.wait_current()
    tokens = await theatre.tunnel_tokens()
    assert tokens, "there is no token to look for"
    api = theatre.cluster.api
    places = {
        "the operator's log": theatre.operator_log(),
        "Events": json.dumps(await api.get("/apis/events.k8s.io/v1/events")),
        "our resources": json.dumps(await theatre.cluster.resources()),
        "Deployments": json.dumps(await api.get("/apis/apps/v1/deployments")),
        "Pods": json.dumps(await api.get("/api/v1/pods")),
    }
    assert "starts" in places["the operator's log"]
    for token in (theatre.edge.facts.api_token, *tokens):
        assert [place for place, text in places.items() if token in text] == []
