"""The connector's Deployment, Secret and budget: restricted, replaced before stopped, without a secret."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from snapshots import HOST, SITE, tunnel

from tunnelpool.build.manifests import (
    HASH_ANNOTATION,
    deployment,
    disruption_budget,
    ingress,
    secret,
    wanted_slots,
)
from tunnelpool.build.snapshot import ConnectorDefaults
from tunnelpool.domain.json import thaw

EDGE = ConnectorDefaults("image", "http2", "127.0.0.1:7844", "-----BEGIN CERTIFICATE-----")


def pod_of(defaults: ConnectorDefaults = SITE.connector, **spec: Any) -> dict[str, Any]:
    """Build the pod spec of a connector."""
    built = thaw(deployment(tunnel(**spec), 0, "id-0", defaults))
    pod: dict[str, Any] = built["spec"]["template"]["spec"]
    return pod


def env_of(pod: dict[str, Any]) -> dict[str, str]:
    """Read the environment of the connector."""
    return {one["name"]: one["value"] for one in pod["containers"][0]["env"] if "value" in one}


def test_a_pod_passes_pod_security_restricted() -> None:
    pod = pod_of()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
    assert {tuple(volume.keys() - {"name"}) for volume in pod["volumes"]} == {("secret",)}
    assert pod["automountServiceAccountToken"] is False


def test_the_next_connector_starts_before_the_last_one_ends() -> None:
    spec = thaw(deployment(tunnel(), 0, "id-0", SITE.connector))["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    assert spec["replicas"] == 1
    assert thaw(disruption_budget(tunnel()))["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("drain_s", [1, 15, 600])
def test_pre_stop_covers_the_drain_and_the_grace_period_exceeds_it_and_cloudflareds_own(drain_s: int) -> None:
    pod = pod_of(drainSeconds=drain_s)
    assert pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == drain_s
    own_s = int(env_of(pod)["TUNNEL_GRACE_PERIOD"].removesuffix("s"))
    assert pod["terminationGracePeriodSeconds"] > drain_s + own_s


def test_without_drain_there_is_no_pre_stop() -> None:
    assert "lifecycle" not in pod_of(drainSeconds=0)["containers"][0]


def test_a_lost_node_is_left_within_30_s() -> None:
    tolerated = {one["key"]: one["tolerationSeconds"] for one in pod_of()["tolerations"]}
    assert tolerated == {
        "node.kubernetes.io/not-ready": 30,
        "node.kubernetes.io/unreachable": 30,
    }


@pytest.mark.parametrize("connections", [1, 4])
def test_the_edge_is_given_once_more_than_there_are_connections(connections: int) -> None:
    environment = env_of(pod_of(EDGE, connections=connections))
    assert environment["TUNNEL_EDGE"].split(",") == [EDGE.edge] * (connections + 1)


def test_production_and_a_local_edge_differ_in_three_variables_and_the_image() -> None:
    there, here = env_of(pod_of()), env_of(pod_of(EDGE))
    differ = {name for name in {*there, *here} if there.get(name) != here.get(name)}
    assert differ == {"TUNNEL_EDGE", "TUNNEL_CACERT", "TUNNEL_TRANSPORT_PROTOCOL", "TUNNEL_NO_PRECHECKS"}


def test_the_token_is_a_file_and_stands_in_no_argument_variable_or_plan() -> None:
    pod = pod_of()
    assert env_of(pod)["TUNNEL_TOKEN_FILE"].endswith("/token")
    assert set(thaw(secret(tunnel(), 0, "id-0", ""))["data"]) == {"config.yaml"}
    assert set(thaw(secret(tunnel(), 0, "id-0", EDGE.ca))["data"]) == {"ca.pem", "config.yaml"}
    assert not re.search(r"--token", str(pod))


def test_everything_belongs_to_its_tunnel() -> None:
    built = tunnel()
    for manifest in (
        deployment(built, 0, "id-0", SITE.connector),
        secret(built, 0, "id-0", ""),
        disruption_budget(built),
    ):
        meta = thaw(manifest)["metadata"]
        (owner,) = meta["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (built.metadata.uid, True)
        assert meta["namespace"] == "default"
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "tunnelpool"


def test_the_hash_follows_what_is_asked_and_nothing_else() -> None:
    def hash_of(**spec: Any) -> str:
        meta = thaw(deployment(tunnel(**spec), 0, "id-0", SITE.connector))["metadata"]
        text: str = meta["annotations"][HASH_ANNOTATION]
        return text

    assert hash_of() == hash_of()
    assert hash_of() == hash_of(weight=0.5)
    assert hash_of() != hash_of(connections=2)


def test_what_a_user_says_of_the_pods_is_there_and_cannot_move_a_selector() -> None:
    template = {
        "image": "mine",
        "resources": {"limits": {"memory": "128Mi"}},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "edge", "operator": "Exists"}],
        "labels": {"app.kubernetes.io/name": "other", "team": "web"},
        "annotations": {"note": "yes"},
        "priorityClassName": "high",
    }
    built = thaw(deployment(tunnel(podTemplate=template), 0, "id-0", SITE.connector))["spec"]
    pod = built["template"]
    assert pod["metadata"]["labels"]["team"] == "web"
    assert built["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert pod["metadata"]["annotations"]["note"] == "yes"
    assert pod["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert pod["spec"]["priorityClassName"] == "high"
    assert len(pod["spec"]["tolerations"]) == 3
    (container,) = pod["spec"]["containers"]
    assert (container["image"], container["resources"]) == ("mine", {"limits": {"memory": "128Mi"}})


def test_the_configuration_sends_the_hostname_to_the_service_and_refuses_all_else() -> None:
    assert thaw(ingress(tunnel())) == {
        "ingress": [
            {"hostname": HOST, "service": "http://web.default.svc:8080"},
            {"service": "http_status:404"},
        ]
    }
    ref = tunnel(service=None, serviceRef={"name": "web", "port": 8443, "scheme": "https"})
    assert thaw(ingress(ref))["ingress"][0]["service"] == "https://web.default.svc:8443"


@pytest.mark.parametrize(
    ("spec", "slots", "pods"),
    [
        ({"replicas": 3}, 3, 1),
        ({"replicas": 0}, 0, 1),
        ({"replicas": 3, "registration": "Shared"}, 1, 3),
        ({"replicas": 3, "pool": None}, 1, 3),
        ({"replicas": 0, "pool": None}, 0, 0),
    ],
)
def test_each_replica_is_an_origin_unless_they_share_one_tunnel(
    spec: dict[str, Any], slots: int, pods: int
) -> None:
    assert wanted_slots(tunnel(**spec)) == slots
    assert thaw(deployment(tunnel(**spec), 0, "id-0", SITE.connector))["spec"]["replicas"] == pods


def test_a_slow_drain_is_not_cut_short_by_another_connector_setting() -> None:
    site = replace(SITE, connector=EDGE)
    assert env_of(pod_of(site.connector, protocol="quic"))["TUNNEL_TRANSPORT_PROTOCOL"] == "quic"
