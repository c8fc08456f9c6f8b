"""The kustomization that points install.yaml at a local edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.installation import credentials, read_operator, write_kustomization
from demo.stage import INSTALL


def written(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / name).read_text())
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ca = tmp_path / "ca.pem"
    ca.write_text("a certificate\n")
    write_kustomization(
        tmp_path / "install",
        INSTALL,
        api_url="http://127.0.0.1:1/client/v4",
        edge="127.0.0.1:2",
        ca_file=ca,
        settings={"TUNNELPOOL_FAST_FAILOVER": "false"},
    )
    return tmp_path / "install"


def test_the_operator_is_the_one_deployment_of_install_yaml() -> None:
    operator = read_operator(INSTALL.read_text())
    assert operator.user == f"system:serviceaccount:tunnelpool-system:{operator.service_account}"
    assert "=" in operator.selector


def test_manifests_without_a_deployment_are_refused() -> None:
    with pytest.raises(ValueError, match="one Deployment, not 0"):
        read_operator("kind: Namespace")


def test_the_patch_is_for_the_container_of_install_yaml_and_changes_only_where_things_are(
    folder: Path,
) -> None:
    operator = read_operator(INSTALL.read_text())
    patch = written(folder, "operator.yaml")
    assert patch["metadata"]["name"] == operator.deployment
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    assert container["name"] == operator.container
    assert {one["name"]: one["value"] for one in container["env"]} == {
        "TUNNELPOOL_API_URL": "http://127.0.0.1:1/client/v4",
        "TUNNELPOOL_CONNECTOR_EDGE": "127.0.0.1:2",
        "TUNNELPOOL_CONNECTOR_PROTOCOL": "http2",
        "TUNNELPOOL_CONNECTOR_CA_FILE": "/etc/local-edge/ca.pem",
        "TUNNELPOOL_FAST_FAILOVER": "false",
    }


def test_the_edge_s_authority_is_mounted_where_the_setting_says(folder: Path) -> None:
    assert written(folder, "edge-ca.yaml")["data"] == {"ca.pem": "a certificate\n"}
    (container,) = written(folder, "operator.yaml")["spec"]["template"]["spec"]["containers"]
    assert container["volumeMounts"][0]["mountPath"] == "/etc/local-edge"


def test_install_yaml_itself_is_not_changed(folder: Path) -> None:
    assert (folder / "install.yaml").read_bytes() == INSTALL.read_bytes()
    assert written(folder, "kustomization.yaml")["resources"] == ["install.yaml", "edge-ca.yaml"]


def test_the_credentials_have_the_keys_that_the_operator_reads() -> None:
    assert yaml.safe_load(credentials("account", "token"))["stringData"] == {
        "apiToken": "token",
        "accountId": "account",
    }
