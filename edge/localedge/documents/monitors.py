"""The monitor: one health check for any number of pools (`/load_balancers/monitors`)."""

from __future__ import annotations

import re
from typing import Any

from localedge.documents.fields import Field, array, boolean, choice, integer, only, read_object, table, text
from localedge.documents.refusal import InvalidError
from localedge.plan import Plan

READ_ONLY = frozenset({"id", "created_on", "modified_on"})
LONGEST_INTERVAL_S = 3600

_HTTP_ONLY = ("path", "header", "expected_codes", "expected_body", "follow_redirects", "allow_insecure")
_CODES = re.compile(r"(?i:[1-5]xx|[1-5]\d\d(-[1-5]\d\d)?)(,(?i:[1-5]xx|[1-5]\d\d(-[1-5]\d\d)?))*")


def read_monitor(body: Any, plan: Plan) -> dict[str, Any]:
    """Read a whole monitor, defaults filled in.

    Raises:
        InvalidError: what Cloudflare refuses, the plan's shortest interval among it.
        NotEmulatedError: probe types other than http, https and tcp, redirects, simulated zones.

    """
    kind = body.get("type", "http") if isinstance(body, dict) else "http"
    method = "connection_established" if kind == "tcp" else "GET"
    fields = {
        "type": Field(choice("http", "https", "tcp", absent=("udp_icmp", "icmp_ping", "smtp")), "http"),
        "description": Field(text(1024), ""),
        "method": Field(choice("GET", "HEAD", "connection_established"), method),
        "path": Field(text(2048), "/"),
        "port": Field(integer(0, 65535), 0),
        "header": Field(table(array(text(2048), shortest=1)), dict),
        "expected_codes": Field(_expected_codes, ""),
        "expected_body": Field(text(10240), ""),
        "follow_redirects": Field(only(False), default=False),  # noqa: FBT003 - the one value emulated
        "allow_insecure": Field(boolean, default=False),
        "probe_zone": Field(only(""), ""),
        "interval": Field(integer(plan.min_interval_s, LONGEST_INTERVAL_S), 60),
        "timeout": Field(integer(1, 10), 5),
        "retries": Field(integer(0, 5), 2),
        "consecutive_up": Field(integer(0, 100), 0),
        "consecutive_down": Field(integer(0, 100), 0),
    }
    monitor = read_object("", body, fields, ignored=READ_ONLY)
    _check_together(monitor)
    if kind == "tcp":
        for name in _HTTP_ONLY:
            del monitor[name]
    return monitor


def _expected_codes(where: str, value: Any) -> str:
    if not isinstance(value, str) or (value and not _CODES.fullmatch(value.replace(" ", ""))):
        raise InvalidError(f"{where} must be codes or ranges of codes such as '200', '2xx' or '200,302'")
    return value


def _check_together(monitor: dict[str, Any]) -> None:
    if monitor["interval"] <= (monitor["retries"] + 1) * monitor["timeout"]:
        raise InvalidError("interval must be greater than (retries + 1) * timeout")
    if any(name.lower() == "user-agent" for name in monitor["header"]):
        raise InvalidError("header User-Agent cannot be overridden")
    if (monitor["method"] == "connection_established") != (monitor["type"] == "tcp"):
        raise InvalidError(f"method {monitor['method']} is not allowed for type {monitor['type']}")
    if monitor["type"] == "tcp":
        if not monitor["port"]:
            raise InvalidError("port is required for type tcp")
        if monitor["header"] or monitor["expected_codes"] or monitor["expected_body"]:
            raise InvalidError("header, expected_codes and expected_body are for types http and https")
    elif not monitor["path"].startswith("/"):
        raise InvalidError("path must start with '/'")
