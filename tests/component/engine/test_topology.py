"""Who concerns whom: every reference is followed from both ends."""

from __future__ import annotations

from typing import Any

import pytest
from remote_account import ACCOUNT_ID, KeptClouds, RemoteAccount
from resources import HOST, tunnel
from running_world import DEFAULT_SECRET, LoopClock
from small_cluster import SmallCluster

from tunnelpool.build.manifests import labels
from tunnelpool.domain.keys import HostKey, Key, MonitorKey, PoolKey, TunnelKey
from tunnelpool.engine.credentials import Credentials, SecretRef
from tunnelpool.engine.store import Store
from tunnelpool.engine.topology import Topology

UNKNOWN = f"?{DEFAULT_SECRET.namespace}.{DEFAULT_SECRET.name}"
WEB, HOST_KEY, POOL = TunnelKey("default", "web"), HostKey(HOST), PoolKey(UNKNOWN, "my-pool")
STATIC, CHECK = PoolKey(UNKNOWN, "static"), MonitorKey("default", "web")


def raw(
    kind: str, name: str, spec: dict[str, Any], at: int = 0, namespace: str = "default"
) -> dict[str, Any]:
    """Write a resource of an age."""
    meta = {"name": name, "namespace": namespace, "uid": f"{kind}-{namespace}-{name}", "resourceVersion": "1"}
    return {
        "kind": kind,
        "metadata": {**meta, "creationTimestamp": f"2026-01-01T00:00:{at:02}Z"},
        "spec": spec,
    }


@pytest.fixture
def topology() -> Topology:
    clock = LoopClock()
    cluster, remote = SmallCluster(clock), RemoteAccount(clock)
    credentials = Credentials(cluster, KeptClouds({ACCOUNT_ID: remote}), clock, DEFAULT_SECRET)
    found = Topology(Store(), credentials)
    for one in (
        raw("Tunnel", "web", tunnel(pool="my-pool")),
        raw("LBPool", "my-pool", {"healthCheckRef": {"name": "web"}, "fallbackRef": {"name": "static"}}),
        raw("LBPool", "static", {"origins": [{"name": "o", "address": "192.0.2.1"}]}),
        raw("HealthCheck", "web", {}),
        raw("LoadBalancer", "lb", {"hostname": "lb.example.com", "pools": ["my-pool"]}),
    ):
        found.store.put(one["kind"], one)
    return found


def keys(topology: Topology, kind: str, name: str) -> set[Key]:
    """Ask for the keys of a resource."""
    there = topology.store.get(kind, "default", name)
    assert there is not None
    return topology.keys_of(kind, there)


def test_a_tunnel_concerns_its_pool_its_host_name_and_the_monitor_that_probes_it(topology: Topology) -> None:
    assert keys(topology, "Tunnel", "web") == {WEB, HOST_KEY, POOL, CHECK}


def test_a_pool_concerns_its_tunnels_their_host_names_its_check_and_its_fallback(topology: Topology) -> None:
    expected = {POOL, WEB, HOST_KEY, HostKey("lb.example.com"), CHECK, STATIC}
    assert keys(topology, "LBPool", "my-pool") == expected


def test_a_fallback_concerns_the_host_names_that_fall_back_to_it(topology: Topology) -> None:
    assert keys(topology, "LBPool", "static") == {STATIC, HOST_KEY}


def test_a_health_check_concerns_the_pools_that_refer_to_it(topology: Topology) -> None:
    assert keys(topology, "HealthCheck", "web") == {CHECK, POOL}


def test_a_load_balancer_concerns_its_host_name_and_pools(topology: Topology) -> None:
    assert keys(topology, "LoadBalancer", "lb") == {HostKey("lb.example.com"), POOL}


@pytest.mark.parametrize("kind", ["Deployment", "Secret", "PodDisruptionBudget", "Pod"])
def test_a_child_concerns_its_tunnel_and_a_pod_its_pool_too(topology: Topology, kind: str) -> None:
    child = raw(kind, "web-connector-0", {})
    child["metadata"]["labels"] = labels("web", 0)
    found = topology.keys_of(kind, child)
    assert WEB in found
    assert (POOL in found) is (kind == "Pod")
    del child["metadata"]["labels"]
    assert topology.keys_of(kind, child) == set()


@pytest.mark.parametrize("key", [WEB, HOST_KEY, POOL, STATIC, CHECK, HostKey("lb.example.com")])
def test_whom_a_key_concerns_is_never_itself(topology: Topology, key: Key) -> None:
    found = topology.neighbours(key)
    assert found
    assert key not in found


def test_what_a_pool_has_become_is_heard_by_tunnel_and_host_name(topology: Topology) -> None:
    assert {WEB, HOST_KEY, HostKey("lb.example.com")} <= topology.neighbours(POOL)
    assert {HOST_KEY} <= topology.neighbours(STATIC)
    assert {POOL} <= topology.neighbours(CHECK)
    assert {WEB, POOL} <= topology.neighbours(HOST_KEY)


def test_a_secret_concerns_all_that_is_worked_on_with_it(topology: Topology) -> None:
    assert {WEB, POOL, STATIC, CHECK, HOST_KEY} <= topology.keys_with(DEFAULT_SECRET)
    assert topology.keys_with(SecretRef("default", "another")) == set()


def test_the_oldest_claim_comes_first_and_then_namespace_and_name(topology: Topology) -> None:
    later = raw("Tunnel", "web", tunnel(pool="p", hostname="a.example.com"), at=2, namespace="a")
    first = raw("Tunnel", "web", tunnel(pool="p", hostname="b.example.com"), at=1, namespace="b")
    twin = raw("Tunnel", "aaa", tunnel(pool="p", hostname="c.example.com"), at=1, namespace="b")
    for one in (later, first, twin):
        topology.store.put("Tunnel", one)
    found = [(one.metadata.namespace, one.metadata.name) for one in topology.claims("p", UNKNOWN)]
    assert found == [("b", "aaa"), ("b", "web"), ("a", "web")]
    assert topology.claims("p", "another account") == ()


def test_an_lbpool_that_renames_its_pool_takes_the_tunnels_that_name_it_along(topology: Topology) -> None:
    topology.store.put("LBPool", raw("LBPool", "local", {"name": "remote-name"}))
    topology.store.put("Tunnel", raw("Tunnel", "two", tunnel(pool="local", hostname="two.example.com")))
    assert PoolKey(UNKNOWN, "remote-name") in keys(topology, "Tunnel", "two")
    assert [str(one) for one in topology.claims("remote-name", UNKNOWN)] == ["LBPool default/local"]
    assert topology.claims("local", UNKNOWN) == ()
    assert TunnelKey("default", "two") in topology.neighbours(PoolKey(UNKNOWN, "remote-name"))


def test_what_cannot_be_read_is_none_and_is_read_again_when_it_has_changed(topology: Topology) -> None:
    broken = raw("Tunnel", "odd", {"hostname": "odd.example.com", "replicas": -1})
    topology.store.put("Tunnel", broken)
    assert topology.typed("Tunnel", broken) is None
    mended = raw("Tunnel", "odd", tunnel(hostname="odd.example.com"))
    mended["metadata"]["resourceVersion"] = "2"
    assert topology.typed("Tunnel", mended) is not None


def test_rivals_of_another_namespace_hear_of_a_claim_those_of_another_account_do_not(
    topology: Topology,
) -> None:
    def rival(name: str, namespace: str, **spec: Any) -> TunnelKey:
        topology.store.put("Tunnel", raw("Tunnel", name, tunnel(**spec), namespace=namespace))
        return TunnelKey(namespace, name)

    at_host = rival("web", "other", pool="elsewhere")
    in_pool = rival("api", "other", hostname="api.example.com", pool="my-pool")
    own = {"credentialsRef": {"name": "own"}}
    rival("far", "other", hostname="far.example.com", pool="my-pool", **own)
    assert keys(topology, "Tunnel", "web") == {WEB, HOST_KEY, POOL, CHECK, at_host, in_pool}
    assert in_pool in keys(topology, "LBPool", "my-pool")
    assert TunnelKey("other", "far") not in keys(topology, "LBPool", "my-pool")
