"""Breaks: for each law of the architecture, single lines whose change must turn named tests red.

A test that no mistake can turn red proves nothing. `breaks.toml` holds the mistakes as data; `run.py` makes
them, one at a time, in a copy of the tree.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
CATALOGUE: Final = Path(__file__).with_name("breaks.toml")
LAWS: Final = range(1, 12)


class DoesNotApplyError(Exception):
    """The text that a break replaces does not stand in its file exactly once."""


@dataclass(frozen=True, slots=True)
class Break:
    """One mistake: in `file`, `old` becomes `new`, and each of `tests` must fail.

    `file` is relative to the root of the tree; `old` and `new` are parts of one line; `tests` are node ids
    of pytest, which for a parametrized test may leave the parameters out.
    """

    law: int
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, text: str) -> str:
        """Make the mistake in the text of the file.

        Raises:
            DoesNotApplyError: the text has changed; the break must follow it.

        """
        count = text.count(self.old)
        if count != 1:
            raise DoesNotApplyError(f"'{self.old}' stands {count} times in {self.file}, not once")
        return text.replace(self.old, self.new)


def load(path: Path = CATALOGUE) -> tuple[Break, ...]:
    """Read the catalogue, in its order."""
    found: list[dict[str, Any]] = tomllib.loads(path.read_text())["break"]
    return tuple(Break(**{**one, "tests": tuple(one["tests"])}) for one in found)
