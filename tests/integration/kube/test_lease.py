"""Two electors at one Lease of a real API server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tunnelpool.domain.errors import AlreadyExistsError, NotFoundError, StaleError
from tunnelpool.domain.kinds import LEASE
from tunnelpool.engine.clock import SystemClock
from tunnelpool.engine.election import Elector, LeaseTerms
from tunnelpool.engine.ports import LeaseRecord
from tunnelpool.kube.client import KubeClient
from tunnelpool.kube.lease import CALL_S, KubeLease

QUICK = LeaseTerms(duration_s=2, reserve_s=0.7, retry_s=0.2)
WITHIN_S = 15.0


@dataclass
class Process:
    """One that wants to write."""

    lease: KubeLease
    elector: Elector
    task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Seek the lease."""
        self.task = asyncio.create_task(self.elector.run())

    async def elected(self) -> None:
        """Wait until it may write."""
        async with asyncio.timeout(WITHIN_S):
            await self.elector.elected.wait()

    async def kill(self) -> None:
        """End it without a word."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task


@dataclass
class Stage:
    """A namespace with a Lease, and processes that know it."""

    client: KubeClient
    name: str
    made: list[Process] = field(default_factory=list)

    def process(self, identity: str) -> Process:
        """Make a process; it does not run yet."""
        lease = KubeLease(self.client, "default", self.name)
        self.made.append(Process(lease, Elector(lease, SystemClock(), identity, QUICK)))
        return self.made[-1]

    async def delete(self) -> None:
        """Delete the Lease."""
        await self.client.request("DELETE", LEASE.path("default", self.name))


@pytest.fixture
async def stage(cluster: Any) -> AsyncIterator[Stage]:
    client = await KubeClient.connect(str(cluster.kubeconfig), total_s=CALL_S)
    made = Stage(client, f"lease-{secrets.token_hex(3)}")
    yield made
    for process in made.made:
        await process.kill()
    with suppress(NotFoundError):
        await made.delete()
    await client.close()


async def test_when_the_holder_is_killed_the_standby_takes_the_lease_after_it_has_run_out(
    stage: Stage,
) -> None:
    first, second = stage.process("first"), stage.process("second")
    first.start()
    await first.elected()
    second.start()
    held = await first.lease.read()
    assert held is not None
    assert (held.holder, held.transitions, held.duration_s) == ("first", 0, 2)
    await first.kill()
    assert not second.elector.leads()
    await second.elected()
    assert not first.elector.leads()
    taken = await second.lease.read()
    assert taken is not None
    assert (taken.holder, taken.transitions) == ("second", 1)
    assert taken.acquired_at - held.renewed_at >= QUICK.duration_s - 0.1


async def test_a_lease_that_is_given_back_names_nobody_and_is_free(stage: Stage) -> None:
    first, second = stage.process("first"), stage.process("second")
    first.start()
    await first.elected()
    await first.kill()
    await first.elector.release()
    free = await first.lease.read()
    assert free is not None
    assert free.holder == ""
    second.start()
    await second.elected()
    assert second.elector.limit(0.5) == 0.5


async def test_the_api_lets_one_of_two_writers_win(stage: Stage) -> None:
    lease = stage.process("nobody").lease
    record = LeaseRecord("first", 15, 1e9, 1e9, 0)
    created = await lease.write(record)
    with pytest.raises(AlreadyExistsError):
        await lease.write(replace(record, holder="second"))
    changed = await lease.write(replace(created, renewed_at=1e9 + 0.5))
    assert changed == replace(created, renewed_at=1e9 + 0.5, version=changed.version)
    with pytest.raises(StaleError):
        await lease.write(replace(created, holder="second"))
    assert await lease.read() == changed


async def test_what_was_deleted_cannot_be_renewed(stage: Stage) -> None:
    lease = stage.process("nobody").lease
    created = await lease.write(LeaseRecord("first", 15, 1e9, 1e9, 0))
    await stage.delete()
    with pytest.raises(NotFoundError):
        await lease.write(created)
