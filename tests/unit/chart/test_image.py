"""The Dockerfile's claims, as far as they can be judged without building it."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OPERATOR = ROOT / "operator/tunnelpool"
# Import names that are not the name of their distribution.
DISTRIBUTIONS = {"yaml": "pyyaml", "prometheus_client": "prometheus-client"}


def _instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.split(None, 1)[1] for line in joined.splitlines() if line.startswith(f"{name} ")]


def _imports() -> set[str]:
    found: set[str] = set()
    for path in OPERATOR.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"tunnelpool"}


def test_the_image_holds_every_library_that_the_operator_imports() -> None:
    lock = (ROOT / "requirements/operator.lock").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in _imports()} <= locked


def test_the_image_holds_nothing_of_the_local_edge_and_of_the_tools() -> None:
    copied = [line for line in _instructions("COPY") if not line.startswith("--from=")]
    assert copied == [
        "requirements/operator.lock /src/",
        "operator/ /src/operator/",
        "LICENSE /usr/share/doc/tunnelpool/LICENSE",
    ]
    assert {path.name for path in (ROOT / "operator").iterdir() if path.name != "__pycache__"} == {
        "tunnelpool"
    }
    lock = (ROOT / "requirements/operator.lock").read_text()
    assert not re.search(r"^(h2|cryptography|pytest|ruff)==", lock, re.MULTILINE)


def test_the_context_is_what_the_dockerfile_copies() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(kept) == ["LICENSE", "operator/", "requirements/operator.lock"]


def test_libraries_come_by_their_hash_and_ready_built() -> None:
    (install,) = [line for line in _instructions("RUN") if " install " in line]
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install


@pytest.mark.parametrize("stage", [0, 1])
def test_both_stages_have_one_pinned_base(stage: int) -> None:
    assert _instructions("FROM")[stage].split()[0] == "${PYTHON}"
    (base,) = _instructions("ARG")
    assert re.fullmatch(r"PYTHON=docker\.io/library/python:3\.\d+\.\d+-slim-\w+", base)


def test_the_container_runs_as_a_number_that_the_chart_names_too() -> None:
    (user,) = _instructions("USER")
    uid, gid = user.split(":")
    deployment = (ROOT / "helm/tunnelpool/templates/deployment.yaml").read_text()
    assert f"runAsUser: {uid}\n" in deployment
    assert f"runAsGroup: {gid}\n" in deployment
    assert _instructions("ENTRYPOINT") == ['["tunnelpool"]']
