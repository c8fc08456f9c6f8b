"""No write leaves a process that may not write; reading is free to all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tunnelpool.cloudflare.account import CloudAccounts
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.transport import Transport
from tunnelpool.domain.errors import NotLeaderError, OutcomeUnknownError
from tunnelpool.domain.remote import RemoteKind, Tunnel
from tunnelpool.engine.ports import Account, Cloud
from tunnelpool.plan.steps import Change, CloseConnections, Create, Delete, PutConfiguration, Update

WRITES = [
    Create(Tunnel("web")),
    Update("1", Tunnel("new"), (Change("name", "web", "new"),)),
    Delete(RemoteKind.TUNNEL, "1", "web"),
    PutConfiguration("1", "web", None),
    CloseConnections("1", "web"),
]


@dataclass
class Fence:
    """Lets so many writes pass, and notes when it was asked."""

    clock: Any
    passes: int = 0
    left_s: float = 15.0
    asked_at: list[float] = field(default_factory=list)

    def limit(self, timeout_s: float) -> float:
        """Let one write pass, or none."""
        self.asked_at.append(self.clock.at)
        if not self.passes:
            raise NotLeaderError("not the leader")
        self.passes -= 1
        return min(timeout_s, self.left_s)


@pytest.fixture
def fence(tools: Any) -> Fence:
    return Fence(tools.clock)


def fenced(tools: Any, fence: Fence, http: httpx.MockTransport) -> CloudAccounts:
    clock = tools.clock
    return CloudAccounts(Transport(CloudflareSettings(), clock, http=http, fence=fence, sleep=clock.sleep))


@pytest.fixture
async def cloud(tools: Any, fence: Fence) -> AsyncIterator[Cloud]:
    accounts = fenced(tools, fence, httpx.MockTransport(tools.cloudflare))
    yield accounts.account(Account(tools.account_id, tools.token))
    await accounts.aclose()


@pytest.mark.parametrize("step", WRITES, ids=lambda step: type(step).__name__)
async def test_no_kind_of_write_is_sent_without_the_lease(step: Any, cloud: Cloud, tools: Any) -> None:
    with pytest.raises(NotLeaderError):
        await cloud.execute(step)
    assert tools.cloudflare.calls == []


async def test_a_standby_may_read(cloud: Cloud, fence: Fence) -> None:
    assert await cloud.tunnels() == ()
    assert fence.asked_at == []


async def test_a_write_that_waited_for_its_budget_is_asked_when_it_is_sent_not_when_it_began(
    cloud: Cloud, fence: Fence, tools: Any
) -> None:
    for _ in range(90):
        await cloud.tunnels(fresh=True)
    fence.passes = 1
    began_at = tools.clock.at
    await cloud.execute(Create(Tunnel("web")))
    assert fence.asked_at > [began_at]


async def test_a_write_that_is_tried_again_is_asked_again(cloud: Cloud, fence: Fence, tools: Any) -> None:
    stored = tools.cloudflare.put(tools.tunnels, name="web")
    tools.cloudflare.fail("PATCH", stored["id"], httpx.ConnectError("refused"))
    fence.passes = 1
    with pytest.raises(NotLeaderError):
        await cloud.execute(Update(stored["id"], Tunnel("new"), (Change("name", "web", "new"),)))
    assert tools.cloudflare.count("PATCH") == 1
    assert stored["name"] == "web"


async def test_what_was_not_sent_is_not_looked_for_afterwards(cloud: Cloud, fence: Fence, tools: Any) -> None:
    create = Create(Tunnel("web"))
    with pytest.raises(NotLeaderError):
        await cloud.execute(create)
    fence.passes = 1
    await cloud.execute(create)
    assert tools.cloudflare.calls == [("POST", tools.tunnels)]


async def test_a_write_is_given_up_when_the_lease_ends(tools: Any, fence: Fence) -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    fence.passes, fence.left_s = 1, 0.02
    accounts = fenced(tools, fence, httpx.MockTransport(hang))
    cloud = accounts.account(Account(tools.account_id, tools.token))
    async with asyncio.timeout(2):
        with pytest.raises(OutcomeUnknownError):
            await cloud.execute(Create(Tunnel("web")))
    await accounts.aclose()
