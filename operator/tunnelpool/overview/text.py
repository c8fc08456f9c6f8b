"""The tree for people: aligned, in a stable order, one line for each pool and each origin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from tunnelpool.overview.tree import HostRow, OriginRow, Overview, PoolRow

Paint: TypeAlias = Callable[[str, str], str]
"""Called with a text and `good`, `poor`, `bad` or `faint`; answers with it, coloured."""

_STYLE: Final = {"healthy": "good", "degraded": "poor", "critical": "bad", "missing": "bad"}


def plain_paint(text: str, style: str) -> str:
    """Leave a text as it is."""
    del style
    return text


def as_text(overview: Overview, paint: Paint = plain_paint) -> str:
    """Write the whole tree."""
    return "\n".join(_lines(overview, paint)) + "\n"


def as_json(overview: Overview) -> dict[str, Any]:
    """Write the tree for programs."""
    return {
        "hostnames": [
            {
                "hostname": host.hostname,
                "namespace": host.namespace,
                "answeredBy": host.answered_by,
                "onFallback": host.on_fallback,
                "pools": [_pool_json(pool) for pool in host.pools],
            }
            for host in overview.hosts
        ],
        "notReady": [dataclasses.asdict(one) for one in overview.troubles],
    }


def _pool_json(pool: PoolRow) -> dict[str, Any]:
    return {
        "name": pool.name,
        "role": pool.role,
        "serving": pool.serving,
        "health": pool.health,
        "healthyOrigins": pool.healthy,
        "origins": [dataclasses.asdict(one) for one in pool.origins],
        "originCount": pool.count,
        "minimumOrigins": pool.minimum,
        "checked": pool.checked,
        "mayFail": pool.may_fail,
    }


def _lines(overview: Overview, paint: Paint) -> Iterator[str]:
    if not overview.hosts:
        yield "No Tunnel and no LoadBalancer: nothing answers."
    for host in overview.hosts:
        yield from _host(host, paint)
        yield ""
    if overview.troubles:
        yield "Not ready"
        for one in overview.troubles:
            head = f"  {one.kind} {one.namespace}/{one.name}: {one.reason}"
            yield paint(head, "bad" if one.stalled else "poor")
            yield f"      {one.message}"


def _host(host: HostRow, paint: Paint) -> Iterator[str]:
    yield f"{host.hostname}  {paint(f'in {host.namespace}: {_answer(host)}', 'faint')}"
    names = max((len(pool.name) for pool in host.pools), default=0)
    tallies = max((len(_tally(pool)) for pool in host.pools), default=0)
    origins = max((len(one.name) for pool in host.pools for one in pool.origins), default=0)
    for place, pool in enumerate(host.pools, 1):
        last = place == len(host.pools)
        label = f"{place}." if pool.role == "pool" else "fb"
        health = paint(f"{pool.health:<8}", _STYLE.get(pool.health, "faint"))
        mark = "  <- serves" if pool.serving else ""
        told = f"{_tally(pool):<{tallies}}  {_spare(pool)}{mark}"
        yield f"{'└─' if last else '├─'} {label} {pool.name:<{names}}  {health}  {told}"
        yield from _origins(pool.origins, "   " if last else "│  ", origins, paint)


def _answer(host: HostRow) -> str:
    if host.answered_by == "load balancer":
        return "the fallback answers" if host.on_fallback else "a load balancer answers"
    told = "a CNAME to the tunnel answers" if host.answered_by == "tunnel" else "nothing answers yet"
    return f"{told}, {host.connectors}" if host.connectors else told


def _tally(pool: PoolRow) -> str:
    if pool.may_fail is None:
        return "no origin yet"
    threshold = f", {pool.minimum} must be" if pool.checked else ", not checked"
    return f"{pool.healthy} of {pool.count} up{threshold}"


def _spare(pool: PoolRow) -> str:
    match pool.may_fail, pool.health:
        case None, _:
            return "does not exist at Cloudflare"
        case _, "critical":
            return "is passed over"
        case _, "unknown":
            return "awaits its first health check"
        case 0, _:
            return "none may fail"
        case spare, _:
            return f"{spare} may fail"


def _origins(origins: tuple[OriginRow, ...], bar: str, width: int, paint: Paint) -> Iterator[str]:
    for one in origins:
        word, style = _verdict(one)
        yield f"{bar}     {one.name:<{width}}  {paint(word, style)}"


def _verdict(origin: OriginRow) -> tuple[str, str]:
    if origin.state == "OutByOperator":
        return "out: its connector has ended", "bad"
    if origin.state == "Draining":
        return "draining", "poor"
    if not origin.enabled:
        return "disabled", "faint"
    if origin.healthy is None:
        return "no verdict", "faint"
    return ("up", "good") if origin.healthy else ("down", "bad")
