"""docs/install.md, docs/gitops and NOTES.txt say what the chart and the client do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tunnelpool.cloudflare import routes
from tunnelpool.crd.v1alpha1 import KINDS

ROOT = Path(__file__).parents[3]
INSTALL = (ROOT / "docs/install.md").read_text()
CHART = ROOT / "helm/tunnelpool"


def _groups() -> set[str]:
    found = [one for one in vars(routes).values() if isinstance(one, routes.Route)]
    return {route.group for route in (*found, *routes.COLLECTIONS.values()) if route.group}


def test_the_docs_name_every_permission_that_a_call_needs_and_no_other() -> None:
    table = INSTALL.split("## A token")[1].split("## Install")[0]
    rows = re.findall(r"^\| (?:Account|Zone) \| ([^|]+) \| (?:Edit|Read) \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(_groups())


def test_the_docs_delete_every_kind_before_the_operator() -> None:
    (line,) = re.findall(r"^\$ kubectl delete (\S+) --all --all-namespaces$", INSTALL, re.MULTILINE)
    assert sorted(line.split(",")) == sorted(model.NAMES.plural for model in KINDS.values())
    assert INSTALL.index(line) < INSTALL.index("$ helm uninstall")


@pytest.mark.parametrize("path", ["docs/install.md", "docs/gitops/README.md"])
def test_links_of_the_docs_lead_somewhere(path: str) -> None:
    page = ROOT / path
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_secret_has_one_name_everywhere() -> None:
    name = yaml.safe_load((CHART / "values.yaml").read_text())["credentials"]["secretName"]
    assert f"create secret generic {name} " in INSTALL
    assert "{{ .Values.credentials.secretName }}" in (CHART / "templates/NOTES.txt").read_text()


def test_the_docs_and_the_chart_ask_for_the_same_kubernetes() -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    (minor,) = re.findall(r"^>=(1\.\d+)\.0-0$", version)
    assert f"Kubernetes {minor} or newer" in INSTALL
