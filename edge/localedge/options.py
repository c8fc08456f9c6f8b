"""How an edge is set up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from localedge.api.rate_limit import CALLS
from localedge.plan import PlanName
from localedge.state.store import Lags

FIRST_ACCOUNT = "Local Edge"


@dataclass(frozen=True, slots=True)
class FurtherAccount:
    """An account beside the first one."""

    name: str
    zones: tuple[str, ...] = ()


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
    """Zones of the first account."""
    accounts: tuple[FurtherAccount, ...] = ()
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
    rate_limit: int = CALLS
    """Calls that a token has in five minutes; 0 is no limit."""
    seed: int | None = None
    """Makes ids and choices repeat themselves."""
