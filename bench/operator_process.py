"""The operator as a process of its own, and what the kernel knows about it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.cluster import SYSTEM
from demo.edge import EdgeFacts
from demo.waiting import NotYetError, wait_for
from devcluster.loopback import free_port
from devcluster.processes import Launch, Process, launch

READY_WITHIN_S = 60.0
STOP_WITHIN_S = 40.0
WORKERS = 8
"""The operator's default; the bare script has as many requests under way."""
_LOOK_EVERY_S = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 1024


@dataclass(slots=True)
class Operator:
    """A running operator."""

    process: Process
    started: float
    """On the monotonic clock."""
    started_at: float
    """In seconds since the epoch."""
    url: str
    log: Path
    ready_s: float = 0.0
    """From the start of the process to its first yes at /readyz."""

    async def wait_ready(self, client: httpx.AsyncClient) -> None:
        """Wait for /readyz."""

        async def look() -> float:
            try:
                answer = await client.get(f"{self.url}/readyz")
            except httpx.HTTPError as error:
                raise NotYetError(type(error).__name__) from None
            if answer.is_error:
                raise NotYetError(answer.text)
            return time.monotonic() - self.started

        self.ready_s = await wait_for("the operator", look, within_s=READY_WITHIN_S, every_s=_LOOK_EVERY_S)

    async def backlog(self, client: httpx.AsyncClient) -> int:
        """Count the keys that wait or run."""
        text = (await client.get(f"{self.url}/metrics")).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        depth = {
            one.labels["state"]: int(one.value) for one in samples if one.name == "tunnelpool_queue_depth"
        }
        return depth["waiting"] + depth["running"]

    def rss_mb(self) -> tuple[float, float]:
        """Read resident memory in MiB: now, and the most that it ever was."""
        fields = dict(
            line.split(":", 1) for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        )
        now, peak = (int(fields[name].split()[0]) / _MIB for name in ("VmRSS", "VmHWM"))
        return now, peak

    def cpu_s(self) -> float:
        """Read the processor time that it has used, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@asynccontextmanager
async def running_operator(
    folder: Path, kubeconfig: Path, edge: EdgeFacts, *, profiled: bool = False
) -> AsyncIterator[Operator]:
    """Run the operator for the length of the block; its log, and its profile if any, stand in `folder`."""
    port = free_port("127.0.0.1")
    settings = {
        "NAMESPACE": SYSTEM,
        "API_URL": edge.api_url,
        "CONNECTOR_EDGE": edge.edge,
        "CONNECTOR_PROTOCOL": "http2",
        "CONNECTOR_CA_FILE": str(edge.ca_file),
        "WORKERS": str(WORKERS),
        "LISTEN": f"127.0.0.1:{port}",
        # The edge of the bench knows no limit of calls: what is measured is the operator, not waiting.
        "CALLS_PER_FIVE_MINUTES": "1000000",
    }
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TUNNELPOOL_")},
        "KUBECONFIG": str(kubeconfig),
        **{f"TUNNELPOOL_{name}": value for name, value in settings.items()},
    }
    log = folder / f"operator-{time.time_ns()}.log"
    program = ["-m", "tunnelpool", "run"]
    if profiled:
        program = ["-m", "cProfile", "-o", str(log.with_suffix(".prof")), *program]
    started, started_at = time.monotonic(), time.time()
    with log.open("wb") as output:
        process = await launch(Launch([sys.executable, *program], env=environment, cwd=str(folder)), output)
    try:
        yield Operator(process, started, started_at, f"http://127.0.0.1:{port}", log)
    finally:
        await asyncio.shield(process.stop(STOP_WITHIN_S))
