"""Certificates for visitors: one for the zones of the start, one more for each zone that comes later."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence

from localedge.documents.hostnames import zone_of
from localedge.tunnel.ca import CertificateAuthority


def visitor_context(
    authority: CertificateAuthority, zones: Callable[[], Sequence[str]], others: Sequence[str]
) -> ssl.SSLContext:
    """Make the context of the HTTPS listener: every zone with all names one label below it, and others."""
    covered = tuple(zones())
    later: dict[str, ssl.SSLContext] = {}

    def certify(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        zone = zone_of((name or "").lower(), zones())
        if zone is None or zone in covered:
            return
        if zone not in later:
            later[zone] = authority.https_context([zone, f"*.{zone}"])
        connection.context = later[zone]

    context = authority.https_context([*(n for zone in covered for n in (zone, f"*.{zone}")), *others])
    context.sni_callback = certify
    return context
