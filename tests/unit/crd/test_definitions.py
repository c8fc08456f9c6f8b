"""The generated CustomResourceDefinitions: structural, bounded, current, and told in full."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunnelpool.crd.generate import generated
from tunnelpool.crd.manifests import crd_manifests, render
from tunnelpool.crd.reference import fields, rules
from tunnelpool.crd.rules import VALIDATIONS

ROOT = Path(__file__).parents[3]
MANIFESTS = {manifest["spec"]["names"]["kind"]: manifest for manifest in crd_manifests()}
SCHEMAS = {
    kind: manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for kind, manifest in MANIFESTS.items()
}
GENERATED = generated()
EACH_KIND = pytest.mark.parametrize("kind", MANIFESTS)
# What a structural schema may say; `anyOf` stands beside int-or-string only.
ALLOWED = {
    *("type", "description", "format", "default", "enum", "required", "properties", "items"),
    *(
        "additionalProperties",
        "pattern",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
    ),
    *("minProperties", "maxProperties", VALIDATIONS, "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}
INT_OR_STRING = {"x-kubernetes-int-or-string", "anyOf", "pattern", "maxLength"}


def _nodes(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in node:
            yield from _nodes(node[name], f"{path}.{name}")


def _own_nodes(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in ("spec", "status"):
        yield from _nodes(SCHEMAS[kind]["properties"][part], part)


@pytest.mark.parametrize("name", GENERATED)
def test_what_is_committed_is_what_the_models_generate(name: str) -> None:
    assert (ROOT / name).read_text() == GENERATED[name], "run `python -m tunnelpool.crd.generate`"


@pytest.mark.parametrize("folder", ["crds", "helm/tunnelpool/templates/crds"])
def test_no_definition_lies_there_that_nothing_generates(folder: str) -> None:
    found = {f"{folder}/{path.name}" for path in (ROOT / folder).iterdir()}
    assert found == {name for name in GENERATED if name.startswith(f"{folder}/")}


def test_the_yaml_reads_back_as_the_manifest() -> None:
    assert [yaml.safe_load(text) for text in render().values()] == crd_manifests()


@EACH_KIND
def test_schemas_are_structural(kind: str) -> None:
    for path, node in _own_nodes(kind):
        if node.get("x-kubernetes-int-or-string"):
            assert set(node) <= INT_OR_STRING, path
            continue
        assert set(node) <= ALLOWED, path
        assert isinstance(node["type"], str), path
        assert not ("properties" in node and "additionalProperties" in node), path


@EACH_KIND
def test_everything_has_a_bound_so_that_rules_have_a_price(kind: str) -> None:
    for path, node in _own_nodes(kind):
        match node.get("type"):
            case "string" if "enum" not in node and "format" not in node:
                assert "maxLength" in node, path
            case "array":
                assert "maxItems" in node, path
            case "object" if "additionalProperties" in node:
                assert "maxProperties" in node, path
            case "integer" | "number":
                assert "minimum" in node, path
            case _:
                assert node.get("type") in {"boolean", "object", "string", None}, path


@EACH_KIND
def test_every_list_says_how_it_merges(kind: str) -> None:
    for path, node in _own_nodes(kind):
        if node.get("type") == "array":
            assert node["x-kubernetes-list-type"] in {"atomic", "set", "map"}, path
            keys = node.get("x-kubernetes-list-map-keys", [])
            assert bool(keys) == (node["x-kubernetes-list-type"] == "map"), path
            assert all(key in node["items"]["required"] for key in keys), path


@EACH_KIND
def test_every_field_says_what_it_means(kind: str) -> None:
    for part in ("spec", "status"):
        for path, node, _ in fields(SCHEMAS[kind]["properties"][part], part):
            description = node["description"]
            assert description.endswith((".", ")")), path
            assert not description.startswith(("A field", "The field")), path
            if re.search(r"(Seconds|Timeout)$", path):
                assert "seconds" in description, f"{path}: the unit is missing"


@EACH_KIND
def test_status_has_no_defaults(kind: str) -> None:
    for path, node in _nodes(SCHEMAS[kind]["properties"]["status"], "status"):
        assert "default" not in node, path


@EACH_KIND
def test_rules_speak_as_the_api_conventions_ask(kind: str) -> None:
    for path, rule in rules(SCHEMAS[kind]):
        assert rule["message"].startswith("must "), path
        assert "should" not in rule["message"], path
        assert "\n" not in rule["message"], path


@EACH_KIND
def test_every_field_and_every_rule_stands_in_the_docs(kind: str) -> None:
    text = (ROOT / "docs/resources.md").read_text()
    chapter = text.split(f"\n## {kind}\n")[1].split("\n## ")[0]
    for part in ("spec", "status"):
        for path, _, _ in fields(SCHEMAS[kind]["properties"][part], part):
            assert f"| `{path}` |" in chapter
    for path, rule in rules(SCHEMAS[kind]):
        assert f"- `{path}` {rule['message']}" in chapter


@EACH_KIND
def test_every_rule_is_tried_on_the_real_api_server(kind: str) -> None:
    document = yaml.safe_load((ROOT / "tests/integration/crd/rules.yaml").read_text())
    tried = {(case["at"], case["says"]) for case in document[kind]}
    assert tried == {(path, rule["message"]) for path, rule in rules(SCHEMAS[kind])}


@EACH_KIND
def test_columns_end_with_ready_and_age(kind: str) -> None:
    columns = MANIFESTS[kind]["spec"]["versions"][0]["additionalPrinterColumns"]
    shown = [column["name"] for column in columns if not column.get("priority")]
    assert shown[-3:] == ["Ready", "Reason", "Age"]
    paths = {
        path for part in ("spec", "status") for path, _, _ in fields(SCHEMAS[kind]["properties"][part], part)
    }
    for column in columns:
        path = column["jsonPath"].removeprefix(".")
        assert path in paths or path.startswith(("status.conditions[", "metadata.")), path


def test_short_names_are_few_and_apart() -> None:
    short = [name for manifest in MANIFESTS.values() for name in manifest["spec"]["names"]["shortNames"]]
    assert short == ["tun", "lbp", "hc", "tlb"]


def test_manifests_are_plain_json() -> None:
    assert json.loads(json.dumps(crd_manifests())) == crd_manifests()
