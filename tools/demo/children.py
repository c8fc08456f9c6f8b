"""Programs of the demo: started with a log file, ready by a line of JSON, gone with their parent."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from devcluster.processes import Launch, Process, launch

POLL_S = 0.05
TAIL_LINES = 15


class ChildError(RuntimeError):
    """A program ended or did not become ready; the message holds the end of its log."""


@asynccontextmanager
async def running(
    name: str, argv: Sequence[str], log: Path, *, ready_within_s: float, stop_within_s: float
) -> AsyncIterator[dict[str, Any]]:
    """Run a program; yields the JSON object that it prints on a line of its own once it is ready.

    The program is stopped by SIGTERM, and by SIGKILL if that takes longer than `stop_within_s` seconds.
    Should this process be killed, it dies too.

    Raises:
        ChildError: it ended before it was ready, or was not ready within `ready_within_s` seconds.

    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = await launch(Launch(argv, env=dict(os.environ), cwd=os.getcwd()), output)  # noqa: PTH109 - a string is wanted
    try:
        yield await _ready(name, process, log, time.monotonic() + ready_within_s)
    finally:
        await process.stop(stop_within_s)


async def _ready(name: str, process: Process, log: Path, end: float) -> dict[str, Any]:
    while True:
        alive = process.send(0)
        if (said := _object_in(log)) is not None:
            return said
        if not alive:
            raise ChildError(f"{name} has ended:\n{tail(log)}")
        if time.monotonic() > end:
            raise ChildError(f"{name} is not ready in time:\n{tail(log)}")
        await asyncio.sleep(POLL_S)


def _object_in(log: Path) -> dict[str, Any] | None:
    for line in log.read_text(errors="replace").splitlines(keepends=True):
        if line.startswith("{") and line.endswith("}\n"):
            said: dict[str, Any] = json.loads(line)
            return said
    return None


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Read the last lines of a log; empty if there is none."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
