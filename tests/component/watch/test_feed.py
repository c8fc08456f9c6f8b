import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tunnelpool.domain.kinds import SECRET, TUNNEL
from tunnelpool.engine.store import Store
from tunnelpool.watch.feed import Feed, FeedError

_KINDS = (TUNNEL, SECRET)

Fed = Callable[..., Any]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the state of many parts, one of them in a thread
            await asyncio.sleep(0.005)


def _names(store: Store, kind: str) -> set[str]:
    return {raw["metadata"]["name"] for raw in store.all(kind)}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def running(api: Any, connect: Any, store: Store) -> Fed:
    @asynccontextmanager
    async def running(**options: Any) -> AsyncIterator[tuple[Feed, asyncio.Task[None]]]:
        feed = Feed(store, api.lister, connect, kinds=_KINDS, **options)
        task = asyncio.create_task(feed.run())
        try:
            yield feed, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return running


async def _begun(feed: Feed, api: Any) -> None:
    """Wait for the watches, and for the sweeps with which they begin."""
    await _until(feed.watching)
    await _until(lambda: all(api.listings.count(kind.name) >= 2 for kind in _KINDS))


async def test_everything_is_in_the_store_before_it_is_called_synced(
    api: Any, store: Store, running: Fed
) -> None:
    api.put(TUNNEL, "x")
    api.unavailable = 1
    at_sync: list[set[str]] = []
    mark = store.mark_synced

    def marked(kind: str) -> None:
        at_sync.append(_names(store, kind))
        mark(kind)

    store.mark_synced = marked  # type: ignore[method-assign]  # what the store holds at that moment
    async with running():
        await _until(lambda: store.synced(frozenset({"Tunnel", "Secret"})))
    assert at_sync == [{"x"}, set()]


async def test_what_happens_later_comes_by_the_watches_in_order(api: Any, store: Store, running: Fed) -> None:
    heard: list[tuple[str, bool]] = []
    async with running() as (feed, _):
        await _begun(feed, api)
        store.add_listener(lambda kind, _before, after: heard.append((kind, after is not None)))
        api.put(SECRET, "s")
        api.put(SECRET, "s", labels={"is": "new"})
        api.delete(SECRET, "s")
        await _until(lambda: len(heard) == 3)
    assert heard == [("Secret", True), ("Secret", True), ("Secret", False)]
    assert _names(store, "Secret") == set()


async def test_managed_fields_stay_outside(api: Any, store: Store, running: Fed) -> None:
    put: list[Any] = []
    store.put = lambda kind, raw: put.append((kind, raw))  # type: ignore[method-assign]  # what arrives
    async with running() as (feed, _):
        await _begun(feed, api)
        api.put(TUNNEL, "x")
        await _until(lambda: bool(put))
    assert put[0][0] == "Tunnel"
    assert "managedFields" not in put[0][1]["metadata"]


async def test_a_deletion_that_no_watch_has_seen_is_found_when_the_watch_begins_anew(
    api: Any, store: Store, running: Fed
) -> None:
    api.put(SECRET, "stays")
    api.put(SECRET, "goes")
    async with running() as (feed, _):
        await _begun(feed, api)
        api.delete(SECRET, "goes", unseen=True)
        api.expire(SECRET)
        await _until(lambda: _names(store, "Secret") == {"stays"})


async def test_what_is_deleted_between_our_listing_and_the_watch_goes_too(
    api: Any, store: Store, running: Fed
) -> None:
    api.put(SECRET, "goes")
    mark = store.mark_synced

    def marked(kind: str) -> None:
        if kind == "Secret":
            api.delete(SECRET, "goes", unseen=True)
        mark(kind)

    store.mark_synced = marked  # type: ignore[method-assign]  # the moment between listing and watch
    async with running():
        await _until(lambda: store.synced(frozenset({"Secret"})) and _names(store, "Secret") == set())


async def test_everything_is_swept_from_time_to_time(api: Any, store: Store, running: Fed) -> None:
    api.put(SECRET, "goes")
    async with running(sweep_every_s=0.05) as (feed, _):
        await _begun(feed, api)
        api.delete(SECRET, "goes", unseen=True)
        await _until(lambda: _names(store, "Secret") == set())


async def test_a_bookmark_shows_that_a_quiet_watch_is_alive(api: Any, running: Fed) -> None:
    async with running() as (feed, _):
        assert feed.ages() == {}
        await _begun(feed, api)
        await _until(lambda: feed.ages()["Secret"] > 0.1)
        api.bookmark(SECRET)
        await _until(lambda: feed.ages()["Secret"] < 0.1)
        assert feed.ages()["Tunnel"] > 0.1


async def test_a_kind_that_is_discovered_late_is_watched_all_the_same(
    api: Any, store: Store, running: Fed
) -> None:
    api.discovered.discard("tunnels")
    async with running(begin_within_s=0.3) as (feed, _):
        await _until(lambda: bool(api.streams[SECRET.path()]))
        api.discovered.add("tunnels")
        await _until(feed.watching)
        api.put(TUNNEL, "x")
        await _until(lambda: _names(store, "Tunnel") == {"x"})


async def test_an_error_in_a_watch_that_kopf_does_not_survive_ends_the_feed(
    api: Any, running: Fed, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as (feed, task):
        await _begun(feed, api)
        api.say(
            SECRET, {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd is lost"}}
        )
        with pytest.raises(FeedError, match="kopf has ended by itself"):
            await asyncio.wait_for(asyncio.shield(task), 20)
    assert "etcd is lost" in caplog.text
    assert not any(thread.name == "kopf" for thread in threading.enumerate())


async def test_a_watch_that_stays_silent_while_the_api_answers_ends_the_feed(running: Fed) -> None:
    async with running(deaf_after_s=0.2) as (_, task):
        with pytest.raises(FeedError, match="the watch of tunnels is silent"):
            await asyncio.wait_for(asyncio.shield(task), 20)


async def test_silence_while_the_api_does_not_answer_is_waited_out(api: Any, running: Fed) -> None:
    async with running(deaf_after_s=0.2) as (feed, task):
        await _until(feed.watching)
        api.unavailable = 1_000_000
        asked = len(api.listings)
        await _until(lambda: len(api.listings) > asked + 4)
        assert not task.done()


async def test_a_listener_that_fails_hides_no_other_object(
    api: Any, store: Store, running: Fed, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_kind: str, _before: object, after: Any) -> None:
        if after["metadata"]["name"] == "bad":
            raise KeyError("bad")

    async with running() as (feed, _):
        await _begun(feed, api)
        store.add_listener(fail)
        api.put(SECRET, "bad")
        api.put(SECRET, "good")
        await _until(lambda: "good" in _names(store, "Secret"))
    assert "cannot take in Secret a/bad" in caplog.text


async def test_signals_and_tasks_of_the_program_are_left_alone(api: Any, running: Fed) -> None:
    got = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, got.set)
    try:
        async with running() as (feed, _):
            await _begun(feed, api)
            bystander: asyncio.Task[bool] = asyncio.create_task(_forever())
            signal.raise_signal(signal.SIGTERM)
            await asyncio.wait_for(got.wait(), 5)
            assert feed.watching()
        assert not bystander.done()
        bystander.cancel()
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


async def _forever() -> bool:
    return await asyncio.Event().wait()


async def test_it_asks_with_the_credentials_of_the_moment_and_by_our_label(api: Any, running: Fed) -> None:
    async with running() as (feed, _):
        await _begun(feed, api)
    assert len({authorization for _, _, authorization in api.requests}) == len(api.requests) == 4
    for path, query, _ in api.requests:
        expected = SECRET.selector if path == SECRET.path() else None
        assert query.get("labelSelector") == expected


async def test_namespaces_are_watched_one_by_one(api: Any, running: Fed) -> None:
    async with running(namespaces=["a", "b"]) as (feed, _):
        await _until(feed.watching)
    asked: set[str] = {path for path, _, _ in api.requests}
    assert asked == {kind.path(namespace) for kind in _KINDS for namespace in ("a", "b")}


async def test_stopping_before_kopf_has_begun_is_clean(api: Any, running: Fed) -> None:
    async with running() as (_, task):
        await _until(lambda: api.listings == ["Tunnel", "Secret"])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
