"""Installs the operator as anyone would, by `kubectl apply -k`, pointed at a local edge."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

NAMESPACE = "tunnelpool-system"
CREDENTIALS = "cloudflare-credentials"
_CA_FOLDER = "/etc/local-edge"
_CA_NAME = "local-edge-ca"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator's Deployment as install.yaml has it."""

    deployment: str
    container: str
    service_account: str
    labels: Mapping[str, str]

    @property
    def user(self) -> str:
        """Name of its ServiceAccount in the audit log."""
        return f"system:serviceaccount:{NAMESPACE}:{self.service_account}"

    @property
    def selector(self) -> str:
        """The label selector of its pods."""
        return ",".join(f"{name}={value}" for name, value in sorted(self.labels.items()))


def read_operator(install: str) -> Operator:
    """Find the operator in the manifests.

    Raises:
        ValueError: there is not exactly one Deployment.

    """
    found = [one for one in yaml.safe_load_all(install) if one and one["kind"] == "Deployment"]
    if len(found) != 1:
        raise ValueError(f"install.yaml must hold one Deployment, not {len(found)}")
    (deployment,) = found
    pod = deployment["spec"]["template"]["spec"]
    return Operator(
        deployment=deployment["metadata"]["name"],
        container=pod["containers"][0]["name"],
        service_account=pod["serviceAccountName"],
        labels=deployment["spec"]["selector"]["matchLabels"],
    )


def write_kustomization(
    folder: Path, install: Path, *, api_url: str, edge: str, ca_file: Path, settings: Mapping[str, str]
) -> Operator:
    """Write a folder for `kubectl apply -k`: install.yaml, and a patch with the addresses of the edge.

    `settings` are further TUNNELPOOL_… variables of the operator.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(install, folder / "install.yaml")
    operator = read_operator(install.read_text())
    environment = {
        "TUNNELPOOL_API_URL": api_url,
        "TUNNELPOOL_CONNECTOR_EDGE": edge,
        "TUNNELPOOL_CONNECTOR_PROTOCOL": "http2",
        "TUNNELPOOL_CONNECTOR_CA_FILE": f"{_CA_FOLDER}/ca.pem",
        **settings,
    }
    ca = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _CA_NAME, "namespace": NAMESPACE},
        "data": {"ca.pem": ca_file.read_text()},
    }
    documents: dict[str, Json] = {
        "edge-ca.yaml": ca,
        "operator.yaml": _patch(operator, environment),
        "kustomization.yaml": {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": ["install.yaml", "edge-ca.yaml"],
            "patches": [{"path": "operator.yaml"}],
        },
    }
    for name, document in documents.items():
        (folder / name).write_text(yaml.safe_dump(document, sort_keys=False))
    return operator


def _patch(operator: Operator, environment: Mapping[str, str]) -> Json:
    container = {
        "name": operator.container,
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "volumeMounts": [{"name": _CA_NAME, "mountPath": _CA_FOLDER, "readOnly": True}],
    }
    pod = {
        "containers": [container],
        "volumes": [{"name": _CA_NAME, "configMap": {"name": _CA_NAME}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": operator.deployment, "namespace": NAMESPACE},
        "spec": {"template": {"spec": pod}},
    }


def credentials(account_id: str, api_token: str) -> str:
    """Write the Secret that the operator uses by default."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": CREDENTIALS, "namespace": NAMESPACE},
            "stringData": {"apiToken": api_token, "accountId": account_id},
        }
    )
