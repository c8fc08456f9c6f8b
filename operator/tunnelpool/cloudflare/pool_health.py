"""What stays known of a pool's health when the answer to a write does not tell it."""

from __future__ import annotations

from dataclasses import replace

from tunnelpool.domain.remote import ObservedPool, PoolHealth


def with_known_health(written: ObservedPool, before: ObservedPool | None) -> ObservedPool:
    """Carry verdicts over to an answer without them, until the next listing.

    Only those that the write has not made void: of origins that were and are enabled under the same
    address, and of nothing if the pool's monitor is another one or the pool is disabled.
    """
    if before is None or before.value.monitor != written.value.monitor or not written.value.enabled:
        return written
    old = {origin.name: origin for origin in before.value.origins}
    verdicts = dict(written.health.origins)
    disabled_at = dict(written.health.disabled_at)
    for origin in written.value.origins:
        known = old.get(origin.name)
        if known is None or known.address != origin.address or known.enabled != origin.enabled:
            continue
        if origin.enabled and verdicts.get(origin.name) is None:
            verdicts[origin.name] = before.health.origins.get(origin.name)
        if not origin.enabled and origin.name in before.health.disabled_at:
            disabled_at.setdefault(origin.name, before.health.disabled_at[origin.name])
    healthy = before.health.healthy if written.health.healthy is None else written.health.healthy
    return replace(written, health=PoolHealth(healthy, verdicts, disabled_at))
