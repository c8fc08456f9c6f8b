"""The command line as a test runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from click.testing import CliRunner, Result
from cluster_api import ClusterApi
from small_cluster import SmallCluster

from tunnelpool.cli import main


@dataclass(frozen=True, slots=True)
class RunningEdge:
    """A local edge: what its ready line says."""

    ready: dict[str, Any]

    def calls(self) -> list[str]:
        """List what it was asked, by method."""
        response = httpx.get(f"{self.ready['control_url']}/calls", trust_env=False)
        response.raise_for_status()
        return [str(one["method"]) for one in response.json()["entries"]]


@dataclass
class CommandLine:
    """The command line of a person who has a kubeconfig and a token that may only read."""

    api: ClusterApi
    edge: RunningEdge
    environment: dict[str, str | None]

    @property
    def cluster(self) -> SmallCluster:
        """The objects of the cluster."""
        return self.api.cluster

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        """Run a command."""
        return CliRunner().invoke(main, list(arguments), input=stdin, env=self.environment)
