"""What a row of the table says: what was promised, what was measured, and whether the one keeps the other."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `kept` is None where nothing was promised."""

    what: str
    promised: str
    measured: str
    kept: bool | None = None

    def __str__(self) -> str:
        """Write it as a line of the table."""
        mark = {True: "yes", False: "**no**", None: ""}[self.kept]
        return f"| {self.what} | {self.promised} | {self.measured} | {mark} |"


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one part of the bench, and the conditions that they were measured under."""

    title: str
    conditions: str
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        """Write it as a section."""
        head = "| what | promised | measured | kept |\n|---|---|---|---|"
        return "\n".join([f"## {self.title}", "", self.conditions, "", head, *map(str, self.rows), ""])


def page(parts: Iterable[Part], command: str) -> str:
    """Write the page of results."""
    head = f"""\
# Results

Written by `{command}` on {datetime.now(UTC):%Y-%m-%d}; [README.md](README.md) says how each figure is taken.

Machine: {machine()}.
"""
    return "\n".join([head, *map(str, parts)])


def machine() -> str:
    """Describe this machine."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    processor = names[0] if names else platform.machine()
    return (
        f"{os.cpu_count()} processors ({processor}), {memory_kb / 1024**2:.0f} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}; operator, edge, etcd, "
        "kube-apiserver and kube-controller-manager share them"
    )
