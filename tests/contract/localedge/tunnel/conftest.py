"""Each test runs against the stand-in, and against cloudflared if there is one: the test id says which."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from localedge.tunnel.ca import CertificateAuthority
from localedge.tunnel.http2_endpoint import Http2Tuning
from localedge.tunnel.testing import ConnectorProgram, TunnelEdge, connector_programs, tunnel_edge


@pytest.fixture(scope="session", autouse=True)
def no_loop_by_accident() -> None:
    # pytest-asyncio asks for the current loop before it sets its own; on Python 3.11 that would make one.
    asyncio.set_event_loop(None)


@pytest.fixture(scope="module", params=connector_programs(), ids=lambda program: program.name)
def program(request: pytest.FixtureRequest) -> ConnectorProgram:
    found: ConnectorProgram = request.param
    return found


@pytest.fixture(scope="session")
def authority() -> CertificateAuthority:
    return CertificateAuthority()


@pytest.fixture
async def edge(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority
) -> AsyncIterator[TunnelEdge]:
    tuning = Http2Tuning(ping_interval=0.2, ping_timeout=1.0)
    async with tunnel_edge(tmp_path_factory.mktemp("edge"), authority, tuning=tuning) as running:
        yield running
