"""The account: what the handlers of the API work on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from localedge.clock import Clock
from localedge.plan import Plan
from localedge.probe.book import HealthBook
from localedge.state.connections import ConnectionLedger
from localedge.state.history import StateHistory
from localedge.state.identifiers import Identifiers
from localedge.state.store import Store
from localedge.tunnel.interface import Tunnels


@dataclass(frozen=True, slots=True)
class Account:
    """An account with its plan, its state and the parts that know what is going on."""

    id: str
    name: str
    plan: Plan
    store: Store
    history: StateHistory
    ledger: ConnectionLedger
    tunnels: Tunnels
    book: HealthBook
    clock: Clock
    identifiers: Identifiers
    healthy_connections: int
    """From how many connections on a tunnel is `healthy`; below it is `degraded`."""
    background: Callable[[Coroutine[Any, Any, None]], None]
    """Runs what an answer does not wait for."""
