"""Logs: one handler on the root logger, JSON or text, with secrets masked."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from tunnelpool.ops.redaction import Redactor

_QUIET: Final = {
    # Its DEBUG prints whole objects, Secrets among them; its INFO tells of each event.
    "kopf": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "kubernetes": logging.WARNING,
    "asyncio": logging.WARNING,
}

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up_logging(
    redactor: Redactor, *, style: Literal["json", "text"], level: str, stream: TextIO | None = None
) -> None:
    """Replace the handlers of the root logger by one; `level` as the logging module names it.

    Libraries that log bodies or each request stay at WARNING whatever the level.

    Raises:
        ValueError: there is no such level.

    """
    formatter = JsonFormatter(redactor) if style == "json" else TextFormatter(redactor)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, root.level))
    logging.captureWarnings(capture=True)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, and what stood in `extra`."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as a line."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return self._redactor.mask(json.dumps(line, default=str, ensure_ascii=False))


class TextFormatter(logging.Formatter):
    """A line for people: time, level, logger, message, and `name=value` of what stood in `extra`."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as a line, a traceback below it."""
        extras = "".join(f" {name}={value}" for name, value in _extras(record).items())
        text = f"{_time(record)} {record.levelname:<7} {record.name}: {record.getMessage()}{extras}"
        if record.exc_info:
            text += f"\n{self.formatException(record.exc_info)}"
        if record.stack_info:
            text += f"\n{self.formatStack(record.stack_info)}"
        return self._redactor.mask(text)


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}
