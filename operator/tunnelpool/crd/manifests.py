"""The CustomResourceDefinitions as manifests."""

from __future__ import annotations

import json
from typing import Any, Final

import yaml

from tunnelpool.crd.base import CATEGORY, GROUP, Column, Resource
from tunnelpool.crd.schema import resource_schema
from tunnelpool.crd.v1alpha1 import KINDS

HEADER: Final = (
    "# Generated from operator/tunnelpool/crd by `python -m tunnelpool.crd.generate`. Do not edit.\n"
)


def crd_manifests() -> list[dict[str, Any]]:
    """Write the CustomResourceDefinition of every kind."""
    return [_manifest(model) for model in KINDS.values()]


def render() -> dict[str, str]:
    """Write every CustomResourceDefinition as YAML, by the name of its file."""
    return {
        f"{GROUP}_{manifest['spec']['names']['plural']}.yaml": HEADER + to_yaml(manifest)
        for manifest in crd_manifests()
    }


def to_yaml(manifest: Any) -> str:
    """Write a manifest in a stable form: sorted keys, no folded lines that a reviewer must join."""
    plain = json.loads(json.dumps(manifest))  # no object twice, so no anchors
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=110)
    return text


class _Dumper(yaml.SafeDumper):
    """Paragraphs as literal blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _manifest(model: type[Resource]) -> dict[str, Any]:
    names = model.NAMES
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": names.kind,
                "listKind": f"{names.kind}List",
                "plural": names.plural,
                "singular": names.singular,
                "shortNames": [names.short],
                "categories": [CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": model.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in names.columns],
                    "schema": {"openAPIV3Schema": resource_schema(model)},
                }
            ],
        },
    }


def _column(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    if column.description:
        found["description"] = column.description
    if column.priority:
        found["priority"] = column.priority
    return found
