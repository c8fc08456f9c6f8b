"""kopf in a thread and an event loop of its own.

kopf takes over SIGINT and SIGTERM of the loop that it runs in, and on its way out cancels every task
that was created after it. In its own loop it finds no signals and no tasks but its own.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import aiohttp
import kopf
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from tunnelpool.domain.kinds import Kind
from tunnelpool.watch.hearing import Hearing
from tunnelpool.watch.ports import Access, Connect
from tunnelpool.watch.settings import operator_settings
from tunnelpool.watch.sockets import Sockets

_STOP_S: Final = 6.0
"""How long kopf may take to end when it is asked to: it gives 5 s to tasks that do not."""
_STOP_FAILED_S: Final = 1.0
"""Likewise after it has failed, when it often never ends."""
_CANCEL_EVERY_S: Final = 0.1
_CLOSE_S: Final = 1.0
"""How long its connections may take to close once kopf has ended."""

_log = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[Kind, bool, dict[str, Any]], None]
"""Called in the starter's loop: the kind, whether the object is gone, its JSON."""


class Informer:
    """Lists and watches the kinds until it is stopped; delivers every version in order of its watch."""

    def __init__(
        self,
        kinds: Sequence[Kind],
        namespaces: Sequence[str],
        connect: Connect,
        hearing: Hearing,
        deliver: Deliver,
    ) -> None:
        self._kinds = kinds
        self._namespaces = namespaces
        self._connect = connect
        self._hearing = hearing
        self._deliver = deliver
        # A daemon: should kopf hang on its way out, it must not keep the program from ending.
        self._thread = threading.Thread(
            target=self._main, args=(asyncio.get_running_loop(),), name="kopf", daemon=True
        )
        self._stop: Callable[[], None] = lambda: None
        self._break_off: Callable[[], None] = lambda: None
        self._stopping = threading.Event()
        self._ended = asyncio.Event()
        self._sockets = Sockets()
        self.failed: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        """Done when kopf ends without being asked to: what ended it, None if only kopf's log knows."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self) -> None:
        """Ask kopf to end, wait until it has, and cancel all that it does if it does not."""
        self._stopping.set()
        self._stop()
        for last_resort in (self._break_off, lambda: None):
            try:
                async with asyncio.timeout(_STOP_FAILED_S if self.failed.done() else _STOP_S):
                    await self._ended.wait()
            except TimeoutError:
                last_resort()
            else:
                self._thread.join()  # it has nothing left to do
                return
        _log.error("kopf does not end; its thread is left behind")

    def _main(self, home: asyncio.AbstractEventLoop) -> None:
        failure: BaseException | None = None
        try:
            asyncio.run(self._serve(home))
        except BaseException as error:  # noqa: BLE001 - handed to the starter, whatever it is
            failure = error
        _call_in(home, self._ends, failure)
        _call_in(home, self._ended.set)

    def _ends(self, failure: BaseException | None) -> None:
        if not self._stopping.is_set() and not self.failed.done():
            self.failed.set_result(failure)

    async def _serve(self, home: asyncio.AbstractEventLoop) -> None:
        stop_flag = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop = lambda: _call_in(loop, stop_flag.set)
        self._break_off = lambda: _call_in(loop, _cancel_until_ended, loop)
        if self._stopping.is_set():  # asked to stop before there was a flag to set
            return
        logging.getLogger("kopf._core.reactor.running").addFilter(_is_not_about_signals)
        try:
            await kopf.operator(
                registry=self._registry(home),
                settings=operator_settings(),
                clusterwide=not self._namespaces,
                namespaces=list(self._namespaces),
                stop_flag=stop_flag,
            )
        finally:
            await self._sockets.closed(within_s=_CLOSE_S)

    def _registry(self, home: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry, id="login")
        async def login(**_: Any) -> kopf.AiohttpSession:
            access = await self._connect()
            return kopf.AiohttpSession(server=access.server, aiohttp_session=self._session(access))

        @kopf.on.cleanup(registry=registry, id="cleanup")
        async def clean_up(**_: Any) -> None:
            # When a watcher fails, kopf begins to end but may never finish: another watcher that was
            # about to reconnect swallows its cancellation and waits for a session that is closed.
            _call_in(home, self._ends, None)

        for kind in self._kinds:
            kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=kind.name)(
                self._handler(kind, home)
            )
        return registry

    def _handler(self, kind: Kind, home: asyncio.AbstractEventLoop) -> Any:
        async def deliver(event: Any, **_: Any) -> None:
            _call_in(home, self._deliver, kind, event["type"] == "DELETED", event["object"])

        return deliver

    def _session(self, access: Access) -> aiohttp.ClientSession:
        async def authorize(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            authorization = await access.authorization()
            if authorization:
                request.headers["Authorization"] = authorization
            return await handler(request)

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=access.ssl, socket_factory=self._sockets.make),
            middlewares=(authorize, self._hearing.listen),
            proxy=access.proxy,
        )


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: Any) -> None:
    try:
        loop.call_soon_threadsafe(call, *arguments)
    except RuntimeError:  # that loop has ended: there is nobody left to tell
        _log.debug("the event loop has ended before %s", getattr(call, "__name__", call))


def _cancel_until_ended(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel again and again: a watcher of kopf that is reconnecting swallows what comes at that moment."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.call_later(_CANCEL_EVERY_S, _cancel_until_ended, loop)


def _is_not_about_signals(record: logging.LogRecord) -> bool:
    """Drop kopf's warning that it ignores signals outside of the main thread: that is the intention."""
    return not record.getMessage().startswith("OS signals are ignored")
