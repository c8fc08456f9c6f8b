"""What must come first: the configuration before an answer, another CNAME before a tunnel goes."""

from __future__ import annotations

from snapshots import NOW, SITE, member, raw, slot, snapshot, tunnel

from tunnelpool.build import host as host_builder
from tunnelpool.build import pool as pool_builder
from tunnelpool.build.snapshot import HostSnapshot, TunnelSnapshot
from tunnelpool.domain.remote import Zone
from tunnelpool.plan.tunnel import plan


def test_an_origin_joins_only_once_its_tunnel_knows_the_hostname() -> None:
    early, late = slot(0, configured=False), slot(1)
    desired = pool_builder.build(snapshot(member(early, late)), SITE, NOW).desired
    assert desired is not None
    assert [origin.name[-1] for origin in desired.origins] == ["1"]


def test_a_cname_comes_only_once_its_tunnel_knows_the_hostname() -> None:
    plain = tunnel(pool=None)
    for configured in (False, True):
        one = member(slot(configured=configured), of=plain)
        seen = HostSnapshot(plain.spec.hostname, "default", members=(one,), zone=Zone("z", "example.com"))
        assert (host_builder.build(seen, SITE).record is not None) is configured


def test_a_tunnel_that_a_cname_points_to_stays_until_the_cname_has_turned() -> None:
    def steps(pointed_at: frozenset[str], *, gone: bool = False) -> bool:
        there = {**raw("Tunnel", "web", {}), "kind": "Tunnel"}
        there["metadata"]["finalizers"] = ["tunnelpool.dev/cleanup"]
        leaving = slot(1, leaving=True, deployment=raw("Deployment", "web-connector-1", {}))
        seen = TunnelSnapshot("default", "web", tunnel(gone=gone), there, (leaving,), pointed_at=pointed_at)
        return any("web-connector-1" in str(step) for step in plan(seen, SITE))

    assert not steps(frozenset({"tunnel-web-1"}))
    assert steps(frozenset({"tunnel-web-0"}))
    assert steps(frozenset({"tunnel-web-1"}), gone=True)
