"""Requests over HTTPS: each on a connection of its own, none sent twice."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from openloop.generator import Reply
from openloop.load import Load, Order


@dataclass(frozen=True, slots=True)
class Door:
    """Where visitors are served over TLS, whatever the name resolves to."""

    address: str
    port: int
    tls: ssl.SSLContext

    def url(self, path: str) -> URL:
        """Build what is dialled; the path is taken as it is."""
        return URL(f"https://{self.address}:{self.port}{path}", encoded=True)


class Visitors:
    """Asks for orders at a door. Made by `visitors`."""

    def __init__(self, load: Load, door: Door, session: aiohttp.ClientSession) -> None:
        self._load = load
        self._door = door
        self._session = session
        self._jars: dict[int, dict[str, str]] = {}

    async def ask(self, order: Order) -> Reply:
        """Send one request and read its answer to the end."""
        jar = self._jars.setdefault(order.visitor, {}) if order.visitor is not None else {}
        headers = {"Host": self._load.hostname}
        if jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        try:
            async with self._session.get(
                self._door.url(order.path), headers=headers, server_hostname=self._load.hostname
            ) as answer:
                content = await answer.read()
                document = await answer.json() if content and _is_json(answer) else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return Reply(0, _said(error))
        jar.update({name: morsel.value for name, morsel in answer.cookies.items()})
        return Reply(answer.status, by=_by(document))

    async def socket(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket.

        Raises:
            aiohttp.ClientError: refused, or not to be reached.
            TimeoutError: neither came.

        """
        return await self._session.ws_connect(
            self._door.url(path),
            headers={"Host": self._load.hostname},
            server_hostname=self._load.hostname,
            timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
        )


@asynccontextmanager
async def visitors(load: Load, door: Door) -> AsyncIterator[Visitors]:
    """Open what requests need, for the length of the block."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0, ssl=door.tls)
    timeout = aiohttp.ClientTimeout(total=load.timeout_s)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield Visitors(load, door, session)


def _is_json(answer: aiohttp.ClientResponse) -> bool:
    return answer.content_type == "application/json"


def _by(document: Any) -> str:
    if not isinstance(document, dict):
        return ""
    return str(document.get("served_by") or document.get("pod") or "")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
