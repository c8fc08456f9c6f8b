from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from localedge.tunnel.interface import ConnectionInfo, NoConnectionError
from localedge.tunnel.roster import Roster


@dataclass(eq=False)
class FakeConnection:
    """A connection that is only listed and chosen."""

    info: ConnectionInfo
    load: int = 0
    takes_requests: bool = True


def connection(client: str = "c1", tunnel: str = "t1", index: int = 0) -> FakeConnection:
    return FakeConnection(
        ConnectionInfo(
            id=f"{client}-{index}",
            tunnel_id=tunnel,
            client_id=client,
            index=index,
            version="v",
            arch="a",
            features=(),
            origin_ip="127.0.0.1",
            colo="LHR",
            opened_at=0.0,
        )
    )


def roster(*members: FakeConnection) -> Roster[FakeConnection]:
    made: Roster[FakeConnection] = Roster(random.Random(1))  # noqa: S311 - a fixed draw
    for member in members:
        made.add(member)
    return made


def test_a_tunnel_without_connections_has_none_to_choose() -> None:
    with pytest.raises(NoConnectionError):
        roster(connection(tunnel="other")).choose("t1")


def test_a_connection_that_takes_no_requests_is_not_chosen() -> None:
    deaf = connection()
    deaf.takes_requests = False
    with pytest.raises(NoConnectionError):
        roster(deaf).choose("t1")
    assert roster(deaf).of("t1") == (deaf,)


def test_every_connection_gets_requests() -> None:
    members = [connection(index=i) for i in range(4)]
    chosen = roster(*members)
    assert {chosen.choose("t1").info.index for _ in range(100)} == {0, 1, 2, 3}


def test_of_two_the_less_busy_is_chosen() -> None:
    busy, idle = connection(index=0), connection(index=1)
    busy.load = 10
    chosen = roster(busy, idle)
    assert all(chosen.choose("t1") is idle for _ in range(20))


def test_connections_are_listed_by_connector() -> None:
    a0, b0, a1 = connection("a"), connection("b"), connection("a", index=1)
    assert roster(a0, b0, a1).by_client("t1") == {"a": [a0, a1], "b": [b0]}


def test_what_a_connector_runs_is_remembered_until_its_last_connection_is_gone() -> None:
    first, second = connection(index=0), connection(index=1)
    members = roster(first, second)
    members.acknowledge("c1", 3)
    members.remove(first)
    assert members.applied("c1") == 3
    members.remove(second)
    members.remove(second)
    assert members.applied("c1") is None


def test_a_connector_that_runs_none_of_ours_has_no_version() -> None:
    members = roster(connection())
    members.acknowledge("c1", -1)
    assert members.applied("c1") is None
