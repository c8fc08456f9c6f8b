"""The Kubernetes API for devcluster itself: a thin REST client on aiohttp."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

Json = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class ApiError(Exception):
    """The API server refused. `status` is the HTTP code, `reason` Kubernetes' word for it (`NotFound`)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason


class Api:
    """An open session with one API server. Answers are JSON as they come."""

    def __init__(self, server: str, ca: Path, certificate: tuple[Path, Path] | None = None) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        if certificate:
            context.load_cert_chain(*certificate)
        self.server = server
        self._session = aiohttp.ClientSession(
            base_url=server,
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            timeout=aiohttp.ClientTimeout(total=10),
            headers={"User-Agent": "devcluster"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session."""
        await self._session.close()

    async def get(self, path: str, **query: str) -> Json:
        """GET an object or a list."""
        return await self._request("GET", path, query=query)

    async def create(self, path: str, body: Json) -> Json:
        """POST to a collection or a subresource."""
        return await self._request("POST", path, body=body)

    async def patch(self, path: str, body: Json, kind: str = MERGE, **query: str) -> Json:
        """PATCH; with `kind` APPLY give `fieldManager`."""
        return await self._request("PATCH", path, body=body, kind=kind, query=query)

    async def delete(self, path: str, body: Json | None = None) -> Json:
        """DELETE, with DeleteOptions in `body`."""
        return await self._request("DELETE", path, body=body)

    async def text(self, path: str) -> str:
        """GET plain text, e.g. /readyz."""
        async with self._session.get(path) as response:
            text = await response.text()
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise ApiError(response.status, response.reason or "", text)
            return text

    async def watch(self, path: str, version: str) -> AsyncIterator[Json]:
        """Yield watch events from `version` on, until the server ends the stream. Raises ApiError 410."""
        query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=None)
        async with self._session.get(path, params=query, timeout=timeout) as response:
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise _error(response.status, await response.read())
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        status = event["object"]
                        raise ApiError(
                            status.get("code", 500), status.get("reason", ""), status.get("message", "")
                        )
                    yield event

    async def _request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        kind: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Json:
        data = json.dumps(body) if body is not None else None
        headers = {"Content-Type": kind} if data else {}
        async with self._session.request(method, path, data=data, headers=headers, params=query) as response:
            payload = await response.read()
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _error(response.status, payload)
        answer: Json = json.loads(payload)
        return answer


def _error(status: int, payload: bytes) -> ApiError:
    try:
        answer = json.loads(payload)
        return ApiError(status, answer.get("reason", ""), answer.get("message", ""))
    except ValueError:
        return ApiError(status, "", payload.decode(errors="replace")[:500])


# What is worth another try: the server is gone or starting, not: it said no.
TRANSIENT = (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError)
