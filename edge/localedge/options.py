"""How an edge is set up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from localedge.plan import PlanName
from localedge.state.store import Lags


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """What `localedge serve` takes. Port 0 is any free one."""

    directory: Path
    """Where the CA, the origin certificate and the ready line are written."""
    host: str = "127.0.0.1"
    api_port: int = 0
    http_port: int = 0
    https_port: int = 0
    tunnel_port: int = 0
    zones: tuple[str, ...] = ("example.com",)
    plan: PlanName = PlanName.PRO
    load_balancing: bool = True
    """False: an account that has not bought the add-on."""
    speed: float = 1.0
    lags: Lags = field(default_factory=Lags)
    healthy_connections: int = 4
    """From how many connections on a tunnel is `healthy`. The docs speak of four."""
    origin_ca: Path | None = None
    """A further authority for the certificates of address origins."""
    colo: str = "LHR"
    seed: int | None = None
    """Makes ids and choices repeat themselves."""
