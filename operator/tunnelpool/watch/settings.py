"""kopf's settings: read-only, patient with the API server, quiet."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Final

import kopf

from tunnelpool.domain.kinds import WATCHED

_PAGE: Final = 500
_LONGEST_BACKOFF_S: Final = 30.0


class EndlessBackoff(Iterable[float]):
    """1, 2, 4 … 30 s for ever, each drawn from its upper half: an upgrade of the API must not end us."""

    def __iter__(self) -> Iterator[float]:
        """Begin again at one second."""
        longest = 1.0
        while True:
            yield longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
            longest = min(_LONGEST_BACKOFF_S, longest * 2)


def operator_settings() -> kopf.OperatorSettings:
    """Build the settings; each differs from kopf's default for a reason given beside it."""
    settings = kopf.OperatorSettings()
    # Never used, and never to be mistaken for ours: kopf removes its own finalizer where it finds it.
    settings.persistence.finalizer = "kopf.tunnelpool.dev/unused"
    settings.peering.standalone = True  # a Lease is what makes one writer of several replicas
    settings.posting.enabled = False  # Events are posted by `kube`, each once
    settings.scanning.disabled = True  # no watches of CRDs and namespaces, and no rights for them
    settings.queueing.idle_timeout = 1.0  # a task for each object ends soon after the first listing
    settings.watching.chunk_size = _PAGE
    settings.watching.inactivity_timeout = 70.0  # the API server sends a bookmark each minute
    # Streams end before load balancers between us and the API server cut them, and not all at once.
    settings.watching.server_timeout = random.randint(280, 320)  # noqa: S311 - jitter
    settings.watching.client_timeout = settings.watching.server_timeout + 10
    settings.networking.request_timeout = 30.0
    settings.networking.connect_timeout = 10.0
    settings.networking.error_backoffs = EndlessBackoff()
    settings.process.ultimate_exiting_timeout = None  # the program decides how long its end may take
    for kind in WATCHED:
        if kind.selector:
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = kind.selector
    return settings
