"""Who learns of a change when."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from localedge.clock import Clock
from localedge.state.connections import ConnectionLedger
from localedge.state.records import State
from localedge.state.store import Lags, Store, VisibleState
from localedge.tunnel.interface import ConnectionInfo

CONNECTION = ConnectionInfo(
    id="c1",
    tunnel_id="t",
    client_id="client",
    index=0,
    version="v",
    arch="a",
    features=(),
    origin_ip="127.0.0.1",
    colo="LHR",
    opened_at=0,
)


def stores(lag: float = 3) -> tuple[Clock, Store, VisibleState]:
    clock = Clock(frozen=True)
    store = Store(clock)
    return clock, store, VisibleState(store, clock, Lags(config=lag))


def write(store: Store, name: str) -> State:
    store.commit(store.state.with_document("pools", name, {"id": name}))
    return store.state


def test_the_data_plane_sees_a_write_after_the_lag_and_not_before() -> None:
    clock, store, visible = stores()
    write(store, "a")
    clock.step(2.9)
    assert not visible.current().pools
    clock.step(0.1)
    assert list(visible.current().pools) == ["a"]


def test_writes_become_visible_one_after_the_other() -> None:
    clock, store, visible = stores()
    write(store, "a")
    clock.step(2)
    write(store, "b")
    clock.step(1)
    assert list(visible.current().pools) == ["a"]
    clock.step(2)
    assert list(visible.current().pools) == ["a", "b"]


def test_without_lag_a_write_is_visible_at_once() -> None:
    _, store, visible = stores(lag=0)
    assert visible.current() is not write(store, "a")
    assert visible.current() is store.state


async def test_waiting_for_a_version_ends_when_the_lag_is_over() -> None:
    clock, store, visible = stores()
    waiting = asyncio.create_task(visible.beyond(store.state.version))
    await asyncio.sleep(0)
    write(store, "a")
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    clock.step(3)
    assert list((await asyncio.wait_for(waiting, 5)).pools) == ["a"]


def test_the_api_learns_of_connections_after_the_state_lag() -> None:
    clock = Clock(frozen=True)
    ledger = ConnectionLedger(clock, Lags(state=15))
    ledger.connected(CONNECTION)
    assert ledger.live("t") == 1
    clock.step(14)
    assert not ledger.activity("t").ran
    clock.step(1)
    assert ledger.activity("t").connections == (CONNECTION,)
    ledger.disconnected(CONNECTION, graceful=True)
    assert ledger.activity("t").connections
    clock.step(15)
    gone = ledger.activity("t")
    assert gone.ran
    assert not gone.connections


def test_an_abrupt_death_leaves_a_ghost_for_the_death_lag() -> None:
    clock = Clock(frozen=True)
    ledger = ConnectionLedger(clock, Lags(death=5))
    ledger.connected(CONNECTION)
    ledger.disconnected(CONNECTION, graceful=False)
    clock.step(4.9)
    assert ledger.ghosts("t") == 1
    clock.step(0.1)
    assert ledger.ghosts("t") == 0


def test_a_graceful_leave_leaves_no_ghost() -> None:
    ledger = ConnectionLedger(Clock(frozen=True), Lags())
    ledger.connected(CONNECTION)
    ledger.disconnected(CONNECTION, graceful=True)
    assert ledger.ghosts("t") == 0


def test_a_connector_that_comes_back_takes_the_place_of_its_ghost() -> None:
    ledger = ConnectionLedger(Clock(frozen=True), Lags())
    ledger.connected(CONNECTION)
    ledger.disconnected(CONNECTION, graceful=False)
    ledger.connected(replace(CONNECTION, id="c2"))
    assert ledger.ghosts("t") == 0


def test_a_connection_is_said_to_have_gone_only_once() -> None:
    ledger = ConnectionLedger(Clock(frozen=True), Lags(state=0))
    ledger.connected(CONNECTION)
    ledger.disconnected(CONNECTION, graceful=True)
    ledger.disconnected(CONNECTION, graceful=False)
    assert (ledger.ghosts("t"), ledger.live("t")) == (0, 0)


def test_cleaned_up_connections_vanish_from_the_api_at_once() -> None:
    ledger = ConnectionLedger(Clock(frozen=True), Lags(state=15))
    ledger.connected(CONNECTION)
    ledger.forget("t", "client")
    assert not ledger.activity("t").connections
