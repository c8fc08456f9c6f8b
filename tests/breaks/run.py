"""Make each break in a copy of the tree, run the tests that it names, and tell whether they are red.

`make test-breaks` calls it; words as arguments select breaks by law (`7`) or by part of the name. The status
is 1 if a break does not apply, or if one of its tests is not red. What is not committed counts: the copy
is of the files that git knows or would add, as they lie there.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from law_breaks import ROOT, Break, DoesNotApplyError, load

SOURCES: Final = ("operator", "edge", "tools")
COPIES: Final = 2
"""So many breaks are tried at once, each in a copy of its own."""
TIMEOUT_S: Final = 20
"""For one test: a mistake may have it wait for what never comes, which is red too."""
ENOUGH_S: Final = 90
"""For the tests of one break: a loop that never ends may swallow the limit of the test."""
Keys: TypeAlias = frozenset[tuple[str, str]]
"""Tests as JUnit's format names them: the module with dots, and the function without parameters."""
_TIMED_OUT: Final = "Failed: Timeout"
"""How the message of a test begins that its time limit has ended."""
_FAILED: Final = 1
"""pytest's status when tests ran and failed; others mean that they did not run."""


class NotRunError(Exception):
    """The tests could not be run at all, so that nothing is proved."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one break: the tests that are not red, those that never ended, or why it was not tried."""

    tried: Break
    seconds: float
    green: tuple[str, ...] = ()
    endless: tuple[str, ...] = ()
    """Red as well, but not by an assertion: the mistake keeps the test from ending."""
    trouble: str = ""

    @property
    def proved(self) -> bool:
        """Whether every named test noticed."""
        return not self.green and not self.trouble


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of tests: those that failed, and those that had to be ended."""

    failed: Keys = frozenset()
    endless: Keys = frozenset()

    def __or__(self, other: Outcome) -> Outcome:
        """Join two."""
        return Outcome(self.failed | other.failed, self.endless | other.endless)


class Copy:
    """A copy of the tree, in which tests see the copy and not what is installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - git is wherever PATH has it
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        sources = [str(folder / one) for one in SOURCES]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sources),  # comes before the paths of the editable install
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        # By hash: a break of the same length within the same second would be overlooked by time and size.
        for source in sources:
            compileall.compile_dir(
                source, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
            )
        self._ensure_imported()

    def outcome(self, one: Break) -> Outcome:
        """Make a break, run its tests, mend it.

        Raises:
            DoesNotApplyError: the file no longer holds the text.
            NotRunError: the tests did not run.

        """
        path = self._folder / one.file
        whole = path.read_text()
        path.write_text(one.apply(whole))
        try:
            return self.run(one.tests)
        finally:
            path.write_text(whole)

    def run(self, tests: Sequence[str], enough_s: float = ENOUGH_S) -> Outcome:
        """Run tests; where they do not end together, each alone, to find the one that does not.

        Raises:
            NotRunError: they did not run, or one ended by an error outside of it (a fixture, say).

        """
        try:
            return self._outcome(tests, enough_s)
        except subprocess.TimeoutExpired:
            if len(tests) == 1:
                return Outcome(endless=frozenset({_key(tests[0])}))
        found = Outcome()
        for test in tests:
            found |= self.run((test,))
        return found

    def _outcome(self, tests: Sequence[str], enough_s: float) -> Outcome:
        report = self._folder / "report.xml"
        report.unlink(missing_ok=True)
        # The seed: whether a property test finds the mistake must not be luck.
        options = [f"--junitxml={report}", f"--timeout={TIMEOUT_S}", "--hypothesis-seed=0", "--quiet"]
        done = subprocess.run(  # noqa: S603 - this very interpreter
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, *tests],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=enough_s,
        )
        if done.returncode not in {0, _FAILED}:
            raise NotRunError(f"pytest ended with {done.returncode}: {_last_line(done.stdout + done.stderr)}")
        cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest wrote it just now
        for case in cases:
            error = case.find("error")
            if error is not None:
                raise NotRunError(f"{case.get('name')}: {error.get('message')}")
        red = {
            _key_of(case): failure.get("message", "") for case in cases for failure in case.iter("failure")
        }
        return Outcome(
            failed=frozenset(key for key, message in red.items() if not message.startswith(_TIMED_OUT)),
            endless=frozenset(key for key, message in red.items() if message.startswith(_TIMED_OUT)),
        )

    def _ensure_imported(self) -> None:
        for name in ("tunnelpool", "localedge", "devcluster"):
            told = subprocess.run(  # noqa: S603 - likewise
                [sys.executable, "-c", f"import {name}; print({name}.__file__)"],
                cwd=self._folder,
                env=self._environment,
                capture_output=True,
                text=True,
                check=True,
            )
            if not Path(told.stdout.strip()).resolve().is_relative_to(self._folder.resolve()):
                raise NotRunError(f"{name} is imported from {told.stdout.strip()}, not from the copy")


def main(words: Sequence[str]) -> int:
    """Try the selected breaks, print the table, and answer with the status."""
    chosen = [one for one in load() if not words or any(_selects(word, one) for word in words)]
    if not chosen:
        _say("No break is called so.")
        return 1
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="breaks-") as folder:
        copies = [Copy(Path(folder) / str(number)) for number in range(COPIES)]
        named = tuple(dict.fromkeys(test for one in chosen for test in one.tests))
        try:
            whole = copies[0].run(named, enough_s=ENOUGH_S + TIMEOUT_S * len(named))
        except NotRunError as error:
            _say(f"Not even without a break: {error}")
            return 1
        for what, red in (("Red", whole.failed), ("Not in time", whole.endless)):
            if red:
                _say(f"{what} without any break: {', '.join(sorted(name for _, name in red))}")
        if whole.failed or whole.endless:
            return 1
        free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for copy in copies:
            free.put(copy)
        with ThreadPoolExecutor(COPIES) as pool:
            verdicts: list[Verdict] = []
            for verdict in pool.map(lambda one: _try(one, free), chosen):
                verdicts.append(verdict)
                _say(_row(verdict))
    proved = sum(verdict.proved for verdict in verdicts)
    _say(f"{proved} of {len(verdicts)} breaks turn their tests red ({time.monotonic() - started:.0f} s)")
    return 0 if proved == len(verdicts) else 1


def _try(one: Break, free: queue.SimpleQueue[Copy]) -> Verdict:
    copy = free.get()
    started = time.monotonic()
    try:
        outcome = copy.outcome(one)
    except (DoesNotApplyError, NotRunError) as error:
        return Verdict(one, time.monotonic() - started, trouble=str(error))
    finally:
        free.put(copy)
    red = outcome.failed | outcome.endless
    return Verdict(
        one,
        time.monotonic() - started,
        green=tuple(test for test in one.tests if _key(test) not in red),
        endless=tuple(test for test in one.tests if _key(test) in outcome.endless),
    )


def _row(verdict: Verdict) -> str:
    one = verdict.tried
    red = len(one.tests) - len(verdict.green)
    told = "red" if verdict.proved else verdict.trouble or f"GREEN: {', '.join(verdict.green)}"
    if verdict.endless:
        told += f" (ended by its time limit: {', '.join(verdict.endless)})"
    count = "?" if verdict.trouble else str(red)
    return f"law {one.law:>2} | {one.name:<62} | {count}/{len(one.tests)} | {verdict.seconds:4.1f} s | {told}"


def _selects(word: str, one: Break) -> bool:
    return word == str(one.law) if word.isdecimal() else word in one.name


def _key_of(case: ET.Element) -> tuple[str, str]:
    return case.get("classname", ""), case.get("name", "").partition("[")[0]


def _key(test: str) -> tuple[str, str]:
    """Name a test as JUnit's format does: the module with dots, and the function without parameters."""
    path, *_, name = test.split("::")
    return path.removesuffix(".py").replace("/", "."), name.partition("[")[0]


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "without a word")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
