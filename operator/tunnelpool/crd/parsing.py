"""From a decoded manifest to a typed resource, or to one clear error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload

from pydantic import ValidationError

from tunnelpool.crd.base import Resource
from tunnelpool.crd.v1alpha1 import KINDS, HealthCheck, LBPool, LoadBalancer, Tunnel


class InvalidResourceError(ValueError):
    """A manifest is not what its kind asks for. The message names the object and each field."""


@overload
def parse(kind: Literal["Tunnel"], raw: Mapping[str, Any]) -> Tunnel: ...
@overload
def parse(kind: Literal["LBPool"], raw: Mapping[str, Any]) -> LBPool: ...
@overload
def parse(kind: Literal["HealthCheck"], raw: Mapping[str, Any]) -> HealthCheck: ...
@overload
def parse(kind: Literal["LoadBalancer"], raw: Mapping[str, Any]) -> LoadBalancer: ...
@overload
def parse(kind: str, raw: Mapping[str, Any]) -> Resource: ...
def parse(kind: str, raw: Mapping[str, Any]) -> Resource:
    """Read an object of one of the kinds, as the Kubernetes API or a manifest has it.

    Unknown fields are ignored: they belong to a newer version. Rules over several fields are the API
    server's to judge and are not judged again here.

    Raises:
        InvalidResourceError: unknown kind, or fields that are missing, mistyped or refused.

    """
    model = KINDS.get(kind)
    if model is None:
        raise InvalidResourceError(f"kind must be one of {', '.join(KINDS)}, not '{kind}'")
    try:
        return model.model_validate(raw, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidResourceError(f"{_title(kind, raw)}: {_problems(error)}") from None


def _title(kind: str, raw: Mapping[str, Any]) -> str:
    metadata = raw.get("metadata")
    if not isinstance(metadata, Mapping):
        return kind
    return f"{kind} {metadata.get('namespace', 'default')}/{metadata.get('name', '?')}"


def _problems(error: ValidationError) -> str:
    """List what pydantic found as `spec.hostname: must be …; spec.replicas: …`."""
    return "; ".join(
        f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    )
