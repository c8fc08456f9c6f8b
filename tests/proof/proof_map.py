"""The map of the proof: what is promised, and the tests and benchmarks that show it.

`claims.toml` holds it as data. `python tests/proof/proof_map.py` writes docs/proof.md; a unit test sees to
it that whatever is named is there, that no law and no promise of the README is left out, and that the page
is current.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
CATALOGUE: Final = Path(__file__).with_name("claims.toml")
LAWS: Final = range(1, 12)


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that holds, and what shows it.

    `shown_by` are node ids of pytest without parameters below tests/, a whole file where all of it is
    meant, or a file of bench/. `promise` is the bold word of the README that the claim is a part of.
    """

    says: str
    shown_by: tuple[str, ...]
    promise: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Claims that belong together; `law` is 0 if it is about none of the laws."""

    title: str
    law: int
    about: str
    claims: tuple[Claim, ...]


def load(path: Path = CATALOGUE) -> tuple[Section, ...]:
    """Read the catalogue, in its order."""
    return tuple(_section(one) for one in tomllib.loads(path.read_text())["section"])


def _section(raw: Mapping[str, Any]) -> Section:
    claims = tuple(Claim(one["says"], tuple(one["shown_by"]), one.get("promise", "")) for one in raw["claim"])
    return Section(raw["title"], raw.get("law", 0), raw.get("about", ""), claims)


def path_of(shown_by: str) -> Path:
    """Find the file of what shows a claim."""
    file = shown_by.partition("::")[0]
    return ROOT / (file if file.startswith("bench/") else f"tests/{file}")


def level_of(shown_by: str) -> str:
    """Tell the kind of what shows a claim: `unit`, `component`, `contract`, `integration`, `e2e`, `bench`."""
    return shown_by.partition("/")[0]


def page() -> str:
    """Write the page of the documentation."""
    parts = [_INTRODUCTION]
    for section in load():
        parts += ["", f"## {section.title}", ""]
        if section.about:
            parts += [section.about, ""]
        parts += ["| what holds | shown by |", "|---|---|"]
        parts += [f"| {one.says} | {'<br>'.join(map(_link, one.shown_by))} |" for one in section.claims]
    return "\n".join([*parts, "", _COLOPHON, ""])


def _link(shown_by: str) -> str:
    file, _, name = shown_by.partition("::")
    told = re.sub("^test ", "", name.replace("_", " ")) if name else f"all of `{Path(file).name}`"
    place = file if file.startswith("bench/") else f"tests/{file}"
    return f"{level_of(shown_by)}: [{told}](../{place})"


_INTRODUCTION: Final = """\
# The proof

What this project promises, and what shows it. The laws are those of [architecture.md](architecture.md).

- Unit and component tests run without a cluster; component tests of the engine run in virtual time against an
  account and a cluster in memory.
- Contract and integration tests hold those two against the local edge and a real API server.
- End-to-end tests drive everything together, in the demo's surroundings.
- *Breaks* are mistakes in one line of the product ([breaks.toml](../tests/breaks/breaks.toml)), at least two
  for each law, each of which must turn named tests red: `make test-breaks` tries them all.

What takes long runs in `make test-full` alone."""
_COLOPHON: Final = "This page is written by `python tests/proof/proof_map.py`; a test keeps it true."


if __name__ == "__main__":
    sys.stdout.write(page())
