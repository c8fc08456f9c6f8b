"""What the demo says while it works: lines with the seconds since the start, colours on a terminal."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_BOLD, _DIM, _RED, _GREEN, _PLAIN = "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[0m"


class Progress:
    """Prints to a stream. Everything that it prints is for people."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._colours = stream.isatty()
        self.started = time.monotonic()

    def elapsed_s(self) -> float:
        """Tell the seconds since the start."""
        return time.monotonic() - self.started

    def title(self, text: str) -> None:
        """Begin a part."""
        self._print(f"\n{self._paint(_BOLD, text)}")

    def event(self, text: str, at: float | None = None) -> None:
        """Tell what has happened just now, or at a moment of the monotonic clock."""
        seconds = (time.monotonic() if at is None else at) - self.started
        self._print(f"{self._paint(_DIM, f'{seconds:7.1f} s')}  {text}")

    def block(self, text: str) -> None:
        """Show the output of a program."""
        for line in text.rstrip().splitlines():
            self._print(f"           {line}".rstrip())

    def verdict(self, text: str, *, kept: bool) -> None:
        """Tell whether a promise was kept."""
        mark = self._paint(_GREEN, "✓") if kept else self._paint(_RED, "✗")
        self._print(f"  {mark} {text}")

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colours else text

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)
