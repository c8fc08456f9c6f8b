"""Settings of the operator: from the environment, checked once, at the start.

The chart's values become these variables; docs/settings.md lists them, and a test keeps it complete.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from tunnelpool.domain.hostname_policy import NO_POLICY, Grant, HostnamePolicy
from tunnelpool.domain.ownership import CLUSTER_NAME

PREFIX = "TUNNELPOOL_"


class SettingsError(ValueError):
    """A variable is missing or cannot be read; the message names each."""


def _policy(given: Any) -> Any:
    """Read the policy from JSON: `[{"namespaces": ["shop-*"], "hostnames": ["*.shop.example.com"]}]`."""
    if not isinstance(given, str):
        return given
    try:
        entries = json.loads(given)
    except ValueError as error:
        raise ValueError(f"must be JSON: {error}") from None
    if isinstance(entries, list):
        return HostnamePolicy(tuple(map(_grant, entries)))
    raise ValueError("must be a list of entries with `namespaces` and `hostnames`")


def _grant(entry: Any) -> Grant:
    if not isinstance(entry, dict) or entry.keys() != {"namespaces", "hostnames"}:
        raise ValueError("each entry must have `namespaces` and `hostnames`, and nothing else")
    for name, patterns in entry.items():
        if not isinstance(patterns, list) or not all(isinstance(one, str) for one in patterns):
            raise ValueError(f"`{name}` must be a list of strings")
    return Grant(tuple(entry["namespaces"]), tuple(entry["hostnames"]))


class Settings(BaseModel):
    """Each field is the variable `TUNNELPOOL_<NAME>`; an empty variable is one that is not set."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    namespace: str = Field(default="tunnelpool-system", min_length=1)
    """Namespace that the operator runs in, where its own credentials are."""
    lease_name: str = Field(default="tunnelpool", pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)
    """Name of the Lease in that namespace by which one of several operators writes. Operators of one
    cluster must have one Lease."""
    cluster_name: str = Field(default="", pattern=rf"^$|{CLUSTER_NAME.pattern}")
    """Name of this cluster in the marks on remote objects; never change it. Default: the first eight
    digits of the UID of the namespace kube-system."""
    take_over_from: str = Field(default="", pattern=r"^$|^[0-9a-f]{8}$")
    """First eight digits of the UID of a lost cluster of the same `cluster_name` whose place this one takes:
    what it has made counts as ours. It must stay set as long as tunnels of that cluster are in use."""
    api_url: str = Field(default="https://api.cloudflare.com/client/v4", pattern=r"^https?://")
    """Base URL of Cloudflare's API, or that of a local edge."""
    calls_per_five_minutes: int = Field(default=1150, ge=300, le=10_000_000)
    """How many calls to Cloudflare's API each token may make in five minutes. Cloudflare allows 1200; set
    more only if it has agreed to more."""
    credentials_secret: str = Field(default="cloudflare-credentials", min_length=1)
    """Name of the Secret with `apiToken` and `accountId` for resources without `credentialsRef`."""
    connector_image: str = Field(default="cloudflare/cloudflared:2026.8.2", min_length=1)
    """Image of the connectors."""
    connector_protocol: Literal["auto", "quic", "http2"] = "auto"
    """Transport between connectors and Cloudflare's edge."""
    connector_edge: str = Field(default="", pattern=r"^$|^\S+:\d+$")
    """`host:port` of a local edge; empty for Cloudflare's own."""
    connector_ca_file: str = ""
    """PEM file of the certificate authority of a local edge; empty for the built-in ones."""
    fast_failover: bool = True
    """Whether an origin whose connector has ended is taken out at once, before the health check sees it."""
    mass_deletion: bool = False
    """Whether objects at Cloudflare whose resources are gone without having waited for them are deleted
    however many they are. If not, they are held and the log says so, if they are more than three and more
    than a fifth of all that is ours."""
    hostname_policy: Annotated[HostnamePolicy, BeforeValidator(_policy)] = NO_POLICY
    """Which namespaces may claim which hostnames, as JSON:
    `[{"namespaces": ["shop-*"], "hostnames": ["*.shop.example.com"]}]`. Without entries every namespace may
    claim every hostname; with some, only what an entry lists. `*` stands for any letters; as the first label
    of a hostname for one or more labels, alone for every hostname."""
    workers: int = Field(default=8, ge=1, le=64)
    """How many resources are worked on at a time."""
    listen: str = Field(default="127.0.0.1:8080", pattern=r"^\S+:\d+$")
    """`host:port` of /livez, /readyz and /metrics."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe messages that are logged."""
    log_format: Literal["json", "text"] = "json"
    """Form of the log."""

    @field_validator("take_over_from")
    @classmethod
    def _with_a_name(cls, uid: str, info: ValidationInfo) -> str:
        """See to it that the lost cluster's name is said: by default this one has another, its own UID."""
        if uid and not info.data.get("cluster_name"):
            raise ValueError(
                f"needs {PREFIX}CLUSTER_NAME, the lost cluster's name; if that had none, it was '{uid}'"
            )
        return uid

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from environment variables; unknown ones with our prefix are refused.

        Raises:
            SettingsError: a variable is unknown or its value is refused.

        """
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environment.items()
            if name.startswith(PREFIX) and value
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            found = "; ".join(
                f"{PREFIX}{'_'.join(str(part) for part in one['loc']).upper()}: {one['msg']}"
                for one in error.errors(include_url=False, include_input=False)
            )
            raise SettingsError(found) from None


def _shown(default: Any) -> str:
    return "none" if default in ("", NO_POLICY) else f"`{default}`"


_INTRODUCTION = """\
# Settings of the operator

Environment variables of the operator's Deployment; the chart's values set them. An empty variable is one
that is not set; an unknown one with this prefix is refused at the start.

| variable | default | meaning |
|---|---|---|"""
_COLOPHON = "This page is written by `python -m tunnelpool.settings`; a test keeps it true."


def page() -> str:
    """Write the page of the documentation."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_shown(field.default)} "
        f"| {' '.join((field.description or '').split())} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join([_INTRODUCTION, *rows, "", _COLOPHON, ""])


if __name__ == "__main__":
    sys.stdout.write(page())
