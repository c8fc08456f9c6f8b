"""A container's environment and arguments, as Kubernetes composes them. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(Exception):
    """The container cannot be made from its spec: a reference that leads nowhere, a field not emulated."""


@dataclass(frozen=True)
class PodFacts:
    """What the downward API tells: the object, its address, its node's."""

    pod: Json
    pod_ip: str
    host_ip: str

    def field(self, path: str) -> str:
        """Return the value of a `fieldRef`. Raises ConfigError for a path that is not emulated."""
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        if found := _SUBSCRIPT.fullmatch(path):
            return str(metadata.get(found[1], {}).get(found[2], ""))
        values: dict[str, Any] = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata["namespace"],
            "metadata.uid": metadata["uid"],
            "metadata.labels": _lines(metadata.get("labels", {})),
            "metadata.annotations": _lines(metadata.get("annotations", {})),
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "status.podIP": self.pod_ip,
            "status.podIPs": self.pod_ip,
            "status.hostIP": self.host_ip,
            "status.hostIPs": self.host_ip,
        }
        if path not in values:
            raise ConfigError(f"devcluster does not emulate fieldRef {path}")
        return str(values[path])


@dataclass(frozen=True)
class Sources:
    """Secrets and ConfigMaps by name, as text; a name that is absent does not exist."""

    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, kind: str) -> Mapping[str, Mapping[str, str]]:
        """Those of one kind, `secret` or `configmap`."""
        return self.secrets if kind == "secret" else self.config_maps


_KEY_REFERENCES = (("secretKeyRef", "secret"), ("configMapKeyRef", "configmap"))
_FROM_REFERENCES = (("secretRef", "secret"), ("configMapRef", "configmap"))


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; `$$` is a dollar sign, a name that is not set stays as it stands."""

    def replacement(match: re.Match[str]) -> str:
        return "$" if match[1] else variables.get(match[2], match[0])

    return _REFERENCE.sub(replacement, text)


def references(container: Json) -> set[tuple[str, str]]:
    """Secrets and ConfigMaps that the environment needs: ("secret" or "configmap", name)."""
    found = set()
    for entry in container.get("env", ()):
        for reference, kind in _KEY_REFERENCES:
            if chosen := entry.get("valueFrom", {}).get(reference):
                found.add((kind, chosen["name"]))
    for entry in container.get("envFrom", ()):
        for reference, kind in _FROM_REFERENCES:
            if chosen := entry.get(reference):
                found.add((kind, chosen["name"]))
    return found


def environment(
    container: Json, facts: PodFacts, sources: Sources, given: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables of a container, on top of those `given` by the image and the cluster.

    A value sees those before it. Raises ConfigError as the kubelet does for a reference that is missing.
    """
    result = dict(given)
    for entry in container.get("envFrom", ()):
        for reference, kind in _FROM_REFERENCES:
            if chosen := entry.get(reference):
                values = sources.of(kind).get(chosen["name"])
                if values is None and not chosen.get("optional"):
                    raise ConfigError(f'{kind} "{chosen["name"]}" not found')
                prefix = entry.get("prefix", "")
                result.update({f"{prefix}{key}": value for key, value in (values or {}).items()})
    for entry in container.get("env", ()):
        origin = entry.get("valueFrom")
        value = _value_from(origin, facts, sources) if origin else expand(entry.get("value", ""), result)
        if value is not None:
            result[entry["name"]] = value
    return result


def arguments(
    container: Json, entrypoint: Sequence[str], command: Sequence[str], variables: Mapping[str, str]
) -> list[str]:
    """Compose the command line: `command` replaces the image's entrypoint and command, `args` the latter."""
    parts = container.get("command") or entrypoint
    rest = container.get("args") or (() if container.get("command") else command)
    return [expand(part, variables) for part in (*parts, *rest)]


def _value_from(origin: Json, facts: PodFacts, sources: Sources) -> str | None:
    if chosen := origin.get("fieldRef"):
        return facts.field(chosen["fieldPath"])
    for reference, kind in _KEY_REFERENCES:
        chosen = origin.get(reference)
        if not chosen:
            continue
        values = sources.of(kind).get(chosen["name"])
        if values is not None and chosen["key"] in values:
            return values[chosen["key"]]
        if chosen.get("optional"):
            return None
        if values is None:
            raise ConfigError(f'{kind} "{chosen["name"]}" not found')
        raise ConfigError(f'couldn\'t find key {chosen["key"]} in {kind} "{chosen["name"]}"')
    raise ConfigError(f"devcluster does not emulate valueFrom {', '.join(origin)}")


def _lines(pairs: Mapping[str, str]) -> str:
    quoted = (f'{key}="{value}"' for key, value in sorted(pairs.items()))
    return "\n".join(quoted)
