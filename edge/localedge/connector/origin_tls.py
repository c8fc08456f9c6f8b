"""TLS towards origins, by the settings of a rule."""

from __future__ import annotations

import functools
import ssl

from localedge.connector.ingress import Rule, split_port


@functools.lru_cache(maxsize=32)
def _context(ca_pool: str, *, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_pool:
        context.load_verify_locations(ca_pool)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def client_context(rule: Rule) -> ssl.SSLContext:
    """Make or reuse the client context for a rule.

    Raises:
        OSError: the file of `caPool` cannot be read.

    """
    settings = rule.origin_request
    return _context(settings.ca_pool, verify=not settings.no_tls_verify)


def server_name(rule: Rule, authority: str) -> str | None:
    """Tell the server name to ask an origin for; None: the host of its URL."""
    settings = rule.origin_request
    if settings.match_sni_to_host:
        return split_port(settings.http_host_header or authority)
    return settings.origin_server_name or None
