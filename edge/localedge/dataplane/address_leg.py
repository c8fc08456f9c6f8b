"""The way to an origin with an address: HTTP, or HTTPS with the certificate checked or not."""

from __future__ import annotations

import errno
import ipaddress
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import aiohttp
from yarl import URL

Scheme = Literal["http", "https"]
DEFAULT_PORT: Mapping[Scheme, int] = {"http": 80, "https": 443}
CONNECT_TIMEOUT_S = 15.0


class OriginUnreachableError(Exception):
    """The origin did not answer; `status` is Cloudflare's code for how (520 to 526, 530 for its name)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where and how to reach an address origin."""

    scheme: Scheme
    address: str
    port: int
    """0 is the default of the scheme."""
    host: str
    """Host header and, over TLS, the server name."""
    verify: bool

    @property
    def effective_port(self) -> int:
        """The port that is dialled."""
        return self.port or DEFAULT_PORT[self.scheme]

    def url(self, path: str) -> URL:
        """Build the URL that is dialled; the path with its query is taken as it is."""
        host = f"[{self.address}]" if _is_ipv6(self.address) else self.address
        return URL(f"{self.scheme}://{host}:{self.effective_port}{path}", encoded=True)


@dataclass(slots=True)
class AddressResponse:
    """An origin's answer. Read `body` to its end or call `close`."""

    status: int
    headers: list[tuple[str, str]]
    body: AsyncIterator[bytes]
    _response: aiohttp.ClientResponse

    def close(self) -> None:
        """Give the connection up."""
        self._response.close()


class AddressLeg:
    """Sends requests to address origins. TLS trust: the system's authorities and an own one."""

    def __init__(self, origin_ca: Path | None = None) -> None:
        self._origin_ca = origin_ca
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def tls(self, upstream: Upstream) -> ssl.SSLContext | None:
        """Choose the TLS context for an upstream, None for plain HTTP."""
        if upstream.scheme == "http":
            return None
        return self._verifying if upstream.verify else self._trusting

    @cached_property
    def _verifying(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._origin_ca is not None:
            context.load_verify_locations(cafile=self._origin_ca)
        return context

    @cached_property
    def _trusting(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    async def request(
        self,
        upstream: Upstream,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]],
        body: AsyncIterator[bytes] | None = None,
        *,
        timeout_s: float = 100.0,
    ) -> AddressResponse:
        """Send a request; the body is not touched before the connection stands.

        Raises:
            OriginUnreachableError: with Cloudflare's code.
            TimeoutError: connected, but no answer within `timeout_s`.

        """
        context = self.tls(upstream)
        try:
            response = await self._open_session().request(
                method,
                upstream.url(path),
                headers=[("Host", upstream.host), *headers],
                data=body,
                ssl=context if context is not None else False,
                server_hostname=_server_name(upstream.host) if context is not None else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=min(CONNECT_TIMEOUT_S, timeout_s), sock_read=timeout_s
                ),
            )
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
                raise TimeoutError from error
            raise unreachable(error) from error
        fields = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in response.raw_headers]
        return AddressResponse(response.status, fields, _chunks(response), response)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
        return self._session


def unreachable(error: BaseException) -> OriginUnreachableError:
    """Translate a client's error into Cloudflare's code."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match error:
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            return OriginUnreachableError(526, "invalid TLS certificate")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return OriginUnreachableError(525, "TLS handshake failed")
        case aiohttp.ClientConnectorDNSError():
            return OriginUnreachableError(530, "origin name does not resolve")
        case TimeoutError():
            return OriginUnreachableError(522, "connection timed out")
        case aiohttp.ClientConnectorError() | OSError() if isinstance(cause, OSError):
            if cause.errno == errno.ECONNREFUSED:
                return OriginUnreachableError(521, "connection refused")
            if cause.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EINVAL}:
                return OriginUnreachableError(523, "origin is unreachable")
        case _:
            pass
    return OriginUnreachableError(520, "origin closed the connection or sent no HTTP")


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for chunk in response.content.iter_any():
        yield chunk


def _server_name(host: str) -> str:
    return host.rpartition(":")[0] if ":" in host and not _is_ipv6(host) else host


def _is_ipv6(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).version == 6  # noqa: PLR2004 - that is what IPv6 means
    except ValueError:
        return False
