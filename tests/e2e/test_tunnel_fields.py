"""Fields of a Tunnel, seen from a visitor's side."""

from __future__ import annotations

from demo.scene import SERVICE, WITHIN_S, Scene
from demo.traffic import TUNNELS, steady_traffic, visit
from demo.waiting import NotYetError, wait_for


async def wait_host(scene: Scene, hostname: str) -> None:
    """Wait until a visitor of a hostname reaches the application, which sees that name."""

    async def look() -> None:
        page = await visit(scene.stage.edge.facts, hostname)
        if page.get("host") != hostname:
            raise NotYetError(f"the page of {hostname} is {page}")

    await wait_for(f"an answer at {hostname}", look, within_s=WITHIN_S)


async def test_each_hostname_of_a_tunnel_is_answered_and_all_of_them_go_with_it(scene: Scene) -> None:
    api, docs = f"api-{scene.hostname}", f"docs-{scene.hostname}"
    further = [
        {"hostname": api, "service": SERVICE, "pool": f"{scene.pool}-api"},
        {"hostname": docs, "service": SERVICE},
    ]
    await scene.tunnel(replicas=1, ingress=further)
    await scene.wait_current()
    for hostname in (scene.hostname, api, docs):
        await wait_host(scene, hostname)
    told = (await scene.status("tunnels", "web"))["furtherHosts"]
    assert [(one["hostname"], one["answeredBy"]) for one in told] == [(api, "LoadBalancer"), (docs, "CNAME")]
    await scene.delete("tunnel", "web")
    await scene.wait_nothing_remote()


async def test_a_rotated_secret_replaces_every_connector_and_no_request_fails(scene: Scene) -> None:
    async def uids() -> set[str]:
        pods = await scene.stage.cluster.pods(scene.namespace, "tunnelpool.dev/tunnel=web")
        return {pod["metadata"]["uid"] for pod in pods}

    async def look() -> None:
        told = (await scene.status("tunnels", "web")).get("rotated")
        if told != "monday" or await uids() & before:
            raise NotYetError(f"rotated: {told}")

    await scene.tunnel(replicas=1, drainSeconds=2)
    await scene.wait_current()
    await wait_host(scene, scene.hostname)
    before = await uids()
    async with steady_traffic(scene.stage.edge.facts, scene.hostname, 20.0) as traffic:
        await scene.stage.cluster.kubectl(
            "annotate", "tunnel", "web", "tunnelpool.dev/rotate=monday", "--namespace", scene.namespace
        )
        await wait_for("new connectors alone", look, within_s=WITHIN_S)
    assert traffic.samples
    assert [one for one in traffic.samples if one.failed or one.source != TUNNELS] == []
