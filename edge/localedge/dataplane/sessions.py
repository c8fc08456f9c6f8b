"""Where sessions are kept: in the cookie `__cflb` of the visitor, or here by the value of headers."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate

from localedge.balance.model import Affinity, LoadBalancer
from localedge.clock import Clock
from localedge.dataplane.header_fields import HeaderList

COOKIE = "__cflb"
_COOKIE_HEADER = "cookie:"
_MANY = 10_000
"""So many header sessions are kept before idle ones are looked for."""

Key = tuple[str, tuple[str, ...]]
"""Load balancer and values of the headers."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a request shows of its session."""

    token: str | None
    """Names the origin; None: a session is to begin."""
    key: Key | None
    """Where a session by header is kept."""


class Sessions:
    """Reads and writes sessions. They live in real seconds, as the visitors' cookies do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_header: dict[Key, tuple[str, float]] = {}

    def ticket(self, balancer: LoadBalancer, headers: HeaderList) -> Ticket | None:
        """Read the session of a request; None if it can have none."""
        affinity = balancer.affinity
        match affinity.kind:
            case "none":
                return None
            case "cookie" | "ip_cookie":
                return Ticket(_cookies(headers).get(COOKIE), None)
            case "header":
                values = _values(affinity, headers)
                if values is None:
                    return None
                key = (balancer.id, values)
                return Ticket(self._lookup(key, affinity.ttl_s), key)

    def keep(self, balancer: LoadBalancer, ticket: Ticket, token: str, *, fresh: bool) -> str | None:
        """Keep a session at an origin; the value of `set-cookie` if the visitor is to keep it itself.

        A cookie is set once and lives for its time from then on; a header's session by its last use.
        """
        if ticket.key is not None:
            self._remember(ticket.key, token, balancer.affinity.ttl_s)
            return None
        return cookie(balancer.affinity, token, self._clock.epoch()) if fresh else None

    def _lookup(self, key: Key, ttl_s: float) -> str | None:
        token, used = self._by_header.get(key, (None, 0.0))
        return token if self._clock.real() < used + ttl_s else None

    def _remember(self, key: Key, token: str, ttl_s: float) -> None:
        now = self._clock.real()
        if len(self._by_header) >= _MANY:
            self._by_header = {k: v for k, v in self._by_header.items() if now < v[1] + ttl_s}
        self._by_header[key] = (token, now)


def cookie(affinity: Affinity, token: str, epoch: float) -> str:
    """Write the cookie.

    `Auto` is `Lax` and not `Secure`: so it is in a zone that does not turn all visitors to HTTPS, and no
    other is emulated.
    """
    samesite = "Lax" if affinity.samesite == "Auto" else affinity.samesite
    secure = affinity.secure == "Always" or (affinity.secure == "Auto" and samesite == "None")
    expires = formatdate(epoch + affinity.ttl_s, usegmt=True)
    parts = [f"{COOKIE}={token}", f"SameSite={samesite}", *(["Secure"] if secure else []), "path=/"]
    return "; ".join([*parts, f"expires={expires}", "HttpOnly"])


def _values(affinity: Affinity, headers: HeaderList) -> tuple[str, ...] | None:
    found: list[str] = []
    for name in affinity.headers:
        if name.startswith(_COOKIE_HEADER):
            cookies = _cookies(headers)
            names = name.removeprefix(_COOKIE_HEADER).split(",")
            value = "; ".join(f"{n}={cookies[n]}" for n in names if n in cookies)
        else:
            value = ", ".join(v for n, v in headers if n == name.lower())
        if value:
            found.append(f"{name}: {value}")
        elif affinity.require_all:
            return None
    return tuple(found) or None


def _cookies(headers: HeaderList) -> dict[str, str]:
    jar: dict[str, str] = {}
    for name, value in headers:
        if name != "cookie":
            continue
        for part in value.split(";"):
            key, _, text = part.strip().partition("=")
            jar.setdefault(key, text)
    return jar
