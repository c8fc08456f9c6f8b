"""What the chart makes of its values."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import pytest
import yaml

from tunnelpool.crd.manifests import crd_manifests
from tunnelpool.crd.v1alpha1 import KINDS
from tunnelpool.domain.ownership import CLUSTER_NAME
from tunnelpool.settings import PREFIX, Settings

Objects: TypeAlias = list[dict[str, Any]]
Render: TypeAlias = Callable[..., Objects]

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm/tunnelpool"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
CA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
LOCAL_EDGE = {"connector": {"edge": "127.0.0.1:7844", "caBundle": CA, "protocol": "http2"}}


def _kind(objects: Objects, kind: str) -> Objects:
    return [one for one in objects if one["kind"] == kind]


def _pod(objects: Objects) -> dict[str, Any]:
    (deployment,) = _kind(objects, "Deployment")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def _environment(objects: Objects) -> dict[str, Any]:
    (container,) = _pod(objects)["containers"]
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def _leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in {"resources", "nodeSelector"}:
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_the_committed_install_yaml_is_current(render: Render) -> None:
    committed = [one for one in yaml.safe_load_all((ROOT / "install.yaml").read_text()) if one]
    assert committed == render({"createNamespace": True}), "run `helm/render-install > install.yaml`"


def test_the_chart_lints_without_a_warning(helm: Path) -> None:
    result = subprocess.run(  # noqa: S603 - Helm on our own chart
        [helm, "lint", "--strict", "--quiet", CHART], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_chart_and_its_image_have_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert chart["version"] == chart["appVersion"] == version[1]
    assert [one["kind"] for one in yaml.safe_load(chart["annotations"]["artifacthub.io/crds"])] == list(KINDS)


@pytest.mark.parametrize("path", list(_leaves(VALUES)))
def test_every_value_is_used_described_and_judged(path: str) -> None:
    templates = "".join(file.read_text() for file in CHART.glob("templates/**/*") if file.is_file())
    assert re.search(rf"\.Values\.{re.escape(path)}\b", templates), "no template reads it"
    name = re.escape(path.rsplit(".", 1)[-1])
    above = re.search(rf"((?:^ *#.*\n)+) *{name}:", (CHART / "values.yaml").read_text(), re.MULTILINE)
    assert above is not None, "no comment stands above it"
    assert "# -- " in above[1]
    node = SCHEMA
    for part in path.split("."):
        node = node["properties"][part]


def test_the_defaults_keep_to_the_schema_and_the_schema_knows_no_other_value() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(VALUES)
    assert set(SCHEMA["properties"]) - {"global"} == set(VALUES)
    for name, value in VALUES.items():
        if isinstance(value, dict) and "properties" in SCHEMA["properties"][name] and name != "resources":
            assert set(SCHEMA["properties"][name]["properties"]) == set(value)
            assert SCHEMA["properties"][name]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"clustername": "a"}, "clustername"),
        ({"clusterName": "under_score"}, "clusterName"),
        ({"connector": {"protocol": "http3"}}, "protocol"),
        ({"connector": {"edge": "127.0.0.1"}}, "edge"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"log": {"level": "trace"}}, "level"),
        ({"fastFailover": "yes"}, "fastFailover"),
        ({"hostnamePolicy": [{"namespaces": ["a"]}]}, "hostnames"),
        ({"hostnamePolicy": [{"namespaces": ["A"], "hostnames": ["*"]}]}, "namespaces"),
    ],
)
def test_a_wrong_value_is_refused_by_name(values: dict[str, Any], complaint: str, render: Render) -> None:
    with pytest.raises(Exception, match=complaint):
        render(values)


def test_a_cluster_name_that_the_chart_takes_is_one_that_marks_can_hold() -> None:
    pattern = SCHEMA["properties"]["clusterName"]["pattern"]
    assert pattern.replace("{0,36}", "{1,36}") == CLUSTER_NAME.pattern


def test_definitions_are_those_of_crds_and_stay_on_uninstall(render: Render) -> None:
    found = {one["metadata"]["name"]: one for one in _kind(render(), "CustomResourceDefinition")}
    assert {name: one["spec"] for name, one in found.items()} == {
        manifest["metadata"]["name"]: manifest["spec"] for manifest in crd_manifests()
    }
    for one in found.values():
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    loose = _kind(render({"crds": {"keep": False, "annotations": {"a": "b"}}}), "CustomResourceDefinition")
    assert all(one["metadata"]["annotations"] == {"a": "b"} for one in loose)
    assert not _kind(render({"crds": {"enabled": False}}), "CustomResourceDefinition")


def test_values_become_the_environment_of_the_operator(render: Render) -> None:
    assert _environment(render()) == {
        "POD_IP": {"fieldRef": {"fieldPath": "status.podIP"}},
        "TUNNELPOOL_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "TUNNELPOOL_LEASE_NAME": "tunnelpool",
        "TUNNELPOOL_LISTEN": "$(POD_IP):8080",
        "TUNNELPOOL_CLUSTER_NAME": "",
        "TUNNELPOOL_TAKE_OVER_FROM": "",
        "TUNNELPOOL_API_URL": "https://api.cloudflare.com/client/v4",
        "TUNNELPOOL_CREDENTIALS_SECRET": "cloudflare-credentials",
        "TUNNELPOOL_CONNECTOR_IMAGE": VALUES["connector"]["image"],
        "TUNNELPOOL_CONNECTOR_PROTOCOL": "auto",
        "TUNNELPOOL_CONNECTOR_EDGE": "",
        "TUNNELPOOL_FAST_FAILOVER": "true",
        "TUNNELPOOL_MASS_DELETION": "false",
        "TUNNELPOOL_LOG_FORMAT": "json",
        "TUNNELPOOL_LOG_LEVEL": "info",
    }
    others = _environment(render({"clusterName": "london", "fastFailover": False, "log": {"level": "debug"}}))
    assert others["TUNNELPOOL_CLUSTER_NAME"] == "london"
    assert others["TUNNELPOOL_FAST_FAILOVER"] == "false"
    assert others["TUNNELPOOL_LOG_LEVEL"] == "debug"


def test_the_policy_of_hostnames_arrives_as_it_was_written(render: Render) -> None:
    entry = {"namespaces": ["shop-*"], "hostnames": ["*.shop.example.com", "bücher.example.com"]}
    given = _environment(render({"hostnamePolicy": [entry]}))["TUNNELPOOL_HOSTNAME_POLICY"]
    policy = Settings.read({"TUNNELPOOL_HOSTNAME_POLICY": str(given)}).hostname_policy
    assert policy.allows("shop-eu", "a.shop.example.com")
    assert policy.allows("shop-eu", "xn--bcher-kva.example.com")
    assert not policy.allows("other", "a.shop.example.com")


def test_every_variable_is_a_setting_and_the_default_is_the_settings_own(render: Render) -> None:
    environment = {name: str(value) for name, value in _environment(render(LOCAL_EDGE)).items()}
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    Settings.read({**given, "TUNNELPOOL_NAMESPACE": "x", "TUNNELPOOL_LISTEN": "10.0.0.1:8080"})
    own = {
        "namespace",
        "listen",
        "connector_edge",
        "connector_ca_file",
        "connector_protocol",
        "connector_image",
    }
    for name, value in given.items():
        field = name.removeprefix(PREFIX).lower()
        if field not in own:
            assert value.lower() == str(Settings.model_fields[field].default).lower(), name
    default = _environment(render())["TUNNELPOOL_CONNECTOR_IMAGE"]
    assert default == f"docker.io/{Settings().connector_image}"


def test_no_service_of_the_namespace_can_slip_a_setting_in(render: Render) -> None:
    assert _pod(render())["enableServiceLinks"] is False


def test_the_address_of_the_pod_is_known_before_it_is_used(render: Render) -> None:
    names = list(_environment(render()))
    assert names.index("POD_IP") < names.index("TUNNELPOOL_LISTEN")


def test_the_certificates_of_a_local_edge_are_mounted_and_a_change_restarts_the_operator(
    render: Render,
) -> None:
    objects = render(LOCAL_EDGE)
    (config,) = _kind(objects, "ConfigMap")
    assert config["data"] == {"ca.crt": CA}
    environment = _environment(objects)
    assert environment["TUNNELPOOL_CONNECTOR_CA_FILE"] == "/etc/tunnelpool/edge/ca.crt"
    assert environment["TUNNELPOOL_CONNECTOR_EDGE"] == "127.0.0.1:7844"
    pod = _pod(objects)
    (mount,) = pod["containers"][0]["volumeMounts"]
    (volume,) = pod["volumes"]
    assert (mount["mountPath"], mount["name"]) == ("/etc/tunnelpool/edge", volume["name"])
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    other = render({"connector": {**LOCAL_EDGE["connector"], "caBundle": CA.replace("AAAA", "BBBB")}})
    sums = [
        _kind(one, "Deployment")[0]["spec"]["template"]["metadata"]["annotations"]["checksum/edge-ca"]
        for one in (objects, other)
    ]
    assert sums[0] != sums[1]


@pytest.mark.parametrize("values", [{}, LOCAL_EDGE], ids=["production", "local edge"])
def test_the_pod_satisfies_pod_security_restricted(values: dict[str, Any], render: Render) -> None:
    pod = _pod(render(values))
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert all(set(volume) == {"name", "configMap"} for volume in pod.get("volumes", []))
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert not any("hostPort" in port for port in container["ports"])


def test_being_alive_asks_less_than_being_ready(render: Render) -> None:
    (container,) = _pod(render())["containers"]
    assert container["args"] == ["run"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert container["livenessProbe"]["failureThreshold"] > 1


def test_an_update_starts_the_next_operator_before_it_stops_the_last(render: Render) -> None:
    for replicas in (1, 2):
        (deployment,) = _kind(render({"replicas": replicas}), "Deployment")
        assert deployment["spec"]["replicas"] == replicas
        assert deployment["spec"]["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        }


def test_operators_of_one_release_meet_at_one_lease(render: Render) -> None:
    objects = render({"fullnameOverride": "other"}, namespace="elsewhere")
    assert _environment(objects)["TUNNELPOOL_LEASE_NAME"] == "other"
    (role,) = _kind(objects, "Role")
    assert role["metadata"]["namespace"] == "elsewhere"
    leases = [rule for rule in role["rules"] if rule["resources"] == ["leases"]]
    assert [rule.get("resourceNames") for rule in leases] == [["other"], None]


def test_several_operators_are_spread_and_not_evicted_together_and_one_can_be_evicted(render: Render) -> None:
    assert not _kind(render({"replicas": 1}), "PodDisruptionBudget")
    assert "topologySpreadConstraints" not in _pod(render({"replicas": 1}))
    objects = render({"replicas": 2})
    (budget,) = _kind(objects, "PodDisruptionBudget")
    (deployment,) = _kind(objects, "Deployment")
    assert budget["spec"] == {"maxUnavailable": 1, "selector": deployment["spec"]["selector"]}
    (spread,) = _pod(objects)["topologySpreadConstraints"]
    assert spread["labelSelector"] == deployment["spec"]["selector"]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "ghcr.io/tunnelpool/tunnelpool:0.1.0"),
        ({"tag": "edge"}, "ghcr.io/tunnelpool/tunnelpool:edge"),
        ({"tag": "edge", "digest": f"sha256:{'a' * 64}"}, f"ghcr.io/tunnelpool/tunnelpool@sha256:{'a' * 64}"),
        ({"repository": "mirror/tunnelpool"}, "mirror/tunnelpool:0.1.0"),
    ],
)
def test_the_image_is_named_by_digest_tag_or_version(
    image: dict[str, str], expected: str, render: Render
) -> None:
    assert _pod(render({"image": image}))["containers"][0]["image"] == expected


def test_everything_is_labelled_and_in_the_release_namespace(render: Render) -> None:
    for one in render({"createNamespace": True}, namespace="elsewhere"):
        assert one["metadata"]["labels"]["app.kubernetes.io/name"] == "tunnelpool"
        assert one["metadata"]["labels"]["app.kubernetes.io/version"] == "0.1.0"
        if one["kind"] in {"Deployment", "ServiceAccount", "ConfigMap"}:
            assert one["metadata"]["namespace"] == "elsewhere"
        if one["kind"] == "Namespace":
            assert one["metadata"]["name"] == "elsewhere"
            assert one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_pods_labels_cannot_be_talked_out_of_the_selector(render: Render) -> None:
    (deployment,) = _kind(
        render({"podLabels": {"app.kubernetes.io/name": "other", "team": "web"}}), "Deployment"
    )
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "web"
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_rendering_twice_gives_the_same(helm: Path) -> None:
    runs = {
        subprocess.run(  # noqa: S603 - Helm on our own chart
            [helm, "template", "a-long-release-name", CHART], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(runs) == 1
    assert "name: a-long-release-name-tunnelpool\n" in runs.pop()
