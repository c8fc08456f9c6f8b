"""A progress line: one that updates itself on a terminal, a line now and then elsewhere."""

import sys
import threading
import time
from types import TracebackType
from typing import Self, TextIO

TERMINAL_PERIOD_S = 0.5
PLAIN_PERIOD_S = 15.0


class Progress:
    """Says what is being done, how far it is and for how long: `building etcd: 81 of 590 …, 1 min 40 s`.

    Set `detail` from any thread; a thread of its own prints, so the line moves while the work is silent.
    """

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self.what = what
        self.detail = ""
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._begin = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._print_until_ended, daemon=True)

    def __enter__(self) -> Self:
        self._print(end="" if self._terminal else "\n")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.detail = "done" if kind is None else "stopped"
        self._print(end="\n")

    @property
    def line(self) -> str:
        """The current line, without control characters."""
        minutes, seconds = divmod(int(time.monotonic() - self._begin), 60)
        elapsed = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        return f"{self.what}: {self.detail}, {elapsed}" if self.detail else f"{self.what}, {elapsed}"

    def _print_until_ended(self) -> None:
        while not self._ended.wait(TERMINAL_PERIOD_S if self._terminal else PLAIN_PERIOD_S):
            self._print(end="" if self._terminal else "\n")

    def _print(self, end: str) -> None:
        start = "\r\033[K" if self._terminal else ""
        self._stream.write(f"{start}{self.line}{end}")
        self._stream.flush()
