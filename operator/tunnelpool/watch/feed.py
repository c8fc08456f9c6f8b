"""The feed: first a listing of everything, then kopf's watches, and a sweep wherever those have a gap.

Order at start: each kind is listed into the store and marked as synced; then kopf lists and watches;
whenever one of its watches begins after a listing (at the start, and after `410 Gone`) the kind is
swept, and all kinds are every half hour. Order at the end: the program stops its writers, then cancels
`run`, which stops kopf. Signals belong to the program: kopf runs in a thread and never sees them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tunnelpool.domain.errors import ApiError
from tunnelpool.domain.keeping import kept
from tunnelpool.domain.kinds import WATCHED, Kind
from tunnelpool.watch.hearing import Hearing
from tunnelpool.watch.informer import Informer
from tunnelpool.watch.ports import Connect, Lister, Sink
from tunnelpool.watch.settings import EndlessBackoff
from tunnelpool.watch.sweep import sweep

SWEEP_EVERY_S: Final = 1800.0
DEAF_AFTER_S: Final = 300.0
"""Silence after which a watch is given up, if the API server answers otherwise."""
_BEGIN_WITHIN_S: Final = 30.0
_SWEEP_AGAIN_S: Final = 60.0

_log = logging.getLogger(__name__)


class FeedError(Exception):
    """kopf has ended or does not hear: the program should end and be started anew."""


class Feed:
    """Keeps a store like the cluster. `namespaces` limits what is watched; empty is the whole cluster."""

    def __init__(
        self,
        sink: Sink,
        lister: Lister,
        connect: Connect,
        *,
        namespaces: Sequence[str] = (),
        kinds: Sequence[Kind] = WATCHED,
        begin_within_s: float = _BEGIN_WITHIN_S,
        sweep_every_s: float = SWEEP_EVERY_S,
        deaf_after_s: float = DEAF_AFTER_S,
    ) -> None:
        self._sink = sink
        self._lister = lister
        self._connect = connect
        self._namespaces = namespaces
        self._kinds = kinds
        self._begin_within_s = begin_within_s
        self._sweep_every_s = sweep_every_s
        self._deaf_after_s = deaf_after_s
        self._to_sweep: asyncio.Queue[Kind] = asyncio.Queue()
        self._hearing: Hearing | None = None

    def ages(self) -> Mapping[str, float]:
        """Seconds since each kind's watch was last heard, bookmarks included; empty before kopf starts.

        Above `hearing.SILENT_AFTER_S` the store may be behind: nothing should be taken out of service.
        """
        return self._hearing.ages() if self._hearing is not None else {}

    def watching(self) -> bool:
        """Tell whether every watch has begun."""
        return self._hearing is not None and not self._hearing.unheard()

    async def run(self) -> None:
        """Feed the store until cancelled.

        Raises:
            FeedError: kopf has ended by itself, or a watch is dead.

        """
        for kind in self._kinds:
            await self._list(kind)
        informer = await self._begin()
        tasks = [
            asyncio.create_task(self._until_failed(informer), name="feed"),
            asyncio.create_task(self._sweep_for_ever(), name="feed sweeper"),
            asyncio.create_task(self._until_deaf(), name="feed hearing"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # none of them ends but by an error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await informer.stop()

    async def _until_failed(self, informer: Informer) -> None:
        failure = await asyncio.shield(informer.failed)
        raise FeedError("kopf has ended by itself; its log says why") from failure

    async def _until_deaf(self) -> None:
        """End the feed if a watch stays silent although the API server answers."""
        while True:
            await asyncio.sleep(self._deaf_after_s / 5)
            ages = self.ages()
            for kind in self._kinds:
                if ages[kind.name] > self._deaf_after_s and await self._sweep(kind):
                    raise FeedError(f"the API server answers, but the watch of {kind.plural} is silent")

    async def _list(self, kind: Kind) -> None:
        for pause_s in EndlessBackoff():
            try:
                await sweep(kind, self._namespaces, self._lister, self._sink)
            except ApiError as error:
                _log.warning("cannot list %s, will try again: %s", kind.plural, error.message)
                await asyncio.sleep(pause_s)
            else:
                self._sink.mark_synced(kind.name)
                return

    async def _begin(self) -> Informer:
        """Start kopf; start it anew if it does not see a kind: discovery lags behind a new CRD."""
        home = asyncio.get_running_loop()
        while True:
            news = asyncio.Event()

            def reopened(kind: Kind, news: asyncio.Event = news) -> None:
                # Called in kopf's thread.
                home.call_soon_threadsafe(self._to_sweep.put_nowait, kind)
                home.call_soon_threadsafe(news.set)

            hearing = Hearing(self._kinds, self._namespaces, reopened)
            informer = Informer(self._kinds, self._namespaces, self._connect, hearing, self._deliver)
            informer.start()
            try:
                if await self._has_begun(informer, hearing, news):
                    self._hearing = hearing
                    return informer
            except BaseException:
                await informer.stop()
                raise
            _log.warning("kopf does not watch %s; it is started anew", ", ".join(hearing.unheard()))
            await informer.stop()

    async def _has_begun(self, informer: Informer, hearing: Hearing, news: asyncio.Event) -> bool:
        informer.failed.add_done_callback(lambda _: news.set())
        try:
            async with asyncio.timeout(self._begin_within_s):
                while hearing.unheard() and not informer.failed.done():
                    await news.wait()
                    news.clear()
        except TimeoutError:
            return False
        return True

    async def _sweep_for_ever(self) -> None:
        while True:
            kinds: tuple[Kind, ...]
            try:
                async with asyncio.timeout(self._sweep_every_s):
                    kinds = (await self._to_sweep.get(),)
            except TimeoutError:
                kinds = tuple(self._kinds)
            for kind in kinds:
                await self._sweep(kind)

    async def _sweep(self, kind: Kind) -> bool:
        """Sweep a kind; answer whether it could be listed."""
        try:
            gone = await sweep(kind, self._namespaces, self._lister, self._sink)
        except ApiError as error:
            _log.warning("cannot sweep %s, will try again: %s", kind.plural, error.message)
            asyncio.get_running_loop().call_later(_SWEEP_AGAIN_S, self._to_sweep.put_nowait, kind)
            return False
        if gone:
            _log.info("%d %s were deleted unseen", gone, kind.plural)
        return True

    def _deliver(self, kind: Kind, gone: bool, raw: dict[str, Any]) -> None:
        meta = raw["metadata"]
        try:
            if gone:
                self._sink.remove(kind.name, meta.get("namespace", ""), meta["name"], meta["uid"])
            else:
                self._sink.put(kind.name, kept(kind.name, raw))
        except Exception:  # noqa: BLE001 - logged whole just below
            # A listener's mistake about one object must not hide the others.
            _log.exception("cannot take in %s %s/%s", kind.name, meta.get("namespace"), meta["name"])
