"""A change of the connectors: what the command line says that it would do, and what it does under load."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from demo.images import CONNECTOR_IMAGE
from demo.samples import between
from demo.stage import TUNNEL_LABEL, Stage
from demo.traffic import Traffic
from demo.waiting import NotYetError, wait_for

IMAGE: Final = f"{CONNECTOR_IMAGE}:latest"
REPLACED_WITHIN_S: Final = 75.0
CHANGES: Final = 2
"""The exit status of `tunnelpool plan` where something would change."""
_REPLICAS = re.compile(r"replicas: 3}")


def changed(manifests: str) -> str:
    """Give the Tunnel of the quickstart another image.

    Raises:
        ValueError: the place where it belongs is not there.

    """
    text, count = _REPLICAS.subn(f'replicas: 3, podTemplate: {{image: "{IMAGE}"}}}}', manifests)
    if count != 1:
        raise ValueError(f"the quickstart must hold one Tunnel of three replicas, not {count}")
    return text


@dataclass(frozen=True, slots=True)
class Plan:
    """What `tunnelpool plan` has said, and what it did."""

    status: int
    text: str
    writes: int
    """Calls to Cloudflare that were more than a look, while it ran."""

    @property
    def true(self) -> bool:
        """Tell whether it foresaw what happens: the three connectors change, nothing at Cloudflare does."""
        deployments = len(re.findall(r"^ *~ cluster +Deployment ", self.text, re.MULTILINE))
        remote = re.search(r"^ *[-~+] Cloudflare ", self.text, re.MULTILINE)
        return self.status == CHANGES and deployments == 3 and remote is None and not self.writes  # noqa: PLR2004 - as quickstart.yaml has it


@dataclass(frozen=True, slots=True)
class Rollout:
    """What was measured while the connectors were replaced."""

    seconds: float
    """Until the last of the old ones was gone."""
    requests: int
    failed: int
    writes: int
    """Calls to Cloudflare that changed something."""


async def plan(stage: Stage, manifests: str) -> Plan:
    """Ask the command line what an apply would do."""
    since = await stage.edge.last_call()
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("tunnelpool")),
        *("plan", "--filename", "-", "--namespace", "default"),
        env={**os.environ, "KUBECONFIG": str(stage.cluster.facts.kubeconfig)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(manifests.encode())
    return Plan(process.returncode or 0, said.decode(), _writes(await stage.edge.calls(since)))


async def roll(stage: Stage, traffic: Traffic, tunnel: str, manifests: str) -> Rollout:
    """Apply, and watch until every connector is another and the old ones are gone.

    Raises:
        WaitedInVainError: it did not come to that.

    """
    since = await stage.edge.last_call()
    old = await _connectors(stage, tunnel)
    begun = time.monotonic()
    await stage.cluster.apply(manifests)

    async def look() -> None:
        now = await _connectors(stage, tunnel)
        if len(now) != len(old) or now & old:
            raise NotYetError(
                f"{len(now & old)} of {len(old)} old connectors are there, {len(now - old)} new"
            )

    await wait_for("new connectors alone", look, within_s=REPLACED_WITHIN_S)
    end = time.monotonic()
    seen = between(traffic.samples, begun, end)
    failed = sum(one.failed for one in seen)
    return Rollout(end - begun, len(seen), failed, _writes(await stage.edge.calls(since)))


async def _connectors(stage: Stage, tunnel: str) -> set[str]:
    pods = await stage.cluster.pods("default", f"{TUNNEL_LABEL}={tunnel}")
    return {str(pod["metadata"]["uid"]) for pod in pods}


def _writes(calls: list[dict[str, Any]]) -> int:
    return sum(call["method"] != "GET" for call in calls)
