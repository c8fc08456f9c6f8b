"""One connection pool to the Kubernetes API, speaking JSON and the errors of the domain."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from kubernetes.aio.client import ApiClient

from tunnelpool.domain.errors import ApiError, UnavailableError
from tunnelpool.engine.ports import Fence
from tunnelpool.kube.access import load_configuration
from tunnelpool.kube.failures import broken, refusal

JSON: Final = "application/json"
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"

_CONNECT_S: Final = 5.0
_TOTAL_S: Final = 15.0
_UNAUTHORIZED: Final = 401
_FIRST_REFUSAL: Final = 300


class KubeClient:
    """Requests to the API server. Nothing is retried but a refusal of outdated credentials.

    With a `fence`, every request but GET must pass it.
    """

    def __init__(
        self,
        api: ApiClient,
        kubeconfig: str = "",
        *,
        total_s: float = _TOTAL_S,
        fence: Fence | None = None,
    ) -> None:
        self._api: Any = api  # generated code, half typed
        self._kubeconfig = kubeconfig
        self._total_s = total_s
        self._fence = fence
        self._renewing = asyncio.Lock()
        self._in_flight: Counter[Any] = Counter()

    @classmethod
    async def connect(
        cls, kubeconfig: str = "", *, total_s: float = _TOTAL_S, fence: Fence | None = None
    ) -> KubeClient:
        """Read the configuration; no request is sent. `total_s` bounds each request.

        Raises:
            UnavailableError: no way to the API is configured.

        """
        return cls(await _api_client(kubeconfig), kubeconfig, total_s=total_s, fence=fence)

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
    ) -> dict[str, Any]:
        """Send one request; answer with the decoded object.

        Raises:
            ApiError: as `tunnelpool.kube.failures` says; nothing else.

        """
        used = self._api
        try:
            return await self._send(method, path, query, body, content_type)
        except ApiError as error:
            if error.status != _UNAUTHORIZED:
                raise
        # A refusal before anything was done: sending it again is safe.
        await self._renew(used)
        return await self._send(method, path, query, body, content_type)

    async def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Any, content_type: str
    ) -> dict[str, Any]:
        api = self._api
        self._in_flight[api] += 1
        try:
            request = await api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": JSON, "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await api.call_api(*request, _request_timeout=self._limit(method))
            content = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise broken(method, path, error) from error
        finally:
            self._in_flight[api] -= 1
            await self._close_if_left(api)
        status = int(response.status)
        if status >= _FIRST_REFUSAL:
            raise refusal(method, path, status, content, response.headers.get("Retry-After"))
        try:
            answer = json.loads(content)
        except ValueError as error:
            raise UnavailableError(f"the answer to {method} {path} is not JSON", status=status) from error
        return dict(answer)

    def _limit(self, method: str) -> aiohttp.ClientTimeout:
        total_s = self._total_s
        if self._fence is not None and method != "GET":
            total_s = self._fence.limit(total_s)
        # Unless told otherwise aiohttp rounds what is longer than 5 s up, which would outlast the lease.
        return aiohttp.ClientTimeout(total=total_s, sock_connect=_CONNECT_S, ceil_threshold=math.inf)

    async def _renew(self, refused: Any) -> None:
        async with self._renewing:
            if self._api is not refused:  # another request has done it already
                return
            self._api = await _api_client(self._kubeconfig)
            await self._close_if_left(refused)

    async def _close_if_left(self, api: Any) -> None:
        """Close the connections of outdated credentials once the last request on them has ended."""
        if api is not self._api and not self._in_flight[api]:
            del self._in_flight[api]
            await api.close()


async def _api_client(kubeconfig: str) -> ApiClient:
    api = ApiClient(await load_configuration(kubeconfig))
    api.user_agent = f"tunnelpool/{importlib.metadata.version('tunnelpool')}"
    return api
