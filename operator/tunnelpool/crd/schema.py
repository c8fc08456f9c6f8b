"""From the models to structural OpenAPI v3 schemas, as a CustomResourceDefinition wants them.

pydantic's JSON schema is turned into Kubernetes' dialect: no `$ref`, no null, no `title`, every list with
its type. Numbers, patterns and lengths pass through; CEL rules come in by `rules.py`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, Final

from tunnelpool.crd.base import Model, Resource
from tunnelpool.crd.rules import VALIDATIONS

_REF: Final = "#/$defs/"
_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_ENVELOPE: Final = {
    "apiVersion": {
        "type": "string",
        "description": "Group and version of the kind: `tunnelpool.dev/v1alpha1`.",
    },
    "kind": {"type": "string", "description": "Name of the kind."},
    "metadata": {"type": "object"},
}


def resource_schema(model: type[Resource]) -> dict[str, Any]:
    """Write the schema of a kind: the root of `openAPIV3Schema`."""
    spec = _part(model, "spec", "What is wanted. The operator never changes it.", defaults=True)
    status = _part(model, "status", "How it stands. Written by the operator only.", defaults=False)
    rules = {VALIDATIONS: [rule.manifest() for rule in model.RULES]} if model.RULES else {}
    required = {"required": ["spec"]} if model.model_fields["spec"].is_required() else {}
    if not required:
        # Rules and readers may then rely on `spec`. The API server judges the default as it stands,
        # before it fills in those inside, so they are written out.
        spec["default"] = {
            name: node["default"] for name, node in spec["properties"].items() if "default" in node
        }
    return {
        "type": "object",
        "description": _text(inspect.getdoc(model) or ""),
        "properties": {**_ENVELOPE, "spec": spec, "status": status},
        **required,
        **rules,
    }


def _part(model: type[Resource], field: str, description: str, *, defaults: bool) -> dict[str, Any]:
    annotation = model.model_fields[field].annotation
    if not (isinstance(annotation, type) and issubclass(annotation, Model)):
        raise TypeError(f"{model.__name__}.{field} must be a model")
    raw = annotation.model_json_schema(by_alias=True)
    found = _structural(raw, raw.get("$defs", {}), defaults=defaults)
    return {**found, "description": description}


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any], *, defaults: bool) -> dict[str, Any]:
    """Rewrite one node and everything below it."""
    node = _resolved(node, definitions)
    out: dict[str, Any] = {}
    for key, value in node.items():
        match key:
            case "title" | "$defs":
                continue
            case "default":
                if defaults and value is not None and value not in ([], ""):
                    out[key] = value
            case "const":
                out["enum"] = [value]
            case "description":
                out[key] = _text(value)
            case "properties":
                out[key] = {
                    name: _structural(child, definitions, defaults=defaults) for name, child in value.items()
                }
            case "items" | "additionalProperties":
                out[key] = _structural(value, definitions, defaults=defaults)
            case "propertyNames":
                raise TypeError("a structural schema says nothing of keys: declare a rule, see keys_matching")
            case "anyOf" if not node.get(_INT_OR_STRING):
                raise TypeError(f"a structural schema has no unions: {value}")
            case _:
                out[key] = value
    if out.get("type") == "array":
        out.setdefault("x-kubernetes-list-type", "atomic")
    return out


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Put what a node refers to in its place, and a type in the place of "that type or null"."""
    found = dict(node)
    while "$ref" in found or ("anyOf" in found and _INT_OR_STRING not in found):
        if "$ref" in found:
            inner: Mapping[str, Any] = definitions[found.pop("$ref").removeprefix(_REF)]
        else:
            members = [member for member in found.pop("anyOf") if member != {"type": "null"}]
            if len(members) != 1:
                raise TypeError(f"a structural schema has no unions: {members}")
            inner = members[0]
        found = {**inner, **found}
    return found


def _text(docstring: str) -> str:
    """Join the lines of each paragraph: `kubectl explain` wraps by itself."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(docstring))
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
