"""Helm, pinned as a Go module, and the chart as it renders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

CHART = Path(__file__).parents[3] / "helm/tunnelpool"
Values: TypeAlias = dict[str, Any]


class ChartError(Exception):
    """Helm has refused the values or the templates."""


@pytest.fixture(scope="session")
def helm() -> Path:
    """`HELM` if it is set, else the version that tools/helm pins, built once into the tool cache."""
    if given := os.environ.get("HELM"):
        return Path(given)
    built = subprocess.run(
        [sys.executable, "-m", "devcluster", "build", "helm"], stdout=subprocess.PIPE, text=True, check=True
    )
    return Path(built.stdout.strip().splitlines()[-1]) / "helm"


@pytest.fixture(scope="session")
def render(helm: Path) -> Callable[..., list[dict[str, Any]]]:
    """`render(values, namespace=…)`: the objects that the chart makes, once for each set of values."""
    known: dict[str, list[dict[str, Any]]] = {}

    def run(values: Values | None = None, namespace: str = "tunnelpool-system") -> list[dict[str, Any]]:
        key = json.dumps([values, namespace])
        if key not in known:
            result = subprocess.run(  # noqa: S603 - Helm on our own chart
                [helm, "template", "tunnelpool", CHART, "--namespace", namespace, "--values", "-"],
                input=json.dumps(values or {}),
                capture_output=True,
                text=True,
                check=False,
            )
            if result.returncode:
                raise ChartError(result.stderr)
            known[key] = [document for document in yaml.safe_load_all(result.stdout) if document]
        return known[key]

    return run
