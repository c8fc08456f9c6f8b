"""The field reference of the docs, written from the CustomResourceDefinitions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tunnelpool.crd.rules import VALIDATIONS

_INTRODUCTION: Final = """\
<!-- Generated from operator/tunnelpool/crd by `python -m tunnelpool.crd.generate`. Do not edit. -->
# Resources

The four kinds of `tunnelpool.dev/v1alpha1`, field by field. All are namespaced; a reference (`…Ref`) is the
name of an object in the same namespace. `kubectl get tunnelpool` lists all of them, `kubectl explain
tunnel.spec` says what stands here.

Enumerated values are Cloudflare's own words; durations are whole numbers with their unit in the name. Rules
are judged by the API server when an object is applied, in the words given here.
"""


def reference(manifests: Sequence[Mapping[str, Any]]) -> str:
    """Write the field reference of these CustomResourceDefinitions as Markdown."""
    return "\n".join([_INTRODUCTION, *(line for manifest in manifests for line in _kind(manifest))])


def fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Walk a schema: path (`spec.origins[].address`), node, and whether its parent requires it."""
    required = schema.get("required", ())
    for name, node in schema.get("properties", {}).items():
        yield f"{path}.{name}", node, name in required
        for inner_path, inner in _layers(node, f"{path}.{name}"):
            yield from fields(inner, inner_path)


def _layers(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Go down through a list or map to what it holds, `path[]` or `path.*`."""
    yield path, node
    if "items" in node:
        yield from _layers(node["items"], f"{path}[]")
    if "additionalProperties" in node:
        yield from _layers(node["additionalProperties"], f"{path}.*")


def _kind(manifest: Mapping[str, Any]) -> Iterator[str]:
    names = manifest["spec"]["names"]
    schema = manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    yield f"## {names['kind']}\n"
    yield f"{schema['description']} Short name `{names['shortNames'][0]}`.\n"
    for part, title in (("spec", "Fields"), ("status", "Status")):
        yield f"### {names['kind']}: {title.lower()}\n"
        yield f"| {title} | Type | Default | Meaning |"
        yield "|---|---|---|---|"
        for path, node, required in fields(schema["properties"][part], part):
            default = "**required**" if required and part == "spec" else _default(node)
            yield f"| `{path}` | {_type(node)} | {default} | {_cell(node.get('description', ''))} |"
        yield ""
    yield f"### {names['kind']}: rules\n"
    for path, rule in rules(schema):
        yield f"- `{path}` {rule['message']}"
    yield ""


def rules(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Walk all CEL rules of a kind, each with the path that its error points at."""
    spec = schema["properties"]["spec"]
    yield from (_placed(rule, "") for rule in schema.get(VALIDATIONS, ()))
    yield from (_placed(rule, "spec") for rule in spec.get(VALIDATIONS, ()))
    for field_path, field, _ in fields(spec, "spec"):
        for path, node in _layers(field, field_path):
            yield from (_placed(rule, path) for rule in node.get(VALIDATIONS, ()))


def _placed(rule: Mapping[str, str], path: str) -> tuple[str, Mapping[str, str]]:
    where = f"{path}{rule.get('fieldPath', '')}".removeprefix(".")
    return where or "metadata.name", rule


def _type(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return " ".join(f"`{value}`" for value in node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return "quantity"
    if "items" in node:
        return f"list of {_type(node['items'])}{_length(node, 'minItems', 'maxItems')}"
    if "additionalProperties" in node:
        return (
            f"map of {_type(node['additionalProperties'])}{_length(node, 'minProperties', 'maxProperties')}"
        )
    if node.get("format") == "date-time":
        return "time"
    bounds = ""
    if "minimum" in node or "maximum" in node:
        bounds = f" {node.get('minimum', '')}…{node.get('maximum', '')}"
    return f"{node['type']}{bounds}{_length(node, 'minLength', 'maxLength')}"


def _length(node: Mapping[str, Any], least: str, most: str) -> str:
    if most not in node:
        return ""
    return f" ({node[least]}…{node[most]})" if least in node else f" (≤ {node[most]})"


def _default(node: Mapping[str, Any]) -> str:
    return f"`{json.dumps(node['default'])}`" if "default" in node else ""


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", r"\|")
