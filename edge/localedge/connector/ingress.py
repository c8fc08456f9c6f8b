"""Ingress rules of a pushed configuration: which origin a request goes to. Pure.

Checked and matched as cloudflared does it (its `ingress/ingress.go`); what the stand-in cannot do is refused,
and so the whole configuration, as cloudflared refuses a rule that it cannot read.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localedge.connector.origin_request import OriginRequest, parse_origin_request

_STATUS_PREFIX = "http_status:"
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_MIN_STATUS, _MAX_STATUS = 100, 999


class IngressError(Exception):
    """A configuration that is invalid, or that asks for what the stand-in cannot do."""


@dataclass(frozen=True)
class StatusService:
    """Answers with a bare status."""

    status: int
    default: bool = False
    """Whether it stands in because there are no rules yet."""

    def __str__(self) -> str:
        return f"{_STATUS_PREFIX}{self.status}"


@dataclass(frozen=True)
class HttpService:
    """Sends requests to an origin."""

    scheme: str
    """`http` or `https`."""
    host: str
    """Host, and port if the URL has one."""
    url: str
    """As the configuration has it."""

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Rule:
    """One rule: a hostname and a path to match, and where to go."""

    hostname: str
    path: re.Pattern[str] | None
    service: HttpService | StatusService
    origin_request: OriginRequest
    ascii_hostname: str = ""
    """The hostname in punycode, if that is another text."""

    def matches(self, hostname: str, path: str) -> bool:
        """Tell whether the rule is for a request; its case counts, as in cloudflared."""
        host_matches = (
            self.hostname in ("", "*")
            or _matches_host(self.hostname, hostname)
            or bool(self.ascii_hostname and _matches_host(self.ascii_hostname, hostname))
        )
        return host_matches and (self.path is None or self.path.search(path) is not None)


@dataclass(frozen=True)
class Ingress:
    """The rules of a configuration in their order; the last one matches everything."""

    rules: tuple[Rule, ...]
    defaults: OriginRequest

    def find(self, authority: str, path: str) -> Rule:
        """Find the rule for a request by its `:authority` and its path, query and escapes included."""
        hostname = split_port(authority)
        decoded = urllib.parse.unquote(path.partition("?")[0])
        return next((rule for rule in self.rules if rule.matches(hostname, decoded)), self.rules[-1])


def no_rules() -> Ingress:
    """Make what a connector serves before its first configuration: 503 to all."""
    defaults = OriginRequest()
    return Ingress((Rule("", None, StatusService(503, default=True), defaults),), defaults)


def parse_configuration(config: Any) -> Ingress:
    """Read a pushed configuration; without any rule it serves 503.

    Raises:
        IngressError: it is invalid or needs what the stand-in cannot do.

    """
    if not isinstance(config, Mapping):
        raise IngressError("the configuration is no JSON object")
    try:
        defaults = parse_origin_request(config.get("originRequest"), OriginRequest())
        documents = config.get("ingress") or []
        if not isinstance(documents, Sequence) or isinstance(documents, str):
            raise IngressError("ingress is no list")
        if not documents:
            return Ingress(no_rules().rules, defaults)
        rules = [_parse_rule(document, defaults, i, len(documents)) for i, document in enumerate(documents)]
    except ValueError as error:
        raise IngressError(str(error)) from error
    return Ingress(tuple(rules), defaults)


def split_port(authority: str) -> str:
    """Take the port off an authority."""
    host, colon, port = authority.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return host.strip("[]")
    return authority


def _parse_rule(document: Any, defaults: OriginRequest, index: int, count: int) -> Rule:
    if not isinstance(document, Mapping):
        raise IngressError(f"rule {index + 1} is no JSON object")
    hostname, path, service = (_text(document, name, index) for name in ("hostname", "path", "service"))
    _check_hostname(hostname, path, index, count)
    return Rule(
        hostname=hostname,
        path=_compile(path, index) if path else None,
        service=_parse_service(service),
        origin_request=parse_origin_request(document.get("originRequest"), defaults),
        ascii_hostname=_punycode(hostname),
    )


def _text(document: Mapping[str, Any], name: str, index: int) -> str:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise IngressError(f"rule {index + 1}: {name} is no text")
    return value or ""


def _check_hostname(hostname: str, path: str, index: int, count: int) -> None:
    if split_port(hostname) != hostname:
        raise IngressError("Hostname cannot contain a port")
    if hostname.rfind("*") > 0:
        raise IngressError(
            'Hostname patterns can have at most one wildcard character ("*") and it can only be used for '
            'subdomains, e.g. "*.example.com"'
        )
    catches_all, is_last = hostname in ("", "*") and not path, index == count - 1
    if is_last and not catches_all:
        raise IngressError(
            "The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)"
        )
    if catches_all and not is_last:
        raise IngressError(
            f"Rule #{index + 1} is matching the hostname '{hostname}', but this will match every hostname, "
            "meaning the rules which follow it will never be triggered."
        )


def _parse_service(service: str) -> HttpService | StatusService:
    if service.startswith(_STATUS_PREFIX):
        text = service.removeprefix(_STATUS_PREFIX)
        if not text.isdecimal() or not _MIN_STATUS <= int(text) <= _MAX_STATUS:
            raise IngressError(f"invalid HTTP status code: {text}")
        return StatusService(int(text))
    url = urllib.parse.urlsplit(service)
    if not url.scheme or not url.hostname:
        if service.startswith(("unix:", "unix+tls:")) or service in (
            "hello_world",
            "hello-world",
            "bastion",
            "socks-proxy",
        ):
            raise IngressError(f"{service}: the stand-in connector has no such service")
        raise IngressError(
            f"{service} is an invalid address, please make sure it has a scheme and a hostname"
        )
    if url.path:
        raise IngressError(
            f"{service} is an invalid address, ingress rules don't support proxying to a different path on "
            "the origin service. The path will be the same as the eyeball request's path"
        )
    if url.scheme not in _SCHEMES:
        raise IngressError(f"{service}: the stand-in connector speaks http, https and WebSocket only")
    _ = url.port  # ValueError unless it is one
    return HttpService(_SCHEMES[url.scheme], url.netloc.rpartition("@")[2], service)


def _compile(path: str, index: int) -> re.Pattern[str]:
    try:
        return re.compile(path)
    except re.error as error:
        raise IngressError(f"Rule #{index + 1} has an invalid regex: {error}") from error


def _punycode(hostname: str) -> str:
    if hostname.isascii():
        return ""
    try:
        return hostname.encode("idna").decode()
    except UnicodeError:
        return ""


def _matches_host(pattern: str, hostname: str) -> bool:
    return pattern == hostname or (pattern.startswith("*.") and hostname.endswith(pattern[1:]))
