"""Which local program stands for which image, and which program the connectors are."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONNECTOR_IMAGE = "cloudflare/cloudflared"
OPERATOR_IMAGE = "ghcr.io/tunnelpool/tunnelpool"
PROGRAM = "cloudflared"


class NoConnectorError(ValueError):
    """CLOUDFLARED names a file that cannot be run."""


@dataclass(frozen=True, slots=True)
class ConnectorProgram:
    """What runs in the connector pods."""

    entrypoint: tuple[str, ...]
    real: bool

    def __str__(self) -> str:
        """Say which one runs."""
        if self.real:
            return f"the real cloudflared ({self.entrypoint[0]})"
        return "the stand-in connector (set CLOUDFLARED to run the real cloudflared)"


def find_connector(environment: Mapping[str, str] = os.environ) -> ConnectorProgram:
    """Take the program of CLOUDFLARED, else that on PATH, else the local edge's stand-in.

    Raises:
        NoConnectorError: CLOUDFLARED is set, but to nothing that can be run.

    """
    named = environment.get("CLOUDFLARED")
    found = shutil.which(named or PROGRAM, path=environment.get("PATH"))
    if found:
        return ConnectorProgram((str(Path(found).absolute()),), real=True)
    if named:
        raise NoConnectorError(f"CLOUDFLARED={named} is not a program that can be run")
    return ConnectorProgram((str(Path(sys.executable).with_name("localedge")), "connector"), real=False)


def write_image_table(path: Path, connector: ConnectorProgram) -> Path:
    """Write the table for devcluster."""
    operator = {"entrypoint": [sys.executable, "-m", "tunnelpool"]}
    table = {CONNECTOR_IMAGE: {"entrypoint": list(connector.entrypoint)}, OPERATOR_IMAGE: operator}
    path.write_text(json.dumps(table, indent=2))
    return path
