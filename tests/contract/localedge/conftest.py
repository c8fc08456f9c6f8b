"""An edge with fake tunnels for the contracts of its REST API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from localedge.options import EdgeOptions
from localedge.state.store import Lags
from localedge.testing import FakeEdge, edge_with_fake_tunnels


@pytest.fixture(scope="session", autouse=True)
def no_loop_by_accident() -> None:
    # pytest-asyncio asks for the current loop before it sets its own; on Python 3.11 that would make one.
    asyncio.set_event_loop(None)


@pytest.fixture
async def fake() -> AsyncIterator[FakeEdge]:
    """Run an edge without lags."""
    async with edge_with_fake_tunnels(EdgeOptions(Path(), lags=Lags(0, 0, 0))) as running:
        yield running
