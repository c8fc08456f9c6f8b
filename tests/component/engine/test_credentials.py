"""Which Secret opens which account, and what is said where none does."""

from __future__ import annotations

import asyncio

import pytest
from remote_account import ACCOUNT_ID, TOKEN, KeptClouds, RemoteAccount
from running_world import DEFAULT_SECRET, LoopClock
from small_cluster import SmallCluster

from tunnelpool.domain.errors import UnavailableError
from tunnelpool.domain.reasons import Problem, Reason
from tunnelpool.engine.credentials import REREAD_S, RETRY_S, Credentials, Opened, SecretRef

pytestmark = pytest.mark.looptime(noop_cycles=1)


class Desk:
    """Credentials with a cluster and an account behind them."""

    def __init__(self) -> None:
        clock = LoopClock()
        self.remote = RemoteAccount(clock)
        self.cluster = SmallCluster(clock)
        self.credentials = Credentials(
            self.cluster, KeptClouds({ACCOUNT_ID: self.remote}), clock, DEFAULT_SECRET
        )
        self.changed: list[SecretRef] = []
        self.credentials.on_change = self.changed.append
        self.reads: list[str] = []
        self.cluster.trip = lambda phase, call: self.reads.append(f"{phase} {call}")

    def write(self, **data: str) -> None:
        """Write the default Secret."""
        place = (DEFAULT_SECRET.namespace, DEFAULT_SECRET.name)
        self.cluster.secrets[place] = {key: value.encode() for key, value in data.items()}

    async def reason(self) -> Reason | None:
        """Open the default account and tell the reason why not."""
        answer = await self.credentials.open(DEFAULT_SECRET)
        return answer.reason if isinstance(answer, Problem) else None


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_an_account_is_opened_once_and_answered_from_memory(desk: Desk) -> None:
    desk.write(apiToken=f" {TOKEN}\n", accountId=ACCOUNT_ID)
    answers = await asyncio.gather(*(desk.credentials.open(DEFAULT_SECRET) for _ in range(5)))
    assert all(isinstance(one, Opened) for one in answers)
    assert len(desk.reads) == 1
    assert desk.credentials.account_id(DEFAULT_SECRET) == ACCOUNT_ID
    assert [one.account_id for one in desk.credentials.opened()] == [ACCOUNT_ID]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "must exist"),
        ({"accountId": ACCOUNT_ID}, "must have the key 'apiToken'"),
        ({"apiToken": TOKEN}, "must have the key 'accountId'"),
        ({"apiToken": "  ", "accountId": ACCOUNT_ID}, "must have the key 'apiToken'"),
    ],
)
async def test_what_a_secret_lacks_is_named(desk: Desk, data: dict[str, str] | None, said: str) -> None:
    if data is not None:
        desk.write(**data)
    answer = await desk.credentials.open(DEFAULT_SECRET)
    assert isinstance(answer, Problem)
    assert (answer.reason, answer.stalled) == (Reason.CREDENTIALS_MISSING, True)
    assert said in answer.message


async def test_a_refused_token_is_not_repeated_in_what_is_said(desk: Desk) -> None:
    desk.write(apiToken="canary", accountId=ACCOUNT_ID)
    answer = await desk.credentials.open(DEFAULT_SECRET)
    assert isinstance(answer, Problem)
    assert answer.reason is Reason.CREDENTIALS_INVALID
    assert "canary" not in f"{answer}{desk.credentials!r}"


async def test_a_problem_is_looked_at_again_soon_and_a_success_seldom(desk: Desk) -> None:
    assert await desk.reason() is Reason.CREDENTIALS_MISSING
    desk.write(apiToken=TOKEN, accountId=ACCOUNT_ID)
    assert await desk.reason() is Reason.CREDENTIALS_MISSING
    await asyncio.sleep(RETRY_S)
    assert await desk.reason() is None
    reads = len(desk.reads)
    await asyncio.sleep(REREAD_S - 1)
    await desk.credentials.refresh()
    assert len(desk.reads) == reads
    await asyncio.sleep(1)
    await desk.credentials.refresh()
    assert len(desk.reads) == reads + 1


async def test_a_change_is_told_once(desk: Desk) -> None:
    desk.write(apiToken=TOKEN, accountId=ACCOUNT_ID)
    await desk.reason()
    assert desk.changed == [DEFAULT_SECRET]
    desk.remote.valid_tokens.add("next")
    desk.write(apiToken="next", accountId=ACCOUNT_ID)
    for _ in range(3):
        await asyncio.sleep(REREAD_S)
        await desk.credentials.refresh()
    assert desk.changed == [DEFAULT_SECRET] * 2


async def test_a_sick_cluster_api_closes_no_account(desk: Desk) -> None:
    desk.write(apiToken=TOKEN, accountId=ACCOUNT_ID)
    await desk.reason()

    def fail(phase: str, call: str) -> None:
        raise UnavailableError(f"{phase} {call}")

    desk.cluster.trip = fail
    await asyncio.sleep(REREAD_S)
    await desk.credentials.refresh()
    assert await desk.reason() is None
    assert desk.changed == [DEFAULT_SECRET]


async def test_an_account_that_is_not_known_yet_has_a_name_that_none_can_have(desk: Desk) -> None:
    assert desk.credentials.account_id(DEFAULT_SECRET).startswith("?")


def test_a_resource_names_a_secret_of_its_own_namespace_or_gets_the_default(desk: Desk) -> None:
    assert desk.credentials.ref("team", "own") == SecretRef("team", "own")
    assert desk.credentials.ref("team", None) == DEFAULT_SECRET
