"""The error pages that Cloudflare itself answers with."""

from __future__ import annotations

from dataclasses import dataclass, field

from localedge.balance.rules import FixedResponse


@dataclass(frozen=True, slots=True)
class Page:
    """An answer of the edge, not of an origin."""

    status: int
    code: int
    """Cloudflare's error number: 1033 and so on; the status again where there is none."""
    title: str
    headers: tuple[tuple[str, str], ...] = field(default=())
    content_type: str = "text/plain"
    text: str | None = None
    """The whole body, where it is no error page."""

    @property
    def body(self) -> bytes:
        """The page; `error code: N` is what Cloudflare sends to programs."""
        if self.text is not None:
            return self.text.encode()
        return f"error code: {self.code}\n{self.title}\n".encode()


NO_TUNNEL = Page(530, 1033, "Cloudflare Tunnel error", (("retry-after", "120"),))
NO_ORIGIN = Page(530, 1016, "Origin DNS error")
UNKNOWN_HOST = Page(409, 1001, "DNS resolution error")
BAD_GATEWAY = Page(502, 502, "Bad gateway")
ORIGIN_TIMEOUT = Page(524, 524, "A timeout occurred")
BAD_REQUEST = Page(400, 400, "Bad request")
ABORTED = Page(499, 499, "The visitor left")
"""Never sent: stands in the journal for a request whose visitor did not wait."""

_UNREACHABLE = {
    520: "Web server is returning an unknown error",
    521: "Web server is down",
    522: "Connection timed out",
    523: "Origin is unreachable",
    525: "SSL handshake failed",
    526: "Invalid SSL certificate",
}


def unreachable_origin(status: int) -> Page:
    """Make the page for an address origin that did not answer."""
    if status == NO_ORIGIN.status:
        return NO_ORIGIN
    return Page(status, status, _UNREACHABLE.get(status, "Origin error"))


def fixed(response: FixedResponse) -> Page:
    """Make the answer that a rule of a load balancer has ready."""
    headers = (("location", response.location),) if response.location else ()
    kind = response.content_type or "text/plain"
    return Page(response.status, response.status, "", headers, kind, response.body)


def not_emulated(what: str) -> Page:
    """Make the page for what Cloudflare serves and the local edge does not."""
    return Page(501, 501, f"{what} is not emulated by the local edge")
